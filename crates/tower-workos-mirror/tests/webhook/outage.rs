//! The database is unavailable, locked or slow.

use std::time::{Duration, Instant};

use http::StatusCode;
use sqlx::postgres::PgPoolOptions;
use tower_workos_mirror::{Mirror, MirrorPool};

use crate::{
    database::{Database, Lock, postgres_options},
    proxy::Proxy,
    requests::{created, send_all, status, webhook},
};

const TIMEOUT: Duration = Duration::from_millis(400);
/// The longest time that a response may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A mirror that reaches Postgres through a proxy.
async fn behind_proxy(database: &Database) -> (Proxy, Mirror) {
    let options = postgres_options();
    let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
    let options = database.schema().options(&[]);
    let options = options.host("127.0.0.1").port(proxy.address.port());
    // As small as a pool can be: a connection that hangs must not occupy it.
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    (proxy, Mirror::builder(pool).timeout(TIMEOUT).build().unwrap())
}

#[tokio::test]
async fn postgres_is_silent() {
    let Some(database) = Database::postgres().await else { return };
    database.migrate().await;
    let (proxy, mirror) = behind_proxy(&database).await;
    let webhook = webhook(&mirror);
    assert_eq!(status(&webhook, created("user_before")).await, StatusCode::OK);

    let bodies: Vec<_> = (0..50).map(|user| created(&format!("user_{user}"))).collect();
    for silence in ["all", "replies"] {
        match silence {
            "all" => proxy.freeze(true),
            _ => proxy.lose_replies(),
        }
        for _ in 0..2 {
            let start = Instant::now();
            let responses = send_all(&webhook, bodies.clone()).await;
            assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
            if silence == "all" {
                let all = StatusCode::SERVICE_UNAVAILABLE;
                assert!(responses.iter().all(|response| response.status() == all));
            }
        }
        proxy.freeze(false);
    }
    for _ in 0..100 {
        let responses = send_all(&webhook, bodies.clone()).await;
        if responses.iter().all(|response| response.status() == StatusCode::OK) {
            break;
        }
    }
    assert_eq!(database.users().await, 51);
    database.drop().await;
}

/// Locks a table, as a migration of the application does.
async fn lock_table(database: &Database) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let MirrorPool::Postgres(pool) = database.pool().await else { unreachable!() };
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE workos_mirror_user").execute(&mut *transaction).await.unwrap();
    transaction
}

/// The proxy stops forwarding anything, even that the connection was closed. New connections work. PostgreSQL must not keep
/// the lock for the old one.
#[tokio::test]
async fn a_connection_goes_silent_inside_a_transaction() {
    let Some(database) = Database::postgres().await else { return };
    database.migrate().await;
    let (proxy, mirror) = behind_proxy(&database).await;
    let webhook = webhook(&mirror);
    let table = lock_table(&database).await;
    let start = Instant::now();
    let waiting = {
        let webhook = webhook.clone();
        tokio::spawn(async move { status(&webhook, created("user_0")).await })
    };
    tokio::time::sleep(TIMEOUT / 4).await;
    proxy.freeze_connections();
    table.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    let mut attempts = 0;
    while status(&webhook, created("user_0")).await != StatusCode::OK {
        attempts += 1;
        assert!(attempts < 25);
    }
    assert_eq!(database.users().await, 1);
    database.drop().await;
}

/// The time-out is for the whole wait, not for each part of it.
#[tokio::test]
async fn waits_are_added_up() {
    let Some(database) = Database::postgres().await else { return };
    let timeout = Duration::from_secs(1);
    let mirror = database.mirror_with(|it| it.timeout(timeout)).await;
    let webhook = webhook(&mirror);
    let lock = Lock::acquire(&database).await;
    let table = lock_table(&database).await;
    let start = Instant::now();
    let waiting = tokio::spawn(async move { status(&webhook, created("user_0")).await });
    tokio::time::sleep(timeout * 8 / 10).await;
    lock.release().await;
    assert_eq!(waiting.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(start.elapsed() < timeout * 15 / 10, "{:?}", start.elapsed());
    table.rollback().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn a_closed_pool() {
    for database in Database::all().await {
        let mirror = database.mirror_with(|it| it.timeout(TIMEOUT)).await;
        match mirror.pool() {
            MirrorPool::Postgres(pool) => pool.close().await,
            MirrorPool::Sqlite(pool) => pool.close().await,
            _ => unreachable!(),
        }
        let start = Instant::now();
        let status = status(&webhook(&mirror), created("user_0")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        database.drop().await;
    }
}

/// Another transaction keeps the lock for longer than the time-out.
#[tokio::test]
async fn the_lock_is_held() {
    for database in Database::all().await {
        database.migrate().await;
        let mirror = Mirror::builder(match &database {
            // With one connection, failed attempts must leave nothing behind in it.
            Database::Postgres(schema) => {
                let pool = PgPoolOptions::new().max_connections(1);
                MirrorPool::from(pool.connect_with(schema.options(&[])).await.unwrap())
            }
            Database::Sqlite(_) => database.pool().await,
        });
        let mirror = mirror.timeout(TIMEOUT).build().unwrap();
        let webhook = webhook(&mirror);
        let lock = Lock::acquire(&database).await;
        let start = Instant::now();
        assert_eq!(status(&webhook, created("user_0")).await, StatusCode::SERVICE_UNAVAILABLE);
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        lock.release().await;
        tokio::time::sleep(TIMEOUT).await;
        // Nobody holds the lock now, so another mirror can write.
        let other = database.mirror_with(|it| it.timeout(TIMEOUT)).await;
        other.apply(&crate::requests::token("other")).await.unwrap();
        assert_eq!(status(&webhook, created("user_0")).await, StatusCode::OK);
        assert_eq!(database.users().await, 1);
        database.drop().await;
    }
}

/// SQLite does not wait for the lock, but the mirror does.
#[tokio::test]
async fn sqlite_is_locked() {
    let database = Database::sqlite();
    database.migrate().await;
    let mirror = Mirror::new(database.sqlite_pool(Duration::ZERO).await);
    let webhook = webhook(&mirror);
    let lock = Lock::acquire(&database).await;
    let waiting = tokio::spawn(async move { status(&webhook, created("user_0")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    lock.release().await;
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
    assert_eq!(database.users().await, 1);
}

#[tokio::test]
async fn tables_that_do_not_exist() {
    for database in Database::all().await {
        let mirror = Mirror::new(database.pool().await);
        let start = Instant::now();
        let status = status(&webhook(&mirror), created("user_0")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        database.drop().await;
    }
}
