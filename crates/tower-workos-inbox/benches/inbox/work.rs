//! A backlog, compared with the engine's own worker.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tower::service_fn;
use tower_workos::{DirectoryEvent, testing::sample};

use crate::{
    memory::resident,
    rate,
    reference::{Reference, calls},
    support::{Kind, Place, run},
};

const CONCURRENCY: usize = 16;
/// The backlog is worked off in parts, in turn with the reference.
const PARTS: usize = 4;

pub(crate) async fn measure(place: &Place, count: usize) {
    let inbox = place.inbox_with(|builder| builder.name("work")).await;
    let reference = Reference::new(place).await;
    fill(&inbox, count).await;
    let payload = {
        let body = sample::USER_UPDATED.builder().body();
        let body = serde_json::json!({ "body": str::from_utf8(&body).unwrap() });
        Bytes::from(serde_json::to_vec(&body).unwrap())
    };

    let handled = Arc::new(AtomicUsize::new(0));
    let service = {
        let handled = Arc::clone(&handled);
        service_fn(move |_: DirectoryEvent| {
            handled.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(()) }
        })
    };
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    let (mut by_us, mut by_them) = (0, 0);
    for part in 1..=PARTS {
        let begin = Instant::now();
        let done = handled.load(Ordering::Relaxed);
        let running = run(inbox.worker(service.clone()).concurrency(CONCURRENCY));
        while handled.load(Ordering::Relaxed) < count * part / PARTS {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.stop().await;
        ours += begin.elapsed();
        by_us += handled.load(Ordering::Relaxed) - done;
        // The store of a reference is used up, so it works off less than the backlog of the inbox.
        let jobs = (count / PARTS).min(most_of(place.kind));
        theirs += reference.work(&payload, jobs, CONCURRENCY).await;
        by_them += jobs;
    }
    let depth = inbox.status().await.unwrap().depth;
    assert_eq!(depth + u64::try_from(by_us).unwrap(), u64::try_from(count).unwrap());
    let (ours, theirs) = (rate(by_us, ours), rate(by_them, theirs));
    println!(
        "  work: {ours:.0} of {count} events a second, {CONCURRENCY} at a time; {theirs:.0} jobs a second with {}: ratio {:.2}",
        calls(place.kind).1,
        ours / theirs
    );
    reference.remove().await;
}

/// The memory of the process while it works off a backlog: that after a tenth of it, and the most after that.
pub(crate) async fn memory(place: &Place, count: usize) {
    let inbox = place.inbox_with(|builder| builder.name("memory")).await;
    fill(&inbox, count).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let service = {
        let handled = Arc::clone(&handled);
        service_fn(move |_: DirectoryEvent| {
            handled.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(()) }
        })
    };
    let running = run(inbox.worker(service).concurrency(CONCURRENCY));
    let mut memory = [None, None];
    loop {
        let done = handled.load(Ordering::Relaxed);
        let place = usize::from(done > count / 10);
        memory[place] = memory[place].max(resident());
        if done >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.stop().await;
    if let [Some(first), Some(rest)] = memory {
        println!(
            "  memory with {count} events to handle: {first} MiB in the first tenth, then at most {rest} MiB"
        );
    }
}

/// apalis-sqlite gets slower with the number of jobs that wait, so it gets few.
fn most_of(kind: Kind) -> usize {
    if kind == Kind::Sqlite { 1_000 } else { usize::MAX }
}

async fn fill(inbox: &tower_workos_inbox::Inbox, count: usize) {
    // As many at a time as the queue lets wait.
    let mut stores = tokio::task::JoinSet::new();
    for number in 0..count {
        if stores.len() >= 500 {
            stores.join_next().await.unwrap().unwrap();
        }
        let inbox = inbox.clone();
        let event = sample::USER_UPDATED.builder().id(format!("work_{number:08}")).event();
        stores.spawn(async move { inbox.store(&event).await.map(drop).unwrap() });
    }
    stores.join_all().await;
}
