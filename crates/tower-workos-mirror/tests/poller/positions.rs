//! Positions that the API does not know any more.

use dsync_emulator::Emulator;
use tower_workos_mirror::Drain;

use crate::{
    databases::on_both,
    support::{DAY, MINUTE, World, applied, cursor, set, time, within},
};

fn counts(drain: &Drain) -> (u64, bool) {
    (drain.events, drain.gap)
}

#[tokio::test]
async fn a_forgotten_position_begins_the_stream_anew() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::with(Emulator::builder().retention(DAY * 7)).await;
        let poller = world.poller(&mirror).retention(DAY * 7);
        poller.drain().await.unwrap();
        world.user();
        world.after(MINUTE * 2);
        assert_eq!(counts(&poller.drain().await.unwrap()), (2, false));
        // These are forgotten before they are read.
        world.users(3);
        world.after(DAY * 10);
        world.user();
        world.after(MINUTE * 5);
        let drain = poller.drain().await.unwrap();
        assert_eq!(counts(&drain), (0, true));
        let begun = cursor(&poller).await;
        assert_eq!((begun.after, begun.event_at), (None, None));
        assert_eq!(begun.started_at, time("2026-01-15T09:06:00Z"));
        // From there on, nothing is missing.
        world.user();
        world.after(MINUTE * 2);
        assert_eq!(counts(&poller.drain().await.unwrap()), (1, false));
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_00006"));
    }))
    .await;
}

/// An API that accepts such a position would skip the events that it has forgotten.
#[tokio::test]
async fn a_position_older_than_the_retention_is_a_gap_even_if_the_api_accepts_it() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror).retention(DAY * 7);
        poller.drain().await.unwrap();
        world.user();
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        world.after(DAY * 9);
        assert!(poller.drain().await.unwrap().gap);
        assert_eq!(cursor(&poller).await.after, None);
    }))
    .await;
}

#[tokio::test]
async fn a_position_that_is_gone_is_replaced_by_its_time() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.users(3);
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        world.emulator.lose_event("event_00003").unwrap();
        // In different windows of 30 days.
        for days in [1, 28, 40, 10] {
            world.after(DAY * days);
            world.users(120);
        }
        world.after(MINUTE * 2);
        let drain = poller.drain().await.unwrap();
        assert!(!drain.gap);
        assert_eq!(drain.lag, MINUTE);
        let applied = applied(database).await;
        let mut expected = set(&world.happened);
        expected.insert("event_0");
        assert_eq!(set(&applied), expected);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_00483"));
        assert_eq!(counts(&poller.drain().await.unwrap()), (0, false));
    }))
    .await;
}

#[tokio::test]
async fn long_pauses_are_walked_in_windows() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.user();
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        for days in [5, 40, 1, 31] {
            world.after(DAY * days);
            world.users(101);
        }
        world.after(DAY * 12);
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.gap, drain.lag), (false, MINUTE));
        let mut expected = set(&world.happened);
        expected.insert("event_0");
        assert_eq!(set(&applied(database).await), expected);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_00405"));
    }))
    .await;
}

/// The API has forgotten the last event, but there was nothing after it.
#[tokio::test]
async fn a_quiet_year_is_no_gap() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.user();
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        for _ in 0..120 {
            world.after(DAY * 3);
            world.emulator.reset_requests();
            assert_eq!(counts(&poller.drain().await.unwrap()), (0, false));
            assert_eq!(world.emulator.requests().by_path["/events"], 1);
        }
        world.user();
        world.after(MINUTE * 2);
        assert_eq!(counts(&poller.drain().await.unwrap()), (1, false));
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_00002"));
    }))
    .await;
}

#[tokio::test]
async fn a_stream_without_events_is_no_gap() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        world.after(DAY);
        let poller = world.poller(&mirror);
        assert_eq!(counts(&poller.drain().await.unwrap()), (0, true));
        for _ in 0..10 {
            world.after(DAY * 35);
            assert_eq!(counts(&poller.drain().await.unwrap()), (0, false));
        }
        world.user();
        world.after(MINUTE * 2);
        assert_eq!(counts(&poller.drain().await.unwrap()), (1, false));
    }))
    .await;
}
