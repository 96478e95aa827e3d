//! Storing and handling.

use std::time::Duration;

use tower_workos_inbox::{QueueStatus, Stored};

use crate::support::{Handled, Place, events, on_each_engine, run, until};

on_each_engine!(
    an_event_is_handled_once,
    duplicates_are_recognized_after_the_event_was_handled,
    items_that_wait_are_counted,
    two_workers_share_the_items,
    a_new_item_wakes_the_worker_of_another_process,
);

async fn an_event_is_handled_once(place: &Place) {
    let inbox = place.inbox().await;
    let events = events(50);
    for event in &events {
        assert_eq!(inbox.store(event).await.unwrap(), Stored::New);
    }
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    until("all are handled", async || handled.len() >= 50).await;
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    running.stop().await;
    let expected: Vec<_> = events.iter().map(|event| event.id().as_str().to_owned()).collect();
    assert_eq!(handled.sorted(), expected);
    assert_eq!(inbox.status().await.unwrap(), QueueStatus::default());
}

async fn duplicates_are_recognized_after_the_event_was_handled(place: &Place) {
    let inbox = place.inbox().await;
    let [event] = &events(1)[..] else { unreachable!() };
    assert_eq!(inbox.store(event).await.unwrap(), Stored::New);
    assert_eq!(inbox.store(event).await.unwrap(), Stored::Duplicate);
    let handled = Handled::default();
    let running = run(inbox.worker(handled.service()));
    until("nothing is left", async || inbox.status().await.unwrap().depth == 0).await;
    assert_eq!(inbox.store(event).await.unwrap(), Stored::Duplicate);
    // Also for another process.
    assert_eq!(place.inbox().await.store(event).await.unwrap(), Stored::Duplicate);
    running.stop().await;
    assert_eq!(handled.len(), 1);
    // At the same time, too.
    let other = &events(2)[1];
    let both = tokio::join!(inbox.store(other), inbox.store(other));
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(both == [Stored::New, Stored::Duplicate] || both == [Stored::Duplicate, Stored::New]);
}

async fn items_that_wait_are_counted(place: &Place) {
    let inbox = place.inbox().await;
    assert_eq!(inbox.status().await.unwrap(), QueueStatus::default());
    for event in events(3) {
        inbox.store(&event).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let status = inbox.status().await.unwrap();
    assert_eq!((status.depth, status.dead), (3, 0));
    let age = status.oldest_age.unwrap();
    assert!((Duration::from_millis(20)..Duration::from_secs(20)).contains(&age), "{age:?}");
}

async fn two_workers_share_the_items(place: &Place) {
    let (first, second) = (place.inbox().await, place.inbox().await);
    let (by_first, by_second) = (Handled::default(), Handled::default());
    let workers = [
        run(first.worker(by_first.service()).concurrency(2)),
        run(second.worker(by_second.service()).concurrency(2)),
    ];
    for chunk in events(400).chunks(20) {
        for event in chunk {
            first.store(event).await.unwrap();
        }
    }
    until("nothing is left", async || first.status().await.unwrap().depth == 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut all = by_first.sorted();
    all.extend(by_second.sorted());
    assert_eq!(all.len(), 400);
    assert!(by_first.len() > 0 && by_second.len() > 0, "both worked");
}

async fn a_new_item_wakes_the_worker_of_another_process(place: &Place) {
    let (storing, working) = (place.inbox().await, place.inbox().await);
    let handled = Handled::default();
    let running = run(working.worker(handled.service()));
    // It is idle now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (number, event) in events(5).iter().enumerate() {
        storing.store(event).await.unwrap();
        let begin = std::time::Instant::now();
        until("it is handled", async || handled.len() > number).await;
        // An engine that polls would take longer at least once.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    running.stop().await;
}
