//! Handlers that fail.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Job, Permanent, Retry, RetryAfter};

use crate::support::{Handled, Place, events, on_each_engine, run, until};

on_each_engine!(
    a_poison_event_does_not_block_its_neighbours,
    a_dependency_that_is_down_costs_no_event,
    a_permanent_error_is_a_dead_letter,
    dead_letters_are_retried_or_deleted,
    a_wait_that_the_handler_asked_for,
    an_item_that_is_too_old_is_a_dead_letter,
    a_worker_that_stops_finishes_what_it_began,
    a_handler_that_exceeds_the_grace_period,
    the_items_of_a_killed_worker_are_delivered_again,
);

/// Quick, so that a test does not wait long.
fn quick() -> Retry {
    Retry::default().wait(Duration::from_millis(50), Duration::from_millis(400))
}

fn failed() -> io::Error {
    io::Error::other("the dependency is down")
}

async fn a_poison_event_does_not_block_its_neighbours(place: &Place) {
    let inbox = place.inbox().await;
    let (handled, poisoned) = (Handled::default(), Handled::default());
    let service = {
        let (handled, poisoned) = (handled.clone(), poisoned.clone());
        service_fn(move |event: DirectoryEvent| {
            let (handled, poisoned) = (handled.clone(), poisoned.clone());
            async move {
                // The even ones panic, and one of the others fails.
                let id = event.id().as_str().to_owned();
                if id.ends_with('0') {
                    poisoned.add(&event);
                    panic!("a poison event");
                }
                if id.ends_with('5') {
                    poisoned.add(&event);
                    return Err(failed());
                }
                handled.add(&event);
                Ok(())
            }
        })
    };
    let running = run(inbox.worker(service).concurrency(2).retry(quick()));
    for event in events(100) {
        inbox.store(&event).await.unwrap();
    }
    until("the neighbours are handled", async || handled.len() == 80).await;
    // The others are attempted again and again.
    until("several attempts", async || poisoned.len() > 60).await;
    running.stop().await;
    let status = inbox.status().await.unwrap();
    assert_eq!((status.depth, status.dead), (20, 0));
}

async fn a_dependency_that_is_down_costs_no_event(place: &Place) {
    let inbox = place.inbox().await;
    let (handled, is_down, attempts) =
        (Handled::default(), Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let service = {
        let (handled, is_down, attempts) = (handled.clone(), is_down.clone(), attempts.clone());
        service_fn(move |event: DirectoryEvent| {
            let (handled, is_down) = (handled.clone(), is_down.clone());
            attempts.fetch_add(1, Ordering::Relaxed);
            async move {
                if is_down.load(Ordering::Relaxed) {
                    return Err(failed());
                }
                handled.add(&event);
                Ok(())
            }
        })
    };
    // More attempts than any engine's own limit of 25.
    let retry = Retry::default().wait(Duration::from_millis(5), Duration::from_millis(10));
    let running = run(inbox.worker(service).retry(retry));
    for event in events(4) {
        inbox.store(&event).await.unwrap();
    }
    until("many attempts", async || attempts.load(Ordering::Relaxed) > 4 * 40).await;
    assert_eq!(inbox.status().await.unwrap().dead, 0);
    is_down.store(false, Ordering::Relaxed);
    until("all are handled", async || handled.len() == 4).await;
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
}

async fn a_permanent_error_is_a_dead_letter(place: &Place) {
    let inbox = place.inbox().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let service = {
        let attempts = attempts.clone();
        service_fn(move |_: DirectoryEvent| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(io::Error::other(Permanent::new("the account is closed"))) }
        })
    };
    let running = run(inbox.worker(service).retry(quick()));
    let event = &events(1)[0];
    inbox.store(event).await.unwrap();
    until("it is dead", async || inbox.status().await.unwrap().dead == 1).await;
    assert_eq!(inbox.status().await.unwrap().depth, 0);
    let [letter] = &inbox.dead_letters(0, 10).await.unwrap()[..] else { panic!("one letter") };
    assert_eq!(letter.key, "event_00000");
    assert_eq!(letter.name, "dsync.user.created");
    assert_eq!(letter.error, "the account is closed");
    assert_eq!(letter.attempts, 1);
    let stored: DirectoryEvent = serde_json::from_slice(&letter.body).unwrap();
    assert_eq!(stored.raw(), event.raw());
    running.stop().await;
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
    assert!(inbox.dead_letters(letter.seq, 10).await.unwrap().is_empty());
}

