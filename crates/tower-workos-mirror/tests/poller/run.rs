//! Pollers that run.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};
use tower_workos_mirror::{ApiErrorKind, EventsPoller, PollErrorKind};

use crate::{
    databases::on_both,
    stub::{OLD, Page, Stub, event},
    support::{MINUTE, World, assert_equal, cursor, within},
};

#[tokio::test]
async fn a_poller_follows_until_shutdown() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let (drained, mut drains) = mpsc::unbounded_channel();
        let poller =
            world.poller(&mirror).on_drain(move |drain| drained.send(*drain).unwrap_or_default());
        let shutdown = Arc::new(Notify::new());
        let stop = Arc::clone(&shutdown);
        let running = tokio::spawn(
            poller.clone().run(Duration::from_millis(5), async move { stop.notified().await }),
        );
        assert!(drains.recv().await.unwrap().gap);
        let mut events = 0;
        for _ in 0..3 {
            world.users(120);
            world.after(MINUTE * 2);
            while cursor(&poller).await.after.as_ref() != world.happened.last() {
                events += drains.recv().await.unwrap().events;
            }
        }
        shutdown.notify_one();
        running.await.unwrap().unwrap();
        while let Ok(drain) = drains.try_recv() {
            events += drain.events;
        }
        assert_eq!(events, 361);
        assert_equal(&world, &mirror).await;
    }))
    .await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_the_api() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let page = Page::Events(vec![event(1, OLD)], Some("event_1"));
        let (stub, api) = Stub::start([page, Page::Never]).await;
        let poller = EventsPoller::new(mirror, api);
        let shutdown = async {
            while stub.queries().len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let run = poller.clone().run(Duration::from_secs(3600), shutdown);
        tokio::time::timeout(Duration::from_secs(10), run).await.unwrap().unwrap();
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_1"));
    }))
    .await;
}

#[tokio::test]
async fn only_failures_that_pass_are_survived() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        // The API has forgotten an event that it has just returned, which is a temporary failure.
        let (stub, api) = Stub::start([
            Page::Events(vec![event(1, OLD)], Some("event_1")),
            Page::Status(422),
            Page::Events(vec![event(2, OLD)], Some("event_2")),
            Page::Status(422),
            Page::Events(vec![event(3, OLD)], None),
            Page::Status(401),
        ])
        .await;
        let drains = Arc::<Mutex<Vec<u64>>>::default();
        let seen = Arc::clone(&drains);
        let poller = EventsPoller::new(mirror, api)
            .on_drain(move |drain| seen.lock().unwrap().push(drain.events));
        let run = poller.run(Duration::from_millis(1), std::future::pending());
        let error = run.await.unwrap_err();
        assert_eq!(error.kind(), PollErrorKind::Api(ApiErrorKind::Unauthorized));
        assert_eq!(*drains.lock().unwrap(), [1]);
        assert_eq!(stub.queries().len(), 6);
    }))
    .await;
}
