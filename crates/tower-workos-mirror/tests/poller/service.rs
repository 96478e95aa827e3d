//! Services that are not the mirror.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::sync::Notify;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_mirror::{
    CursorStore, Drain, EventsCursor, MemoryCursor, PollErrorKind, ServicePoller,
};

use crate::{
    stub::{OLD, Page, Stub, event},
    support::{MINUTE, World, within},
};

/// The ids of the delivered events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, event: &DirectoryEvent) {
        self.0.lock().unwrap().push(event.id().as_str().to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn after(store: &MemoryCursor) -> Option<String> {
    store.load().await.unwrap().unwrap().after
}

#[tokio::test]
async fn events_are_delivered_in_order() {
    within(async {
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let (log, store) = (Log::default(), MemoryCursor::new());
        let delivered = log.clone();
        let service = service_fn(move |event: DirectoryEvent| {
            assert_eq!(event.signature(), None);
            delivered.push(&event);
            async { Ok::<_, Infallible>("ignored") }
        });
        let mut poller = ServicePoller::new(service, store.clone(), world.api.clone());
        assert!(poller.drain().await.unwrap().gap);
        world.users(250);
        world.after(MINUTE * 2);
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.letters, drain.gap, drain.lag), (250, 0, false, MINUTE));
        assert_eq!(log.take(), world.happened);
        assert_eq!(after(&store).await.as_ref(), world.happened.last());
        assert_eq!(poller.drain().await.unwrap().events, 0);
    })
    .await;
}

#[tokio::test]
async fn a_failure_stops_the_position() {
    within(async {
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let (log, store) = (Log::default(), MemoryCursor::new());
        let (delivered, failing) = (log.clone(), Arc::new(Mutex::new(BTreeSet::from([1, 7, 150]))));
        let failures = Arc::clone(&failing);
        let service = service_fn(move |event: DirectoryEvent| {
            let number = event.id().as_str()["event_".len()..].parse::<u32>().unwrap();
            let fails = failures.lock().unwrap().remove(&number);
            if !fails {
                delivered.push(&event);
            }
            async move { if fails { Err(io::Error::other("no")) } else { Ok(()) } }
        });
        let mut poller = ServicePoller::new(service, store.clone(), world.api.clone());
        poller.drain().await.unwrap();
        world.users(200);
        world.after(MINUTE * 2);
        let mut reached = Vec::new();
        loop {
            match poller.drain().await {
                Ok(drain) => {
                    assert_eq!(drain.lag, MINUTE);
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), PollErrorKind::Service);
                    assert!(error.is_temporary());
                    reached.push((error.to_string(), after(&store).await));
                }
            }
        }
        let failed = |number: usize| {
            let before = (number > 1).then(|| format!("event_{:05}", number - 1));
            (format!("the service failed at the event \"event_{number:05}\""), before)
        };
        assert_eq!(reached, [failed(1), failed(7), failed(150)]);
        // In order, and none of them twice: the position was moved after each event.
        assert_eq!(log.take(), world.happened);
    })
    .await;
}

/// The process ends after the service has handled an event, and before the position is stored.
#[tokio::test]
async fn events_are_delivered_again_if_the_position_was_not_stored() {
    #[derive(Clone)]
    struct Failing(MemoryCursor, Arc<Mutex<bool>>);

    impl CursorStore for Failing {
        type Error = io::Error;

        async fn load(&self) -> io::Result<Option<EventsCursor>> {
            self.0.load().await.map_err(io::Error::other)
        }

        async fn compare_and_set(
            &self,
            expected: Option<&EventsCursor>,
            new: &EventsCursor,
        ) -> io::Result<bool> {
            if *self.1.lock().unwrap() {
                return Err(io::Error::other("no"));
            }
            self.0.compare_and_set(expected, new).await.map_err(io::Error::other)
        }
    }

    within(async {
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let (log, fails) = (Log::default(), Arc::new(Mutex::new(false)));
        let store = Failing(MemoryCursor::new(), Arc::clone(&fails));
        let delivered = log.clone();
        let service = service_fn(move |event: DirectoryEvent| {
            delivered.push(&event);
            async { Ok::<_, Infallible>(()) }
        });
        let mut poller = ServicePoller::new(service, store, world.api.clone());
        poller.drain().await.unwrap();
        world.users(3);
        world.after(MINUTE * 2);
        *fails.lock().unwrap() = true;
        assert_eq!(poller.drain().await.unwrap_err().kind(), PollErrorKind::Store);
        *fails.lock().unwrap() = false;
        poller.drain().await.unwrap();
        assert_eq!(log.take(), [world.happened.clone(), world.happened].concat());
    })
    .await;
}

