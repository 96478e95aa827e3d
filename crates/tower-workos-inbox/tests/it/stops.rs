//! A worker stops within a bounded time, also if the database does not respond.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection as _, SqlitePool, sqlite::SqliteConnectOptions};
use tokio::sync::Semaphore;
use tower::{Service, service_fn};
use tower_workos::DirectoryEvent;
use tower_workos_inbox::Inbox;

use crate::{
    proxy::Proxy,
    support::{Kind, Place, events, run, until},
};

/// Five seconds of patience, and the time-outs of a few statements.
const LIMIT: Duration = Duration::from_secs(40);

/// Handlers that wait for the test. Those of the first event take a semaphore of their own.
#[derive(Clone)]
struct Gate {
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    first: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self {
            begun: Arc::default(),
            ended: Arc::default(),
            first: semaphore(),
            others: semaphore(),
        }
    }

    fn service(
        &self,
    ) -> impl Service<
        DirectoryEvent,
        Response = (),
        Error = io::Error,
        Future = impl Future<Output = io::Result<()>> + Send,
    > + Clone
    + Send
    + 'static {
        let gate = self.clone();
        service_fn(move |event: DirectoryEvent| {
            let gate = gate.clone();
            async move {
                gate.begun.fetch_add(1, Ordering::Relaxed);
                let is_first = event.id().as_str() == "event_00000";
                let semaphore = if is_first { gate.first } else { gate.others };
                semaphore.acquire().await.unwrap().forget();
                gate.ended.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        })
    }

    async fn has_begun(&self, count: u32) {
        until("they begin", async || self.begun.load(Ordering::Relaxed) >= count).await;
    }

    async fn has_ended(&self, count: u32) {
        until("they end", async || self.ended.load(Ordering::Relaxed) >= count).await;
    }
}

/// The items are delivered again after the database works again.
async fn depth(place: &Place) -> u64 {
    place.inbox().await.status().await.unwrap().depth
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_locked_before_the_stop() {
    let place = Place::new(Kind::Sqlite).await.unwrap();
    let (inbox, gate) = (place.inbox().await, Gate::new());
    for event in events(2) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()));
    gate.has_begun(2).await;
    let pool = place.sqlite().await;
    let mut conn = pool.acquire().await.unwrap();
    let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // The end of the first one can't be stored. The second one ends meanwhile.
    gate.first.add_permits(1);
    gate.has_ended(1).await;
    let later = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.others.add_permits(1);
    });
    running.stop_within(LIMIT).await;
    later.await.unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(depth(&place).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_locked_during_the_stop() {
    let place = Place::new(Kind::Sqlite).await.unwrap();
    let (inbox, gate) = (place.inbox().await, Gate::new());
    for event in events(3) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()));
    gate.has_begun(3).await;
    let stop = tokio::spawn(running.stop_within(LIMIT));
    // The end of the first one is stored.
    gate.first.add_permits(1);
    until("two are left", async || inbox.status().await.unwrap().depth == 2).await;
    let pool = place.sqlite().await;
    let mut conn = pool.acquire().await.unwrap();
    let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // The end of the second one can't be stored. The third one ends meanwhile.
    gate.others.add_permits(1);
    gate.has_ended(2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gate.others.add_permits(1);
    stop.await.unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(depth(&place).await, 2);
}

/// The patience begins with the stop, not with the outage.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_ends_soon_after_the_stop_costs_nothing() {
    let place = Place::new(Kind::Sqlite).await.unwrap();
    // It tries again often, so that it does so between the stop and the end of the outage.
    let options: SqliteConnectOptions = place.url.parse().unwrap();
    let options = options.create_if_missing(true).busy_timeout(Duration::from_millis(50));
    let inbox = Inbox::builder(SqlitePool::connect_with(options).await.unwrap());
    let inbox = inbox.prefix(&place.prefix).build().unwrap();
    inbox.migrate().await.unwrap();
    let gate = Gate::new();
    for event in events(2) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()));
    gate.has_begun(2).await;
    let pool = place.sqlite().await;
    let mut conn = pool.acquire().await.unwrap();
    let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    gate.first.add_permits(1);
    gate.others.add_permits(1);
    // Longer than the patience.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let stop = tokio::spawn(running.stop_within(LIMIT));
    tokio::time::sleep(Duration::from_secs(3)).await;
    lock.rollback().await.unwrap();
    stop.await.unwrap();
    assert_eq!(depth(&place).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_period_ends_while_sqlite_is_locked() {
    let place = Place::new(Kind::Sqlite).await.unwrap();
    let (inbox, gate) = (place.inbox().await, Gate::new());
    for event in events(2) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()).grace(Duration::from_secs(2)));
    gate.has_begun(2).await;
    let pool = place.sqlite().await;
    let mut conn = pool.acquire().await.unwrap();
    let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // The second one hangs until the end of the grace period.
    gate.first.add_permits(1);
    gate.has_ended(1).await;
    running.stop_within(LIMIT).await;
    lock.rollback().await.unwrap();
    assert_eq!(depth(&place).await, 2);
}

/// A place whose server is reached through a proxy, and the URL of the server itself.
async fn proxied() -> Option<(Place, Proxy, String)> {
    let mut place = Place::new(Kind::Postgres).await?;
    let direct = place.url.clone();
    let proxy = Proxy::to(&place).await.unwrap();
    place.url = proxy.url(&place);
    Some((place, proxy, direct))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_unreachable_before_the_stop() {
    let Some((mut place, proxy, direct)) = proxied().await else { return };
    let (inbox, gate) = (place.inbox().await, Gate::new());
    // Most of them are claimed, and wait for a place.
    for event in events(100) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()).concurrency(2));
    gate.has_begun(2).await;
    proxy.stop().await;
    // After a second, those that wait for a place are to be returned, which fails.
    tokio::time::sleep(Duration::from_secs(3)).await;
    gate.first.add_permits(1);
    gate.others.add_permits(100);
    gate.has_ended(2).await;
    running.stop_within(LIMIT).await;
    place.url = direct;
    assert_eq!(depth(&place).await, 100);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_unreachable_during_the_stop() {
    let Some((mut place, proxy, direct)) = proxied().await else { return };
    let (inbox, gate) = (place.inbox().await, Gate::new());
    for event in events(100) {
        inbox.store(&event).await.unwrap();
    }
    let running = run(inbox.worker(gate.service()).concurrency(2));
    gate.has_begun(2).await;
    let stop = tokio::spawn(running.stop_within(LIMIT));
    proxy.stop().await;
    gate.first.add_permits(1);
    gate.others.add_permits(100);
    stop.await.unwrap();
    place.url = direct;
    assert_eq!(depth(&place).await, 100);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_period_ends_while_postgresql_is_unreachable() {
    let Some((mut place, proxy, direct)) = proxied().await else { return };
    let (inbox, gate) = (place.inbox().await, Gate::new());
    for event in events(100) {
        inbox.store(&event).await.unwrap();
    }
    let worker = inbox.worker(gate.service()).concurrency(2).grace(Duration::from_secs(2));
    let running = run(worker);
    gate.has_begun(2).await;
    proxy.stop().await;
    running.stop_within(LIMIT).await;
    place.url = direct;
    assert_eq!(depth(&place).await, 100);
    place.remove().await;
}
