//! The time from the acknowledgement of an event until its handler is called, in another process.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tower::service_fn;
use tower_workos::{DirectoryEvent, testing::sample};
use tower_workos_inbox::Inbox;

use crate::support::{Place, run, until};

/// 100 events a second.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn measure(place: &Place, count: usize) {
    let (storing, working) = (empty(place).await, empty(place).await);
    let begun = Arc::new(Mutex::new(HashMap::new()));
    let service = {
        let begun = Arc::clone(&begun);
        service_fn(move |event: DirectoryEvent| {
            begun.lock().unwrap().insert(event.id().to_string(), Instant::now());
            async { Ok::<_, Infallible>(()) }
        })
    };
    let ids: Vec<_> = (0..count).map(|number| format!("latency_{number:06}")).collect();
    let running = run(working.worker(service));
    let mut acknowledged = HashMap::new();
    let begin = tokio::time::Instant::now();
    for (number, id) in ids.iter().enumerate() {
        tokio::time::sleep_until(begin + PAUSE * u32::try_from(number).unwrap()).await;
        let event = sample::USER_UPDATED.builder().id(id).event();
        storing.store(&event).await.unwrap();
        acknowledged.insert(id.clone(), Instant::now());
    }
    until("all are handled", async || ids.iter().all(|id| begun.lock().unwrap().contains_key(id)))
        .await;
    running.stop().await;
    let begun = begun.lock().unwrap();
    // It can begin before the caller knows that the event is stored.
    let mut waits: Vec<_> =
        ids.iter().map(|id| begun[id].saturating_duration_since(acknowledged[id])).collect();
    waits.sort();
    let at = |percent: usize| waits[(count * percent / 100).min(count - 1)];
    println!(
        "  latency at 100 events a second, two processes: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}",
        at(50),
        at(90),
        at(99)
    );
}

/// A queue without the events of other parts.
async fn empty(place: &Place) -> Inbox {
    place.inbox_with(|builder| builder.name("latency")).await
}
