//! Handlers that complete their claim in their own transaction, or fail to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, body::Body, extract::State, http::StatusCode, routing::post};
use http::Request;
use sqlx::{PgPool, SqlitePool, postgres::PgPoolOptions};
use tower::{ServiceBuilder, ServiceExt};
use tower_workos::{
    BoxStore, DedupeLayer, DedupeStore,
    dedupe::{Claimed, Completion, DedupeOutcome, OnStoreError},
    testing::sample,
};
use tower_workos_sqlx::{CompleteIn, PostgresStore, SqliteStore};

use crate::{
    databases::{self, Schema},
    services::{self, proxy::Proxy},
    support::{delivery, layer},
};

/// What the handler does with its transaction, and the status that it returns.
#[derive(Clone, Copy)]
enum Act {
    Commit(StatusCode),
    /// Drops the transaction after completing the claim in it.
    Forget(StatusCode),
}

#[derive(Clone)]
struct App<P> {
    pool: P,
    act: Act,
    calls: Arc<AtomicUsize>,
}

async fn on_sqlite(
    State(app): State<App<SqlitePool>>,
    Extension(claimed): Extension<Claimed<SqliteStore>>,
) -> StatusCode {
    app.calls.fetch_add(1, Ordering::SeqCst);
    let mut tx = app.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let completion = claimed.complete_in(&mut tx).await.unwrap();
    match (completion, app.act) {
        (Completion::Completed, Act::Commit(status)) => {
            tx.commit().await.unwrap();
            status
        }
        (Completion::Completed, Act::Forget(status)) => status,
        (Completion::Stale, _) => StatusCode::CONFLICT,
    }
}

async fn on_postgres(
    State(app): State<App<PgPool>>,
    Extension(claimed): Extension<Claimed<PostgresStore>>,
) -> StatusCode {
    app.calls.fetch_add(1, Ordering::SeqCst);
    let mut tx = app.pool.begin().await.unwrap();
    let completion = claimed.complete_in(&mut tx).await.unwrap();
    match (completion, app.act) {
        (Completion::Completed, Act::Commit(status)) => {
            tx.commit().await.unwrap();
            status
        }
        (Completion::Completed, Act::Forget(status)) => status,
        (Completion::Stale, _) => StatusCode::CONFLICT,
    }
}

/// A test's handler over either database.
trait Database: Clone + Send + Sync + 'static {
    type Store: DedupeStore;

    fn app(dedupe: DedupeLayer<Self::Store>, app: App<Self>) -> Router;
}

impl Database for SqlitePool {
    type Store = SqliteStore;

    fn app(dedupe: DedupeLayer<SqliteStore>, app: App<Self>) -> Router {
        let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
        Router::new().route("/", post(on_sqlite)).route_layer(stack).with_state(app)
    }
}

impl Database for PgPool {
    type Store = PostgresStore;

    fn app(dedupe: DedupeLayer<PostgresStore>, app: App<Self>) -> Router {
        let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
        Router::new().route("/", post(on_postgres)).route_layer(stack).with_state(app)
    }
}

/// A SQLite database with a boxed store.
#[derive(Clone)]
struct Boxed(SqlitePool);

async fn on_boxed(
    State(app): State<App<Boxed>>,
    Extension(claimed): Extension<Claimed<BoxStore>>,
) -> StatusCode {
    let app = App { pool: app.pool.0, act: app.act, calls: app.calls };
    on_sqlite(State(app), Extension(claimed.downcast().unwrap())).await
}

impl Database for Boxed {
    type Store = BoxStore;

    fn app(dedupe: DedupeLayer<BoxStore>, app: App<Self>) -> Router {
        let stack = ServiceBuilder::new().layer(layer()).layer(dedupe);
        Router::new().route("/", post(on_boxed)).route_layer(stack).with_state(app)
    }
}

/// The status and the outcome of one delivery.
async fn deliver(app: Router, id: &str) -> (u16, DedupeOutcome) {
    let mut request: Request<Body> = delivery(sample::USER_DEACTIVATED.with_id(id));
    *request.uri_mut() = "/".parse().unwrap();
    let response = app.oneshot(request).await.unwrap();
    (response.status().as_u16(), *response.extensions().get::<DedupeOutcome>().unwrap())
}