async fn dead_letters_are_retried_or_deleted(place: &Place) {
    let inbox = place.inbox().await;
    let (handled, is_fixed) = (Handled::default(), Arc::new(AtomicBool::new(false)));
    let service = {
        let (handled, is_fixed) = (handled.clone(), is_fixed.clone());
        service_fn(move |event: DirectoryEvent| {
            let (handled, is_fixed) = (handled.clone(), is_fixed.clone());
            async move {
                if !is_fixed.load(Ordering::Relaxed) {
                    return Err(Permanent::new("a bug"));
                }
                handled.add(&event);
                Ok(())
            }
        })
    };
    let running = run(inbox.worker(service));
    let events = events(5);
    for event in &events {
        inbox.store(event).await.unwrap();
    }
    until("all are dead", async || inbox.status().await.unwrap().dead == 5).await;
    let letters = inbox.dead_letters(0, 2).await.unwrap();
    let more = inbox.dead_letters(letters[1].seq, 10).await.unwrap();
    assert_eq!((letters.len(), more.len()), (2, 3));
    is_fixed.store(true, Ordering::Relaxed);

    assert!(inbox.delete_dead_letter(letters[0].seq).await.unwrap());
    assert!(!inbox.delete_dead_letter(letters[0].seq).await.unwrap());
    assert!(!inbox.retry_dead_letter(letters[0].seq).await.unwrap());
    assert!(inbox.retry_dead_letter(letters[1].seq).await.unwrap());
    until("the one is handled", async || handled.len() == 1).await;
    assert!(!inbox.retry_dead_letter(letters[1].seq).await.unwrap());
    assert_eq!(inbox.retry_dead_letters().await.unwrap(), 3);
    until("the others are handled", async || handled.len() == 4).await;
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    assert_eq!(inbox.status().await.unwrap().dead, 0);
    // The keys of all five are known.
    for event in &events {
        assert_eq!(inbox.store(event).await.unwrap(), tower_workos_inbox::Stored::Duplicate);
    }
    running.stop().await;
    assert_eq!(handled.len(), 4);
}

async fn a_wait_that_the_handler_asked_for(place: &Place) {
    let inbox = place.inbox().await;
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let service = {
        let times = times.clone();
        service_fn(move |job: Job<DirectoryEvent>| {
            times.lock().unwrap().push(std::time::Instant::now());
            async move {
                match job.attempts() {
                    1 => Err(RetryAfter::new(Duration::from_millis(700), "429")),
                    _ => Ok(()),
                }
            }
        })
    };
    // The usual wait would be much longer.
    let minute = Duration::from_secs(60);
    let running = run(inbox.job_worker(service).retry(Retry::default().wait(minute, minute)));
    inbox.store(&events(1)[0]).await.unwrap();
    until("the second attempt", async || times.lock().unwrap().len() == 2).await;
    let wait = {
        let times = times.lock().unwrap();
        times[1] - times[0]
    };
    assert!(wait >= Duration::from_millis(690), "{wait:?}");
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
}

