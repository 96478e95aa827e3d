//! NATS JetStream only.

use std::{
    borrow::Cow,
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{self, Context, message::PublishMessage};
use tokio::sync::Semaphore;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{
    Inbox, InboxErrorKind, Job, Payload, Permanent, Queue, QueueStatus, RetryAfter, Stored,
};

use crate::{
    nats_server::Server,
    support::{Handled, Kind, Place, events, run, until},
};

async fn place() -> Option<Place> {
    Place::new(Kind::Nats).await
}

async fn context(place: &Place) -> Context {
    jetstream::new(async_nats::connect(&place.url).await.unwrap())
}

fn broken(
    attempts: &Arc<AtomicU32>,
) -> impl tower::Service<
    DirectoryEvent,
    Response = (),
    Error = Permanent,
    Future = impl Future<Output = Result<(), Permanent>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let attempts = Arc::clone(attempts);
    service_fn(move |_| {
        attempts.fetch_add(1, Ordering::Relaxed);
        async { Err(Permanent::new("a bug")) }
    })
}

/// The server is down for this long.
fn outage() -> Duration {
    let seconds = std::env::var("NATS_DOWN_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_server_is_killed() {
    let Some(mut server) = Server::new(&[]).await else { return };
    let inbox = server.builder().await.build().unwrap();
    inbox.migrate().await.unwrap();
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    let events = Arc::new(events(2000));
    // How many were stored, and how many calls failed meanwhile.
    let (stored, failed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let storing = {
        let (inbox, events) = (inbox.clone(), events.clone());
        let (stored, failed) = (stored.clone(), failed.clone());
        tokio::spawn(async move {
            for event in &*events {
                while let Err(error) = inbox.store(event).await {
                    assert_eq!(error.kind(), InboxErrorKind::Storage, "{error:?}");
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                stored.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for (count, is_killed) in [(400, true), (1000, false)] {
        until("some are stored", async || stored.load(Ordering::Relaxed) > count).await;
        if is_killed {
            server.kill().await
        } else {
            server.terminate().await
        }
        let failures = failed.load(Ordering::Relaxed);
        until("storing fails", async || failed.load(Ordering::Relaxed) > failures + 1).await;
        tokio::time::sleep(outage()).await;
        server.start().await;
    }
    storing.await.unwrap();
    until("nothing is left", async || inbox.status().await.is_ok_and(|it| it.depth == 0)).await;
    running.stop().await;
    let expected: Vec<_> = events.iter().map(|event| event.id().as_str().to_owned()).collect();
    let mut unique = handled.sorted();
    unique.dedup();
    assert_eq!(unique, expected);
    // The server itself has forgotten the ids of those that were handled before it was restarted.
    let inbox = Inbox::new(server.context().await);
    for event in &events[..400] {
        assert_eq!(inbox.store(event).await.unwrap(), Stored::Duplicate);
    }
    assert_eq!(inbox.status().await.unwrap(), QueueStatus::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_delayed_items_block_no_other_one() {
    let Some(place) = place().await else { return };
    let inbox = place.inbox().await;
    let (attempts, handled) = (Arc::new(AtomicU32::new(0)), Handled::default());
    let service = {
        let (attempts, handled) = (attempts.clone(), handled.clone());
        service_fn(move |event: DirectoryEvent| {
            let (attempts, handled) = (attempts.clone(), handled.clone());
            async move {
                if event.id().as_str() == "event_02000" {
                    handled.add(&event);
                    return Ok(());
                }
                attempts.fetch_add(1, Ordering::Relaxed);
                Err(RetryAfter::new(Duration::from_secs(4 * 60 * 60), "503"))
            }
        })
    };
    let events = events(2001);
    let running = run(inbox.worker(service));
    let mut storing = tokio::task::JoinSet::new();
    for event in &events[..2000] {
        let (inbox, event) = (inbox.clone(), event.clone());
        storing.spawn(async move { inbox.store(&event).await.unwrap() });
        if storing.len() >= 100 {
            storing.join_next().await.unwrap().unwrap();
        }
    }
    storing.join_all().await;
    until("each has failed once", async || attempts.load(Ordering::Relaxed) == 2000).await;
    inbox.store(&events[2000]).await.unwrap();
    until("the fresh one is handled", async || handled.len() == 1).await;
    until("it is done", async || inbox.status().await.unwrap().depth == 2000).await;
    running.stop().await;
    assert_eq!(attempts.load(Ordering::Relaxed), 2000);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_survives_a_restart_of_the_server() {
    let Some(mut server) = Server::new(&[]).await else { return };
    let inbox = server.builder().await.build().unwrap();
    inbox.migrate().await.unwrap();
    let (attempts, handled) = (Arc::new(AtomicU32::new(0)), Handled::default());
    let service = {
        let (attempts, handled) = (attempts.clone(), handled.clone());
        service_fn(move |event: DirectoryEvent| {
            let (attempts, handled) = (attempts.clone(), handled.clone());
            async move {
                if event.id().as_str() == "event_00000" {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    return Err(RetryAfter::new(Duration::from_secs(4 * 60 * 60), "503"));
                }
                handled.add(&event);
                Ok(())
            }
        })
    };
    let running = run(inbox.worker(service).lease(Duration::from_secs(1)));
    let events = events(3);
    inbox.store(&events[0]).await.unwrap();
    until("it has failed", async || attempts.load(Ordering::Relaxed) == 1).await;
    for (number, event) in events.iter().enumerate().skip(1) {
        if number == 1 {
            server.terminate().await
        } else {
            server.kill().await
        }
        server.start().await;
        until("it is stored", async || inbox.store(event).await.is_ok()).await;
        until("another one is handled", async || handled.len() == number).await;
        // Longer than the lease.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    running.stop().await;
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_dead_letter_makes_no_second_one() {
    let Some(place) = place().await else { return };
    let inbox = place.inbox().await;
    inbox.store(&events(1)[0]).await.unwrap();
    let context = context(&place).await;
    let (jobs, dead) = (format!("{}-inbox", place.prefix), format!("{}-inbox-dead", place.prefix));
    let stream = context.get_stream(&jobs).await.unwrap();
    let message = stream.get_raw_message(1).await.unwrap();
    // What a worker did before it was killed.
    let published = message.time.unix_timestamp_nanos() / 1000;
    let letter = PublishMessage::build()
        .message_id(format!("dead:1:{published}"))
        .payload(message.payload.clone());
    context.send_publish(dead, letter).await.unwrap().await.unwrap();
    let attempts = Arc::new(AtomicU32::new(0));
    let running = run(inbox.worker(broken(&attempts)));
    until("it is no job", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!((inbox.status().await.unwrap().dead, attempts.load(Ordering::Relaxed)), (1, 1));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_revivals_at_the_same_time_make_one_job() {
    let Some(place) = place().await else { return };
    let inbox = place.inbox().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let running = run(inbox.worker(broken(&attempts)));
    for event in events(20) {
        inbox.store(&event).await.unwrap();
    }
    until("they are dead", async || inbox.status().await.unwrap().dead == 20).await;
    running.stop().await;
    let other = place.inbox().await;
    for letter in inbox.dead_letters(0, 20).await.unwrap() {
        let revivals = tokio::join!(
            inbox.retry_dead_letter(letter.seq),
            other.retry_dead_letter(letter.seq),
            inbox.retry_dead_letter(letter.seq),
        );
        let found = [revivals.0, revivals.1, revivals.2].map(|it| u32::from(it.unwrap()));
        assert_eq!(found.iter().sum::<u32>(), 1);
    }
    let status = inbox.status().await.unwrap();
    assert_eq!((status.depth, status.dead), (20, 0));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_do_not_mix() {
    let Some(place) = place().await else { return };
    let first = place.inbox().await;
    let second = place.inbox_with(|it| it.name("other")).await;
    let event = &events(1)[0];
    assert_eq!(first.store(event).await.unwrap(), Stored::New);
    assert_eq!(second.store(event).await.unwrap(), Stored::New);
    let handled = Handled::default();
    let running = run(first.worker(handled.service()));
    until("the first is empty", async || first.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!((handled.len(), second.status().await.unwrap().depth), (1, 1));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_is_reported() {
    let Some(place) = place().await else { return };
    let inbox = place.inbox().await;
    let context = context(&place).await;
    for stream in ["-inbox-keys", "-inbox"] {
        let running = run(inbox.worker(Handled::default().service()));
        context.delete_stream(format!("{}{stream}", place.prefix)).await.unwrap();
        let error = inbox.store(&events(1)[0]).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::NotMigrated, "{error:?}");
        if stream == "-inbox" {
            assert_eq!(running.failed().await.kind(), InboxErrorKind::NotMigrated);
            let error = inbox.status().await.unwrap_err();
            assert_eq!(error.kind(), InboxErrorKind::NotMigrated, "{error:?}");
        } else {
            running.stop().await;
        }
        inbox.migrate().await.unwrap();
    }
    place.remove().await;
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Text(String);

impl Payload for Text {
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.len().to_string())
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("text")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_too_large_is_rejected() {
    let Some(place) = place().await else { return };
    let context = context(&place).await;
    let queue: Queue<Text> = Queue::builder(context.clone()).prefix(&place.prefix).build().unwrap();
    queue.migrate().await.unwrap();
    let max = context.client().max_payload();
    let error = queue.store(&Text("x".repeat(max - 100))).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::TooLarge);
    assert!(error.to_string().contains("max_payload"), "{error}");
    assert_eq!(queue.status().await.unwrap(), QueueStatus::default());
    // The largest item that is accepted can become a dead letter.
    let mut length = max;
    while queue.store(&Text("x".repeat(length))).await.is_err() {
        length -= 64;
    }
    assert!(max - length < 16 * 1024, "{length}");
    let worst = "\u{1}".repeat(2000);
    let service = service_fn(move |_: Job<Text>| {
        let error = Permanent::new(worst.clone());
        async { Err::<(), _>(error) }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = queue.job_worker(service);
    let running = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
    until("it is dead", async || queue.status().await.unwrap().dead == 1).await;
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(queue.status().await.unwrap().depth, 0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_lease_of_the_running_workers_counts() {
    let Some(place) = place().await else { return };
    let (first, second) = (place.inbox().await, place.inbox().await);
    let (begun, may_end) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let service = {
        let (begun, may_end) = (begun.clone(), may_end.clone());
        service_fn(move |_: DirectoryEvent| {
            begun.fetch_add(1, Ordering::Relaxed);
            let may_end = may_end.clone();
            async move { may_end.acquire().await.map(|it| it.forget()) }
        })
    };
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
    let slow = run(first.worker(service).lease(long).concurrency(1));
    first.store(&events(1)[0]).await.unwrap();
    until("it has begun", async || begun.load(Ordering::Relaxed) == 1).await;
    let handled = Handled::default();
    let quick = run(second.worker(handled.service()).lease(short));
    second.store(&events(2)[1]).await.unwrap();
    until("the other one is handled", async || handled.len() == 1).await;
    let lease = async || {
        let context = context(&place).await;
        let stream = context.get_stream(format!("{}-inbox", place.prefix)).await.unwrap();
        stream.consumer_info("worker").await.unwrap().config.ack_wait
    };
    assert_eq!(lease().await, long);
    may_end.add_permits(1);
    until("nothing is left", async || first.status().await.unwrap().depth == 0).await;
    slow.stop().await;
    quick.stop().await;
    assert_eq!((begun.load(Ordering::Relaxed), handled.len()), (1, 1));
    // No other worker runs.
    let quick = run(second.worker(handled.service()).lease(short));
    until("the lease is short", async || lease().await == short).await;
    quick.stop().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_only_the_retention() {
    let Some(place) = place().await else { return };
    let _ = place.inbox().await;
    let context = context(&place).await;
    let keys = format!("{}-inbox-keys", place.prefix);
    let mut config = context.get_stream(&keys).await.unwrap().cached_info().config.clone();
    assert_eq!(config.max_age, Duration::from_secs(7 * 24 * 60 * 60));
    config.max_bytes = 1_000_000;
    context.update_stream(&config).await.unwrap();
    let _ = place.inbox_with(|it| it.retention(Duration::from_secs(600))).await;
    let config = context.get_stream(&keys).await.unwrap().cached_info().config.clone();
    let ten = Duration::from_secs(600);
    assert_eq!((config.max_age, config.duplicate_window, config.max_bytes), (ten, ten, 1_000_000));
    // A stream of something else is not touched.
    let other = format!("{}-other", place.prefix);
    let foreign = jetstream::stream::Config { name: other, ..Default::default() };
    context.create_stream(foreign).await.unwrap();
    let inbox = Inbox::builder(context.clone()).prefix(&place.prefix).name("other").build();
    let error = inbox.unwrap().migrate().await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Config, "{error:?}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_url() {
    let Some(server) = Server::new(&["--user", "w@rk", "--pass", "p:/ss%"]).await else { return };
    let inbox = Inbox::connect(&server.url("w%40rk:p%3A%2Fss%25@")).await.unwrap();
    inbox.migrate().await.unwrap();
    assert_eq!(inbox.status().await.unwrap(), QueueStatus::default());
    assert!(!format!("{inbox:?}").contains("ss"));
    for wrong in ["w%40rk:secret@", "secret@", ""] {
        let error = Inbox::connect(&server.url(wrong)).await.unwrap_err();
        assert!(error.to_string().contains("rejected the user"), "{error}");
        let source = error.source().map(ToString::to_string);
        assert!(!format!("{error} {error:?} {source:?}").contains("secret"));
    }
    let Some(server) = Server::new(&["--auth", "t@ken"]).await else { return };
    let inbox = Inbox::connect(&server.url("t%40ken@")).await.unwrap();
    inbox.migrate().await.unwrap();
}
