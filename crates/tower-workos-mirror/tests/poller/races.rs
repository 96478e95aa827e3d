//! Several pollers, and pollers that end at any moment.

use std::time::Duration;

use tower_workos_mirror::{MirrorErrorKind, PollErrorKind};

use crate::{
    databases::{Database, on_both},
    support::{MINUTE, World, applied, assert_equal, cursor, set, within},
};

#[tokio::test]
async fn pollers_at_the_same_time_share_the_work() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.users(999);
        world.after(MINUTE * 2);
        let drains: Vec<_> = (0..4)
            .map(|_| {
                let poller = poller.clone();
                tokio::spawn(async move { poller.drain().await.unwrap() })
            })
            .collect();
        let mut events = 0;
        for drain in drains {
            let drain = drain.await.unwrap();
            assert_eq!((drain.gap, drain.lag), (false, MINUTE));
            events += drain.events;
        }
        // The one that moved the position counts.
        assert_eq!(events, 1000);
        assert_eq!(cursor(&poller).await.after.as_ref(), world.happened.last());
        assert_equal(&world, &mirror).await;
    }))
    .await;
}

#[tokio::test]
async fn the_first_drains_at_the_same_time_agree_on_the_start() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let world = World::new().await;
        let pollers: Vec<_> = (0..4)
            .map(|_| {
                let poller = world.poller(&mirror);
                tokio::spawn(async move { poller.drain().await.unwrap().gap })
            })
            .collect();
        let mut gaps = 0;
        for poller in pollers {
            gaps += u32::from(poller.await.unwrap());
        }
        assert_eq!(gaps, 1);
    }))
    .await;
}

/// A page and the position after it are one transaction, wherever the process ends.
#[tokio::test]
async fn a_drain_that_is_dropped_leaves_whole_pages() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.after(MINUTE * 2);
        poller.drain().await.unwrap();
        world.users(1500);
        world.after(MINUTE * 2);
        let mut drops = 0;
        for micros in (500..).step_by(1700) {
            let drain = tokio::time::timeout(Duration::from_micros(micros), poller.drain());
            let is_done = drain.await.map(Result::unwrap).is_ok();
            // The server may still be committing.
            let (cursor, applied) = loop {
                let before = cursor(&poller).await;
                let applied = applied(database).await;
                if cursor(&poller).await == before {
                    break (before, applied);
                }
            };
            let reached = world.happened.iter().position(|id| Some(id) == cursor.after.as_ref());
            let reached = reached.map_or(0, |last| last + 1);
            let mut expected = set(&world.happened[..reached]);
            expected.insert("event_0");
            assert!(set(&applied) == expected, "{micros}: {} of {reached}", applied.len());
            if is_done {
                break;
            }
            drops += 1;
        }
        assert!(drops > 3, "{drops}");
        assert_equal(&world, &mirror).await;
    }))
    .await;
}

#[tokio::test]
async fn a_position_that_can_not_be_stored_rolls_the_page_back() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        let before = cursor(&poller).await;
        world.users(5);
        world.after(MINUTE * 2);
        reject_updates(database).await;
        let error = poller.drain().await.unwrap_err();
        assert_eq!(error.kind(), PollErrorKind::Mirror(MirrorErrorKind::Database));
        assert!(error.is_temporary());
        assert!(applied(database).await.is_empty());
        assert_eq!(cursor(&poller).await, before);
        accept_updates(database).await;
        assert_eq!(poller.drain().await.unwrap().events, 6);
    }))
    .await;
}

async fn reject_updates(database: &Database) {
    let sql = if database.is_postgres() {
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
         CREATE TRIGGER no BEFORE UPDATE ON workos_mirror_poll FOR EACH ROW EXECUTE FUNCTION no()"
    } else {
        "CREATE TRIGGER no BEFORE UPDATE ON workos_mirror_poll BEGIN SELECT RAISE(ABORT, 'no'); END"
    };
    database.run(sql).await;
}

async fn accept_updates(database: &Database) {
    let sql = if database.is_postgres() {
        "DROP TRIGGER no ON workos_mirror_poll"
    } else {
        "DROP TRIGGER no"
    };
    database.run(sql).await;
}