async fn check<P: Database>(store: P::Store, pool: P) {
    let calls = Arc::new(AtomicUsize::new(0));
    let dedupe = DedupeLayer::new(services::unique(), store);
    let app =
        |act| P::app(dedupe.clone(), App { pool: pool.clone(), act, calls: Arc::clone(&calls) });
    let forget = app(Act::Forget(StatusCode::OK));
    // Nothing is committed, so the event must be delivered again, and is free immediately.
    for call in 1..=2 {
        let answer = deliver(forget.clone(), "event_1").await;
        assert_eq!(answer, (503, DedupeOutcome::NotCompleted));
        dedupe.idle().await;
        assert_eq!(calls.load(Ordering::SeqCst), call);
    }
    let commit = app(Act::Commit(StatusCode::CREATED));
    assert_eq!(deliver(commit.clone(), "event_1").await, (201, DedupeOutcome::Completed));
    assert_eq!(deliver(commit, "event_1").await, (200, DedupeOutcome::Duplicate));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    // An event whose transaction is committed is done, even if the handler fails afterwards.
    let fails_late = app(Act::Commit(StatusCode::BAD_GATEWAY));
    assert_eq!(deliver(fails_late.clone(), "event_2").await, (502, DedupeOutcome::Released));
    assert_eq!(deliver(fails_late, "event_2").await, (200, DedupeOutcome::Duplicate));
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_not_a_success_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = databases::sqlite_store(&file).await;
    check(store, databases::sqlite_pool(&file).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_not_a_success_with_a_boxed_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = BoxStore::new(databases::sqlite_store(&file).await);
    check(store, Boxed(databases::sqlite_pool(&file).await)).await;
}

/// The store's connections are closed, but the handler has its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_boxed_claim_that_the_handler_made_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let (working, closed) =
        (databases::sqlite_store(&file).await, databases::sqlite_store(&file).await);
    closed.pool().close().await;
    let dedupe = |store| DedupeLayer::new("workos", store).on_store_error(OnStoreError::Pass);
    let pool = Boxed(databases::sqlite_pool(&file).await);
    let calls = Arc::<AtomicUsize>::default();
    let app = |store| {
        let act = Act::Commit(StatusCode::OK);
        Boxed::app(dedupe(store), App { pool: pool.clone(), act, calls: Arc::clone(&calls) })
    };
    // With the token of the claim that the handler made, the layer asks the store, which fails. Without it, the outcome
    // would be `NotCompleted`.
    let blind = app(BoxStore::new(closed));
    assert_eq!(deliver(blind, "event_1").await, (503, DedupeOutcome::StoreError));
    let seeing = app(BoxStore::new(working));
    assert_eq!(deliver(seeing, "event_1").await, (200, DedupeOutcome::Duplicate));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_not_a_success_on_postgres() {
    let Some(schema) = Schema::create().await else { return };
    check(schema.store().await, schema.pool().await).await;
    schema.drop().await;
}

/// The store can't be reached, but the handler has its own connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_without_a_claim_claims_in_its_transaction() {
    let Some(schema) = Schema::create().await else { return };
    let working = schema.store().await;
    let proxy = Proxy::start(databases::postgres_address()).await;
    proxy.freeze(true);
    let options =
        databases::postgres_options(&schema.name).host("127.0.0.1").port(proxy.address.port());
    let silent = PostgresStore::new(PgPoolOptions::new().connect_lazy_with(options));
    let endpoint = services::unique();
    let dedupe = DedupeLayer::new(endpoint.clone(), silent)
        .store_timeout(Duration::from_millis(100))
        .on_store_error(OnStoreError::Pass);
    let (pool, calls) = (schema.pool().await, Arc::new(AtomicUsize::new(0)));
    let app = |act| App { pool: pool.clone(), act, calls: Arc::clone(&calls) };
    // The handler's commit can't be checked, so the event is not reported as done, although it is.
    let blind = PgPool::app(dedupe, app(Act::Commit(StatusCode::OK)));
    assert_eq!(deliver(blind.clone(), "event_1").await, (503, DedupeOutcome::StoreError));
    let again = deliver(blind, "event_1").await;
    assert_eq!(again, (409, DedupeOutcome::Released), "done: the transaction is rolled back");
    let seeing = PgPool::app(DedupeLayer::new(endpoint, working), app(Act::Commit(StatusCode::OK)));
    assert_eq!(deliver(seeing, "event_1").await, (200, DedupeOutcome::Duplicate));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    pool.close().await;
    schema.drop().await;
}
