//! Random schedules of events, delays and drains: nothing is lost or out of order.

use std::{convert::Infallible, io::Write as _, sync::Arc, sync::Mutex, time::Duration};

use dsync_emulator::{Emulator, directory::Random};
use tower::service_fn;
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::{MemoryCursor, ServicePoller};

use crate::support::{MINUTE, World, within};

/// Returns whether all events were delivered once, in their order.
async fn survives(seed: u64, margin: Duration) -> bool {
    let mut random = Random::new(seed, "schedule");
    let withhold = Duration::from_secs(random.below(10));
    let mut world = World::with(Emulator::builder().withhold(withhold)).await;
    world.after(MINUTE * 5);
    let delivered = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&delivered);
    let service = service_fn(move |event: DirectoryEvent| {
        log.lock().unwrap().push(event.id().as_str().to_owned());
        async { Ok::<_, Infallible>(()) }
    });
    let mut poller =
        ServicePoller::new(service, MemoryCursor::new(), world.api.clone()).margin(margin);
    poller.drain().await.unwrap();
    world.after(MINUTE);
    let mut happened = Vec::new();
    for _ in 0..300 {
        // It becomes known up to 40 s after it happened.
        let delay = i64::try_from(random.below(40_000)).unwrap();
        let at = world.clock.now().as_unix_millis() - delay;
        let event = world.user_at(Timestamp::from_unix_millis(at).unwrap());
        happened.push((at, event.id().as_str().to_owned()));
        world.after(Duration::from_millis(random.below(8000)));
        if random.below(10) == 0 {
            poller.drain().await.unwrap();
        }
    }
    world.after(MINUTE * 2);
    poller.drain().await.unwrap();
    happened.sort();
    let happened: Vec<_> = happened.into_iter().map(|(_, id)| id).collect();
    *delivered.lock().unwrap() == happened
}

#[tokio::test]
async fn nothing_is_lost() {
    within(async {
        for seed in 0..12 {
            assert!(survives(seed, MINUTE).await, "seed {seed}");
        }
        let mut lost = 0;
        for seed in 0..12 {
            lost += u32::from(!survives(seed, Duration::from_secs(5)).await);
        }
        let _ =
            writeln!(std::io::stderr(), "with a margin of 5 s, {lost} of 12 schedules lose events");
        assert!(lost >= 10, "{lost}");
    })
    .await;
}
