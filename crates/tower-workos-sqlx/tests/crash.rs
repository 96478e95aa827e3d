//! Kills a server again and again, between claim, handler and commit, while a sender retries like WorkOS. No event's effect
//! is lost and, if the claim is completed in the handler's transaction, none happens twice.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod databases;

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Extension, Router, extract::State, http::StatusCode, routing::post};
use bytes::Bytes;
use databases::{Schema, services};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use sqlx::{Row, SqlitePool};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tower::ServiceBuilder;
use tower_workos::{
    DedupeLayer, DirectoryEvent, RedisStore, VerifyWebhookLayer, WebhookSecret,
    dedupe::{Claimed, Completion},
    testing::{Signer, sample},
};
use tower_workos_sqlx::{CompleteIn, PostgresStore, SqliteStore};

const SECRET: &str = "whsec_of_the_crash_test";
/// How many events are released for each process of the server. With 1000 events, there are at least fifty kills.
const EVENTS_PER_PROCESS: usize = 20;
/// After all events have been released, a redelivery only waits for a lease. A slow machine needs less than this.
const LIMIT: Duration = Duration::from_secs(300);
/// Short, so that events that a killed server held are soon free again.
const LEASE: Duration = Duration::from_millis(250);

fn stack<St>(store: St, namespace: &str) -> (VerifyWebhookLayer, DedupeLayer<St>) {
    let secret = WebhookSecret::new(SECRET).unwrap();
    (VerifyWebhookLayer::new(secret), DedupeLayer::new(namespace, store).lease(LEASE))
}

/// Pauses for a random time, so that the server can be killed here.
async fn pause() {
    let mut random = [0];
    getrandom::fill(&mut random).unwrap();
    tokio::time::sleep(Duration::from_micros(u64::from(random[0]) * 16)).await;
}

/// Commits the effect and the completion in one transaction.
async fn on_sqlite(
    Extension(claimed): Extension<Claimed<SqliteStore>>,
    event: DirectoryEvent,
) -> Result<(), StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    pause().await;
    let mut tx = claimed.store().begin().await.map_err(unavailable)?;
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(event.id().as_str())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    pause().await;
    match claimed.complete_in(&mut tx).await {
        Ok(Completion::Completed) => tx.commit().await.map_err(unavailable)?,
        _ => return Err(StatusCode::SERVICE_UNAVAILABLE),
    }
    pause().await;
    Ok(())
}

/// Like [`on_sqlite`], but in Postgres.
async fn on_postgres(
    Extension(claimed): Extension<Claimed<PostgresStore>>,
    event: DirectoryEvent,
) -> Result<(), StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    pause().await;
    let mut tx = claimed.store().begin().await.map_err(unavailable)?;
    sqlx::query("INSERT INTO effects VALUES ($1)")
        .bind(event.id().as_str())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    pause().await;
    match claimed.complete_in(&mut tx).await {
        Ok(Completion::Completed) => tx.commit().await.map_err(unavailable)?,
        _ => return Err(StatusCode::SERVICE_UNAVAILABLE),
    }
    pause().await;
    Ok(())
}

/// Commits only the effect, in SQLite; the layer completes the claim afterwards, in any store.
async fn on_its_own(
    State(pool): State<SqlitePool>,
    event: DirectoryEvent,
) -> Result<(), StatusCode> {
    pause().await;
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(event.id().as_str())
        .execute(&pool)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    pause().await;
    Ok(())
}

/// Not a test: the server, in the process that a test starts and kills.
#[tokio::test]
async fn server() {
    let Ok(kind) = env::var("CRASH_TEST_SERVER") else { return };
    let (port, place) =
        (env::var("CRASH_TEST_PORT").unwrap(), env::var("CRASH_TEST_PLACE").unwrap());
    let file = Path::new(&place);
    let app: Router = match kind.as_str() {
        "sqlite-tx" => {
            let pool = databases::sqlite_pool(file).await;
            let (verify, dedupe) = stack(SqliteStore::new(pool), "");
            let stack = ServiceBuilder::new().layer(verify).layer(dedupe);
            Router::new().route("/", post(on_sqlite)).route_layer(stack)
        }
        "postgres-tx" => {
            let pool = databases::postgres_pool(&place).await;
            let (verify, dedupe) = stack(PostgresStore::new(pool), "");
            let stack = ServiceBuilder::new().layer(verify).layer(dedupe);
            Router::new().route("/", post(on_postgres)).route_layer(stack)
        }
        "redis" => {
            let store = RedisStore::connect(&services::redis_url()).await.unwrap();
            let (verify, dedupe) = stack(store, &place);
            let stack = ServiceBuilder::new().layer(verify).layer(dedupe);
            let pool = databases::sqlite_pool(file).await;
            Router::new().route("/", post(on_its_own)).route_layer(stack).with_state(pool)
        }
        other => panic!("no server {other}"),
    };
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}

/// A server process, which is killed when this is dropped.
struct Server(Child);

