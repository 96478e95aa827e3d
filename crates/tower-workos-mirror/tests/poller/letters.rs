//! Events that can't be applied.

use serde_json::json;
use tower_workos_mirror::{EventsPoller, PollErrorKind};

use crate::{
    databases::{on_both, on_postgres},
    stub::{OLD, Page, Stub, event},
    support::{MINUTE, World, applied, cursor, within},
};

#[tokio::test]
async fn unreadable_events_become_dead_letters() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let without_user = json!({
            "object": "event", "id": "event_2", "event": "dsync.user.deleted", "data": {}, "created_at": OLD
        });
        let without_id = json!({ "event": "dsync.user.deleted", "data": { "id": "u" }, "created_at": OLD });
        let last = json!({ "id": 7, "event": "dsync.user.deleted", "created_at": OLD });
        let items = vec![event(1, OLD), without_user.clone(), without_id, json!(5), event(3, OLD), last];
        let (stub, api) = Stub::start([Page::Events(items.clone(), None)]).await;
        let poller = EventsPoller::new(mirror.clone(), api);
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.letters), (2, 4));
        assert_eq!(applied(database).await, ["event_1", "event_3"]);
        let letters = mirror.dead_letters(None, 10).await.unwrap();
        let ids: Vec<_> =
            letters.iter().map(|it| it.event_id.as_ref().map(|id| id.as_str())).collect();
        assert_eq!(ids, [Some("event_2"), None, None, None]);
        assert_eq!(letters[0].body, without_user.to_string());
        assert_eq!(letters[0].issued_at, None);
        assert_eq!(letters[2].body, "5");
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_3"));

        // The API sends the last one again, because it has no id. It is not kept twice.
        stub.push(Page::Events(vec![items[5].clone(), event(4, OLD)], None));
        poller.drain().await.unwrap();
        assert_eq!(mirror.dead_letters(None, 10).await.unwrap().len(), 4);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_4"));
    }))
    .await;
}

/// PostgreSQL's class 22 proves that the event can't be stored.
#[tokio::test]
async fn events_that_can_not_be_stored_become_dead_letters() {
    within(on_postgres(async |database| {
        let mirror = database.mirror().await;
        let mut world = World::new().await;
        let poller = world.poller(&mirror);
        poller.drain().await.unwrap();
        world.users(9);
        world.after(MINUTE * 2);
        database
            .run(
                "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF new.id IN ('directory_user_3', 'directory_user_9') THEN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; \
                 END IF; RETURN new; END $$; \
                 CREATE TRIGGER no BEFORE INSERT ON workos_mirror_user FOR EACH ROW EXECUTE FUNCTION no()",
            )
            .await;
        let drain = poller.drain().await.unwrap();
        assert_eq!((drain.events, drain.letters), (8, 2));
        let letters = mirror.dead_letters(None, 10).await.unwrap();
        let ids: Vec<_> = letters.iter().map(|it| it.event_id.clone().unwrap()).collect();
        assert_eq!(ids, ["event_00003", "event_00009"]);
        assert_eq!(applied(database).await.len(), 8);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_00009"));
    }))
    .await;
}

#[tokio::test]
async fn events_of_an_unknown_age_wait_for_the_next_one() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut timeless = event(2, OLD);
        timeless.as_object_mut().unwrap().remove("created_at");
        let (stub, api) =
            Stub::start([Page::Events(vec![event(1, OLD), timeless.clone()], None)]).await;
        let poller = EventsPoller::new(mirror.clone(), api);
        assert_eq!(poller.drain().await.unwrap().events, 1);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_1"));
        stub.push(Page::Events(vec![timeless, event(3, OLD)], None));
        assert_eq!(poller.drain().await.unwrap().events, 2);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_3"));
        assert_eq!(applied(database).await, ["event_1", "event_2", "event_3"]);
    }))
    .await;
}

/// The position of the next page can be an id that no database could store, and a page can be empty.
#[tokio::test]
async fn odd_positions_are_followed_but_not_stored() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let mut odd = event(2, OLD);
        odd["id"] = json!("event_\u{0}2");
        let (stub, api) = Stub::start([
            Page::Events(vec![event(1, OLD), odd], Some("event_\u{0}2")),
            Page::Events(Vec::new(), Some("event_2b")),
            Page::Events(vec![event(3, OLD)], None),
        ])
        .await;
        let poller = EventsPoller::new(mirror.clone(), api);
        assert_eq!(poller.drain().await.unwrap().events, 3);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_3"));
        let queries = stub.queries();
        assert!(queries[0].contains("range_start=2026-01-05T09%3A59%3A00Z"), "{queries:?}");
        assert!(queries[1].contains("after=event_%002"), "{queries:?}");
        assert!(queries[2].contains("after=event_2b"), "{queries:?}");

        let (_stub, api) = Stub::start([
            Page::Events(vec![event(1, OLD)], Some("event_1")),
            Page::Events(vec![event(1, OLD)], Some("event_1")),
        ])
        .await;
        let error = EventsPoller::new(mirror, api).environment("other").drain().await.unwrap_err();
        assert!(matches!(error.kind(), PollErrorKind::Api(_)), "{error}");
    }))
    .await;
}

#[tokio::test]
async fn without_a_date_nothing_is_applied() {
    within(on_both(async |database| {
        let mirror = database.mirror().await;
        let (stub, api) = Stub::start([Page::Events(vec![event(1, OLD)], None)]).await;
        stub.without_date();
        let error = EventsPoller::new(mirror, api).drain().await.unwrap_err();
        assert_eq!(error.kind(), PollErrorKind::Unusable);
        assert!(applied(database).await.is_empty());
    }))
    .await;
}

/// An event whose time is a mistake is as old as the next one.
#[tokio::test]
async fn an_event_of_the_far_future_does_not_stop_the_stream() {
    within(on_both(async |database| {
        let (_stub, api) = Stub::start([Page::Events(
            vec![event(1, OLD), event(2, "2999-01-01T00:00:00Z"), event(3, OLD)],
            None,
        )])
        .await;
        let poller = EventsPoller::new(database.mirror().await, api);
        assert_eq!(poller.drain().await.unwrap().events, 3);
        assert_eq!(cursor(&poller).await.after.as_deref(), Some("event_3"));
    }))
    .await;
}