/// The one that moved the position first wins. The other one reads the position again, so it never goes back.
#[tokio::test]
async fn two_pollers_share_a_position() {
    within(async {
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let (log, store) = (Log::default(), MemoryCursor::new());
        let delivered = log.clone();
        let service = service_fn(move |event: DirectoryEvent| {
            delivered.push(&event);
            async {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(())
            }
        });
        let mut one = ServicePoller::new(service, store.clone(), world.api.clone());
        let mut other = one.clone();
        one.drain().await.unwrap();
        world.users(450);
        world.after(MINUTE * 2);
        let (one, other) = tokio::join!(one.drain(), other.drain());
        // Only the one that moved the position counts.
        assert_eq!(one.unwrap().events + other.unwrap().events, 450);
        assert_eq!(log.take().iter().collect::<BTreeSet<_>>(), world.happened.iter().collect());
        let cursor = store.load().await.unwrap().unwrap();
        assert_eq!(cursor.after.as_ref(), world.happened.last());
        assert!(!store.compare_and_set(None, &cursor).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn unreadable_events_are_shown_to_the_application() {
    within(async {
        let bad = json!({ "id": "event_2", "event": "dsync.user.deleted", "data": {}, "created_at": OLD });
        let items = vec![event(1, OLD), bad.clone(), event(3, OLD)];
        let (_stub, api) = Stub::start([Page::Events(items, None)]).await;
        let (log, store, bodies) =
            (Log::default(), MemoryCursor::new(), Arc::<Mutex<Vec<_>>>::default());
        let (delivered, seen) = (log.clone(), Arc::clone(&bodies));
        let service = service_fn(move |event: DirectoryEvent| {
            delivered.push(&event);
            async { Ok::<_, Infallible>(()) }
        });
        let mut poller = ServicePoller::new(service, store.clone(), api)
            .on_unreadable(move |error| seen.lock().unwrap().push(error.raw().clone()));
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.letters), (2, 1));
        assert_eq!(log.take(), ["event_1", "event_3"]);
        assert_eq!(*bodies.lock().unwrap(), [bad.to_string()]);
        assert_eq!(after(&store).await.as_deref(), Some("event_3"));
    })
    .await;
}

#[tokio::test]
async fn after_shutdown_the_call_under_way_is_completed() {
    within(async {
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let (log, store) = (Log::default(), MemoryCursor::new());
        let (begun, shutdown, go_on) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (delivered, signal, gate) = (log.clone(), Arc::clone(&begun), Arc::clone(&go_on));
        let service = service_fn(move |event: DirectoryEvent| {
            let (delivered, signal, gate) =
                (delivered.clone(), Arc::clone(&signal), Arc::clone(&gate));
            async move {
                if event.id().as_str() == "event_00003" {
                    signal.notify_one();
                    gate.notified().await;
                }
                delivered.push(&event);
                Ok::<_, Infallible>(())
            }
        });
        let drains = Arc::<Mutex<Vec<Drain>>>::default();
        let seen = Arc::clone(&drains);
        let mut poller = ServicePoller::new(service, store.clone(), world.api.clone())
            .on_drain(move |drain| seen.lock().unwrap().push(*drain));
        poller.drain().await.unwrap();
        world.users(10);
        world.after(MINUTE * 2);
        let stop = Arc::clone(&shutdown);
        let running = tokio::spawn(async move {
            poller.run(Duration::from_secs(3600), async move { stop.notified().await }).await
        });
        begun.notified().await;
        shutdown.notify_one();
        go_on.notify_one();
        running.await.unwrap().unwrap();
        assert_eq!(log.take(), world.happened[..3]);
        // It is not at the end of the stream.
        let drains = drains.lock().unwrap().clone();
        assert_eq!((drains.len(), drains[0].events), (1, 3));
        assert!(drains[0].lag > MINUTE, "{drains:?}");
        assert_eq!(after(&store).await.as_deref(), Some("event_00003"));
    })
    .await;
}

/// Whether the API itself limits a query after a position to 30 days is not documented.
#[tokio::test]
async fn an_old_position_is_followed_in_windows() {
    within(async {
        let next = |number, at| Page::Events(vec![event(number, at)], None);
        let (stub, api) = Stub::start([
            // To learn the API's time.
            Page::Events(Vec::new(), None),
            next(2, "2025-12-01T00:00:00Z"),
            next(3, OLD),
        ])
        .await;
        let store = MemoryCursor::new();
        let old = json!({
            "started_at": "2025-11-01T00:00:00Z", "after": "event_1", "event_at": "2025-11-10T00:00:00Z",
            "drained_at": "2025-11-10T00:01:00Z"
        });
        let old = serde_json::from_value(old).unwrap();
        assert!(store.compare_and_set(None, &old).await.unwrap());
        let service = service_fn(async |_: DirectoryEvent| Ok::<_, Infallible>(()));
        let drain = ServicePoller::new(service, store.clone(), api).drain().await.unwrap();
        assert_eq!((drain.events, drain.gap, drain.lag), (2, false, MINUTE));
        let queries = stub.queries();
        let has = |query: usize, texts: [&str; 2]| {
            assert!(texts.iter().all(|text| queries[query].contains(text)), "{queries:?}");
        };
        assert_eq!(queries.len(), 3);
        has(0, ["after=event_1", ""]);
        assert!(!queries[0].contains("range"), "{queries:?}");
        has(1, ["after=event_1", "range_end=2025-12-09T00%3A00%3A00Z"]);
        has(2, ["range_start=2025-12-08T23%3A59%3A59Z", ""]);
        assert!(!queries[2].contains("range_end"), "{queries:?}");
    })
    .await;
}

#[tokio::test]
async fn a_position_can_be_serialized() {
    within(async {
        let (_stub, api) = Stub::start([Page::Events(vec![event(1, OLD)], None)]).await;
        let store = MemoryCursor::new();
        let service = service_fn(async |_: DirectoryEvent| Ok::<_, Infallible>(()));
        ServicePoller::new(service, store.clone(), api).drain().await.unwrap();
        let cursor = store.load().await.unwrap().unwrap();
        let text = serde_json::to_string(&cursor).unwrap();
        let expected = r#"{"started_at":"2026-01-05T09:59:00Z","after":"event_1","event_at":"2026-01-05T09:59:00Z","drained_at":"2026-01-05T10:00:00Z"}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<EventsCursor>(&text).unwrap(), cursor);
    })
    .await;
}