impl Server {
    fn start(kind: &str, port: u16, place: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "server", "--test-threads", "1"]);
        command.env("CRASH_TEST_SERVER", kind).env("CRASH_TEST_PLACE", place);
        command.env("CRASH_TEST_PORT", port.to_string());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Sends `SIGKILL`.
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Delivers one event until it is acknowledged. Returns how often it was sent.
async fn deliver(address: SocketAddr, id: String) -> usize {
    let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
    let client =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Full<Bytes>>();
    for sent in 1.. {
        let delivery = signer.sign(sample::USER_CREATED.with_id(&id));
        let request = delivery.into_request(format!("http://{address}/")).unwrap();
        let answer =
            tokio::time::timeout(Duration::from_millis(500), client.request(request)).await;
        match answer {
            Ok(Ok(response)) if response.status().is_success() => return sent,
            Ok(Ok(response)) if response.status() != 503 => panic!("{}", response.status()),
            _ => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
    unreachable!("an event is sent until it is acknowledged");
}

/// Crash tests run one at a time, so that they don't compete for processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The number of events, which must be a multiple of [`EVENTS_PER_PROCESS`].
fn events() -> usize {
    env::var("CRASH_EVENTS").map_or(1000, |events| events.parse().unwrap())
}

/// Sends the events while the server is killed again and again. Returns the numbers of kills and of deliveries.
async fn run(kind: &'static str, place: &str) -> (usize, usize) {
    let events = events();
    let _alone = ALONE.lock().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let released = Arc::new(Semaphore::new(0));
    let delivered = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for index in 0..events {
        let (released, delivered) = (Arc::clone(&released), Arc::clone(&delivered));
        senders.spawn(async move {
            released.acquire().await.unwrap().forget();
            let id = format!("event_{index}");
            // Every fourth event is delivered twice at the same time.
            let sent = if index % 4 == 0 {
                let (first, second) =
                    tokio::join!(deliver(address, id.clone()), deliver(address, id));
                first + second
            } else {
                deliver(address, id).await
            };
            delivered.fetch_add(1, Ordering::SeqCst);
            sent
        });
    }
    let (mut deaths, mut sent_out) = (0, 0);
    let mut random = [0; 1];
    loop {
        let mut server = Server::start(kind, port, place);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Limits the events under way to those of two servers; otherwise, the senders would only wait for each other.
        if sent_out < events && delivered.load(Ordering::SeqCst) + EVENTS_PER_PROCESS >= sent_out {
            released.add_permits(EVENTS_PER_PROCESS);
            sent_out += EVENTS_PER_PROCESS;
        }
        getrandom::fill(&mut random).unwrap();
        tokio::time::sleep(Duration::from_millis(10 + u64::from(random[0]))).await;
        // The last process handles the events that remain.
        let start = Instant::now();
        while sent_out == events && delivered.load(Ordering::SeqCst) < events {
            let progress = format!("{kind}: {delivered:?} of {events} after {deaths} deaths");
            assert!(start.elapsed() < LIMIT, "{progress}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.kill();
        deaths += 1;
        if delivered.load(Ordering::SeqCst) == events {
            break;
        }
    }
    let mut sent = 0;
    while let Some(sender) = senders.join_next().await {
        sent += sender.unwrap();
    }
    (deaths, sent)
}

/// Compares the effects with the expected ones.
fn judge(
    kind: &str,
    (deaths, sent): (usize, usize),
    effects: &HashMap<String, i64>,
    twice_allowed: bool,
) {
    let events = events();
    let lost = (0..events).filter(|index| !effects.contains_key(&format!("event_{index}"))).count();
    let twice = effects.values().filter(|count| **count > 1).count();
    services::report(format!(
        "{kind}: {events} events, {sent} deliveries, {deaths} kills: {lost} lost, {twice} twice"
    ));
    assert!(deaths >= events / EVENTS_PER_PROCESS, "only {deaths} kills");
    assert_eq!(effects.len(), events);
    assert_eq!(lost, 0);
    assert!(twice_allowed || twice == 0);
}

async fn sqlite_effects(pool: &SqlitePool) -> HashMap<String, i64> {
    let rows =
        sqlx::query("SELECT id, count(*) FROM effects GROUP BY id").fetch_all(pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_with_the_handlers_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    databases::sqlite_store(&file).await;
    let pool = databases::sqlite_pool(&file).await;
    sqlx::raw_sql("CREATE TABLE effects (id TEXT)").execute(&pool).await.unwrap();
    let outcome = run("sqlite-tx", file.to_str().unwrap()).await;
    judge("SQLite, one transaction", outcome, &sqlite_effects(&pool).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_with_the_handlers_transaction() {
    let Some(schema) = Schema::create().await else { return };
    schema.store().await;
    let pool = schema.pool().await;
    sqlx::raw_sql("CREATE TABLE effects (id TEXT)").execute(&pool).await.unwrap();
    let outcome = run("postgres-tx", &schema.name).await;
    let rows =
        sqlx::query("SELECT id, count(*) FROM effects GROUP BY id").fetch_all(&pool).await.unwrap();
    let effects = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    judge("Postgres, one transaction", outcome, &effects, false);
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_an_effect_elsewhere() {
    if services::redis_store().await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The path is also the namespace, so that it is unique.
    let file = folder.path().join("crash.db");
    let pool = databases::sqlite_pool(&file).await;
    sqlx::raw_sql("CREATE TABLE effects (id TEXT)").execute(&pool).await.unwrap();
    let outcome = run("redis", file.to_str().unwrap()).await;
    judge("Redis, effect elsewhere", outcome, &sqlite_effects(&pool).await, true);
}
