//! Outages as long as real ones: no event is lost, and the worker continues when they are over.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod proxy;
#[path = "../it/support.rs"]
mod support;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use proxy::Proxy;
use sqlx::Connection as _;
use tokio::time::{sleep, timeout};
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::Inbox;

use support::{Handled, Kind, Place, events, run, until};

/// Stores an event as WorkOS delivers it: again and again until it is acknowledged.
async fn deliver(inbox: &Inbox, event: &DirectoryEvent) -> u32 {
    let mut failures = 0;
    while inbox.store(event).await.is_err() {
        failures += 1;
        sleep(Duration::from_millis(50)).await;
    }
    failures
}

/// The handler's dependency is down for a minute. The waits are the defaults.
async fn dependency(kind: Kind) {
    let Some(place) = Place::new(kind).await else { return };
    let inbox = place.inbox().await;
    let (handled, is_down, failures) =
        (Handled::default(), Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let service = {
        let (handled, is_down, failures) = (handled.clone(), is_down.clone(), failures.clone());
        service_fn(move |event: DirectoryEvent| {
            let (handled, is_down, failures) = (handled.clone(), is_down.clone(), failures.clone());
            async move {
                if is_down.load(Ordering::Relaxed) {
                    failures.fetch_add(1, Ordering::Relaxed);
                    return Err(io::Error::other("the dependency is down"));
                }
                handled.add(&event);
                Ok(())
            }
        })
    };
    let running = run(inbox.worker(service));
    let events = events(240);
    for event in &events {
        deliver(&inbox, event).await;
        sleep(Duration::from_millis(250)).await;
    }
    let attempts = failures.load(Ordering::Relaxed);
    // Each event was attempted, but not in a busy loop: 1 s, 2 s, 4 s … apart.
    assert!((240..240 * 10).contains(&attempts), "{attempts} attempts");
    let status = inbox.status().await.unwrap();
    assert_eq!((status.depth, status.dead), (240, 0));
    is_down.store(false, Ordering::Relaxed);
    // The longest wait is as long as the outage was.
    let waiting = async {
        while inbox.status().await.unwrap().depth > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(90), waiting).await.expect("all are handled");
    running.stop().await;
    assert_eq!(handled.sorted(), ids(&events));
    println!("{kind:?}: 240 events, {attempts} attempts while the dependency was down");
    place.remove().await;
}

fn ids(events: &[DirectoryEvent]) -> Vec<String> {
    events.iter().map(|event| event.id().as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dependency_is_down_for_a_minute() {
    tokio::join!(dependency(Kind::Sqlite), dependency(Kind::Postgres), dependency(Kind::Nats));
}

/// The database or the broker is down for 10 seconds while events arrive and are handled.
async fn storage(kind: Kind) {
    let Some(mut place) = Place::new(kind).await else { return };
    let proxy = Proxy::to(&place).await;
    if let Some(proxy) = &proxy {
        place.url = proxy.url(&place);
    }
    // Two processes.
    let settings = |builder: tower_workos_inbox::QueueBuilder<DirectoryEvent>| {
        builder.timeout(Duration::from_secs(1))
    };
    let (storing, working) = (place.inbox_with(settings).await, place.inbox_with(settings).await);
    let handled = Handled::default();
    let service = {
        let handled = handled.clone();
        service_fn(move |event: DirectoryEvent| {
            let handled = handled.clone();
            async move {
                sleep(Duration::from_millis(20)).await;
                handled.add(&event);
                Ok::<_, io::Error>(())
            }
        })
    };
    let running = run(working.worker(service).lease(Duration::from_secs(2)));
    let events = events(400);
    let sending = tokio::spawn({
        let events = events.clone();
        async move {
            let mut failures = 0;
            for event in &events {
                failures += deliver(&storing, event).await;
                sleep(Duration::from_millis(10)).await;
            }
            failures
        }
    });
    until("it works", async || handled.len() > 20).await;
    let before = handled.len();
    match &proxy {
        Some(proxy) => {
            proxy.stop().await;
            sleep(Duration::from_secs(10)).await;
            proxy.start();
        }
        // Another process keeps SQLite locked.
        None => {
            let pool = place.sqlite().await;
            let mut conn = pool.acquire().await.unwrap();
            let lock = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
            sleep(Duration::from_secs(10)).await;
            lock.rollback().await.unwrap();
        }
    }
    let during = handled.len() - before;
    let failures =
        timeout(Duration::from_secs(60), sending).await.expect("all are stored").unwrap();
    assert!(failures > 0, "{kind:?}: nothing failed while it was down");
    let inbox = place.inbox_with(settings).await;
    until("nothing is left", async || inbox.status().await.is_ok_and(|status| status.depth == 0))
        .await;
    running.stop().await;
    let mut all = handled.sorted();
    let repeated = all.len();
    all.dedup();
    let repeated = repeated - all.len();
    assert_eq!(all, ids(&events), "{kind:?}");
    // Only those that were being handled when it went down.
    assert!(repeated <= 16 + during, "{kind:?}: {repeated} were handled twice");
    println!(
        "{kind:?}: down for 10 s: {failures} responses with 503, 0 lost, {repeated} handled twice"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_locked() {
    storage(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_down() {
    storage(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_down() {
    storage(Kind::Nats).await;
}
