//! What is applied, and when.

use std::time::Duration;

use dsync_emulator::{
    Emulator,
    directory::{Life, Plan},
};
use tower_workos_mirror::{ApiErrorKind, PollErrorKind};

use crate::{
    databases::on_both,
    support::{
        DAY, MINUTE, START, World, applied, assert_equal, client, cursor, set, time, within,
    },
};

#[tokio::test]
async fn the_first_drain_begins_the_stream() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        world.after(DAY);
        let poller = world.poller(&mirror);
        assert_eq!(poller.cursor().await.unwrap(), None);
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.letters, drain.gap, drain.lag), (0, 0, true, MINUTE));
        let begun = cursor(&poller).await;
        assert_eq!(begun.started_at, time("2026-01-06T08:59:00Z"));
        assert_eq!((begun.after.clone(), begun.event_at), (None, None));
        assert_eq!(begun.drained_at, Some(time("2026-01-06T09:00:00Z")));

        world.user();
        world.after(Duration::from_millis(59_999));
        assert_eq!(poller.drain().await.unwrap().events, 0, "it is too young");
        world.after(Duration::from_secs(1));
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.gap, drain.lag), (1, false, MINUTE));
        let moved = cursor(&poller).await;
        assert_eq!(moved.started_at, begun.started_at);
        assert_eq!(moved.after.as_deref(), Some("event_00001"));
        assert_eq!(moved.event_at, Some(time("2026-01-06T09:00:00Z")));
        assert_eq!(applied(database).await, ["event_00001"]);
        assert_eq!(poller.drain().await.unwrap().events, 0);
        assert_eq!(cursor(&poller).await, moved);
    }))
    .await;
}

#[tokio::test]
async fn all_pages_are_read() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.users(250);
        world.after(MINUTE * 2);
        world.emulator.reset_requests();
        let drain = poller.drain().await.unwrap();
        // The event of the directory is inside the margin of the start.
        assert_eq!((drain.events, drain.gap, drain.lag), (251, false, MINUTE));
        // The environment is checked with the list of directories, which the mirror does not know yet.
        assert_eq!(world.emulator.requests().by_path["/events"], 3);
        assert_eq!(cursor(&poller).await.after.as_ref(), world.happened.last());
        assert_equal(&world, &mirror).await;
    }))
    .await;
}

#[tokio::test]
async fn a_burst_of_young_events_waits() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.users(30);
        world.after(Duration::from_secs(70));
        world.users(250);
        world.emulator.reset_requests();
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.lag), (31, MINUTE));
        assert_eq!(world.emulator.requests().by_path["/events"], 1);
        world.after(MINUTE * 2);
        assert_eq!(poller.drain().await.unwrap().events, 250);
    }))
    .await;
}

#[tokio::test]
async fn a_life_is_followed() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        let plan = Plan::new(11).directories(3).users(60).groups(9).events(700);
        let mut life = Life::new(plan);
        let mut events = 0;
        while let Some(event) = life.next_at(world.clock.now()) {
            world.emulator.record(&event).unwrap();
            world.after(Duration::from_secs(7));
            if event.sequence() % 97 == 0 {
                events += poller.drain().await.unwrap().events;
            }
        }
        world.after(MINUTE * 2);
        events += poller.drain().await.unwrap().events;
        assert_eq!(events, 701);
        assert_equal(&world, &mirror).await;
    }))
    .await;
}

#[tokio::test]
async fn withheld_and_late_events_are_not_lost() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let builder = Emulator::builder().withhold(Duration::from_secs(40));
        let mut world = World::with(builder).await;
        world.after(MINUTE * 5);
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        for _ in 0..20 {
            world.user();
            world.after(Duration::from_secs(30));
            // It becomes known only now, although others that happened later may be visible.
            let now = world.clock.now().as_unix_millis();
            world.user_at(tower_workos::Timestamp::from_unix_millis(now - 55_000).unwrap());
            poller.drain().await.unwrap();
            world.after(Duration::from_secs(11));
        }
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        assert_eq!(set(&applied(database).await), set(&world.happened));
    }))
    .await;
}

#[tokio::test]
async fn webhooks_do_not_move_the_position() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        world.after(MINUTE * 2);
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        let lost = world.user();
        world.after(Duration::from_secs(1));
        let delivered = world.user();
        let before = cursor(&poller).await;
        mirror.apply(&delivered).await.unwrap();
        assert_eq!(cursor(&poller).await, before);
        world.after(MINUTE * 2);
        let drain = poller.drain().await.unwrap();
        assert_eq!(drain.events, 2);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some(delivered.id().as_str()));
        let both = [lost, delivered].map(|event| event.id().as_str().to_owned());
        assert_eq!(applied(database).await, both);
    }))
    .await;
}

#[tokio::test]
async fn the_key_of_another_environment_is_rejected() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.after(MINUTE * 2);
        assert_eq!(poller.drain().await.unwrap().events, 1);
        let state = mirror.state().await.unwrap();

        let foreign = World::new().await;
        foreign.emulator.remove_silently("directory_1").unwrap();
        let mut life = Life::new(Plan::new(1).directories(1).users(5).groups(0).events(6));
        while let Some(event) = life.next_at(foreign.clock.now()) {
            foreign.emulator.record(&event).unwrap();
        }
        foreign.after(MINUTE * 5);
        let before = cursor(&poller).await;
        let error = foreign.poller(&mirror).drain().await.unwrap_err();
        assert_eq!(error.kind(), PollErrorKind::Environment);
        assert_eq!(mirror.state().await.unwrap(), state);
        assert_eq!(cursor(&poller).await, before);

        let api = client(world.emulator.url(), "sk_test_other");
        let error = tower_workos_mirror::EventsPoller::new(mirror, api).drain().await.unwrap_err();
        assert_eq!(error.kind(), PollErrorKind::Api(ApiErrorKind::Unauthorized));
    }))
    .await;
}

#[tokio::test]
async fn environments_have_positions_of_their_own() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let world = World::new().await;
        let (one, other) =
            (world.poller(&mirror), world.poller(&mirror).environment("other environment"));
        one.drain().await.unwrap();
        assert_eq!(other.cursor().await.unwrap(), None);
        world.after(DAY);
        assert!(other.drain().await.unwrap().gap);
        assert_eq!(cursor(&one).await.started_at, time("2026-01-05T08:59:00Z"));
        assert_eq!(cursor(&other).await.started_at, time("2026-01-06T08:59:00Z"));
        assert_eq!(time(START), time("2026-01-05T09:00:00Z"));
    }))
    .await;
}