async fn an_item_that_is_too_old_is_a_dead_letter(place: &Place) {
    let inbox = place.inbox().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let service = {
        let attempts = attempts.clone();
        service_fn(move |_: DirectoryEvent| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(failed()) }
        })
    };
    let retry = quick().max_age(Duration::from_millis(1)).min_attempts(3);
    let running = run(inbox.worker(service).retry(retry));
    inbox.store(&events(1)[0]).await.unwrap();
    until("it is dead", async || inbox.status().await.unwrap().dead == 1).await;
    running.stop().await;
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    let [letter] = &inbox.dead_letters(0, 10).await.unwrap()[..] else { panic!("one letter") };
    assert_eq!((letter.error.as_str(), letter.attempts), ("the dependency is down", 3));
}

/// A handler that begins and waits until it may end.
fn slow(
    begun: Arc<AtomicU32>,
    may_end: Arc<AtomicBool>,
    handled: Handled,
) -> impl tower::Service<
    DirectoryEvent,
    Response = (),
    Error = io::Error,
    Future = impl Future<Output = io::Result<()>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |event: DirectoryEvent| {
        begun.fetch_add(1, Ordering::Relaxed);
        let (may_end, handled) = (may_end.clone(), handled.clone());
        async move {
            while !may_end.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            handled.add(&event);
            Ok(())
        }
    })
}

async fn a_worker_that_stops_finishes_what_it_began(place: &Place) {
    let inbox = place.inbox().await;
    let (begun, may_end, handled) = (Arc::default(), Arc::default(), Handled::default());
    let service = slow(Arc::clone(&begun), Arc::clone(&may_end), handled.clone());
    let running = run(inbox.worker(service).concurrency(3));
    for event in events(10) {
        inbox.store(&event).await.unwrap();
    }
    until("three have begun", async || begun.load(Ordering::Relaxed) == 3).await;
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stopping.is_finished());
    may_end.store(true, Ordering::Relaxed);
    stopping.await.unwrap();
    // It took no more, and the table shows the three as done.
    assert_eq!((handled.len(), begun.load(Ordering::Relaxed)), (3, 3));
    assert_eq!(inbox.status().await.unwrap().depth, 7);
    // Nothing is held back for the next worker.
    let running = run(inbox.worker(handled.service()));
    until("all are handled", async || handled.len() == 10).await;
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
}

async fn a_handler_that_exceeds_the_grace_period(place: &Place) {
    let inbox = place.inbox().await;
    let (begun, may_end, handled) = (Arc::default(), Arc::default(), Handled::default());
    let service = slow(Arc::clone(&begun), may_end, handled.clone());
    let running = run(inbox.worker(service).grace(Duration::from_millis(100)));
    inbox.store(&events(1)[0]).await.unwrap();
    until("it has begun", async || begun.load(Ordering::Relaxed) == 1).await;
    running.stop().await;
    assert_eq!((handled.len(), inbox.status().await.unwrap().depth), (0, 1));
    // The item is not locked until the end of a lease.
    let running = run(inbox.worker(handled.service()));
    let begin = std::time::Instant::now();
    until("it is handled", async || handled.len() == 1).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    running.stop().await;
}

async fn the_items_of_a_killed_worker_are_delivered_again(place: &Place) {
    let (first, second) = (place.inbox().await, place.inbox().await);
    let (begun, may_end, handled) = (Arc::default(), Arc::default(), Handled::default());
    let service = slow(Arc::clone(&begun), may_end, handled.clone());
    let lease = Duration::from_secs(1);
    let killed = run(first.worker(service).lease(lease));
    for event in events(3) {
        first.store(&event).await.unwrap();
    }
    until("they have begun", async || begun.load(Ordering::Relaxed) == 3).await;
    let running = run(second.worker(handled.service()).lease(lease));
    // The lease is renewed while they run.
    tokio::time::sleep(lease * 3).await;
    assert_eq!(handled.len(), 0);
    killed.kill().await;
    drop(first);
    until("they are handled", async || handled.len() == 3).await;
    until("nothing is left", async || second.status().await.unwrap().depth == 0).await;
    running.stop().await;
}
