//! What is sent, and what is read.

use super::{EMPTY, KEY, Reply, api, within};
use crate::api::{error::ApiErrorKind, page::Pages, request::EventsFrom};
use tower_workos::Timestamp;

const DATE: &str = "Thu, 15 Jan 2026 12:00:07 GMT";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn requests_are_those_of_the_documentation() {
    within(async {
        let (api, server) = api([Reply::new(200, EMPTY)]).await;
        api.directories(None).await.unwrap();
        api.directories(Some("directory_1")).await.unwrap();
        api.users("directory_1", None).await.unwrap();
        api.users("directory_1", Some("directory_user_1")).await.unwrap();
        api.groups("directory_1", Some("a&b=c")).await.unwrap();
        api.members("directory_1", "directory_group_1", None).await.unwrap();
        let since = EventsFrom::Since(time("2026-01-15T12:00:00.123456Z"));
        api.events(since, Some(time("2026-01-16T12:00:00Z"))).await.unwrap();
        api.events(EventsFrom::After("event_1"), None).await.unwrap();

        let names = "dsync.activated%2Cdsync.deleted%2Cdsync.group.created%2Cdsync.group.deleted%2Cdsync.group.updated\
                     %2Cdsync.group.user_added%2Cdsync.group.user_removed%2Cdsync.token.created%2Cdsync.token.revoked\
                     %2Cdsync.user.created%2Cdsync.user.deleted%2Cdsync.user.updated";
        let expected = [
            "/directories limit=100 order=asc",
            "/directories after=directory_1 limit=100 order=asc",
            "/directory_users directory=directory_1 limit=100 order=asc",
            "/directory_users after=directory_user_1 directory=directory_1 limit=100 order=asc",
            "/directory_groups after=a%26b%3Dc directory=directory_1 limit=100 order=asc",
            "/directory_users group=directory_group_1 limit=100 order=asc",
            &format!(
                "/events events={names} limit=100 order=asc range_end=2026-01-16T12%3A00%3A00Z \
                 range_start=2026-01-15T12%3A00%3A00.123Z"
            ),
            &format!("/events after=event_1 events={names} limit=100 order=asc"),
        ];
        assert_eq!(server.targets().iter().map(|it| sorted(it)).collect::<Vec<_>>(), expected);
        for seen in server.seen() {
            assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
            assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("tower-workos-mirror/"));
        }
        assert_eq!((api.requests(), api.throttled()), (8, 0));
    })
    .await;
}

/// The path and the sorted parameters.
fn sorted(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap();
    let mut parameters: Vec<_> = query.split('&').collect();
    parameters.sort_unstable();
    format!("{path} {}", parameters.join(" "))
}

#[tokio::test]
async fn single_objects_are_found_or_missing() {
    within(async {
        let missing = r#"{"message":"Directory not found","code":"entity_not_found"}"#;
        let (api, server) = api([
            Reply::new(200, " {\"id\":\"directory_1\",\"name\":7}\n").header("date", DATE),
            Reply::new(200, r#"{"name":null,"id":"directory_user_1"}"#),
            Reply::new(200, r#"{"id":"directory_group_1"}"#),
            Reply::new(404, missing).header("date", DATE),
        ])
        .await;
        let found = api.directory("directory_1").await.unwrap();
        assert_eq!(found.date, Some(time("2026-01-15T12:00:07Z")));
        let item = found.item.unwrap();
        assert_eq!(
            (&*item.id, &*item.json),
            ("directory_1", &br#"{"id":"directory_1","name":7}"#[..])
        );
        let found = api.user(Some("directory_1"), "directory_user_1").await.unwrap();
        assert_eq!(found.item.unwrap().id, "directory_user_1");
        assert!(api.group(None, "directory_group_1").await.unwrap().item.is_some());
        let found = api.user(None, "a/../b?c").await.unwrap();
        assert!(found.item.is_none());
        assert_eq!(found.date, Some(time("2026-01-15T12:00:07Z")));
        assert_eq!(
            server.targets(),
            [
                "/directories/directory_1",
                "/directory_users/directory_user_1",
                "/directory_groups/directory_group_1",
                "/directory_users/a%2F..%2Fb%3Fc"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn an_id_that_would_change_the_path_is_not_sent() {
    within(async {
        let (api, server) = api([Reply::new(404, "{}")]).await;
        for id in ["", ".", ".."] {
            let error = api.user(None, id).await.err().unwrap();
            assert_eq!(error.kind(), ApiErrorKind::Rejected, "{id:?}");
        }
        assert!(server.targets().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_odd_item_keeps_the_page() {
    within(async {
        let body = r#"{"data":[
            {"id":"directory_user_1","idp_id":null,"custom_attributes":[[1e999]]},
            {"first_name":"Zoë"}, {"id":7}, {"id":null}, {"id":""}, {"id":"a","id":"b"}, ["x"], "x", null, 5,
            {"first_name":"\ud83d","id":"directory_user_\u0032"},
            {"id":"directory_user_3","state":{"new":true}}
        ],"list_metadata":{"after":"directory_user_3","other":1},"more":true}"#;
        let (api, _server) = api([Reply::new(200, body).header("date", DATE)]).await;
        let page = api.users("directory_1", None).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["directory_user_1", "directory_user_2", "directory_user_3"]);
        assert_eq!(page.unreadable, 9);
        assert_eq!(page.after.as_deref(), Some("directory_user_3"));
        assert_eq!(page.date, Some(time("2026-01-15T12:00:07Z")));
        assert_eq!(
            page.items[0].json,
            r#"{"id":"directory_user_1","idp_id":null,"custom_attributes":[[1e999]]}"#
        );
        // In a page of events, they keep their places.
        let page = api.events(EventsFrom::After("event_1"), None).await.unwrap();
        assert_eq!(page.entries.len(), 12);
        assert_eq!(page.entries[1].id, None);
        assert_eq!(page.entries[1].json, r#"{"first_name":"Zoë"}"#);
        assert_eq!(page.entries[10].id.as_deref(), Some("directory_user_2"));
    })
    .await;
}

#[tokio::test]
async fn a_byte_that_is_not_utf_8_keeps_the_page() {
    within(async {
        let body = [
            &br#"{"data":[{"id":"1","name":""#[..],
            &[0xff],
            br#""},{"id":"2"}],"list_metadata":{"after":null}}"#,
        ]
        .concat();
        let (api, _server) = api([Reply::new(200, body)]).await;
        let page = api.users("directory_1", None).await.unwrap();
        assert_eq!((page.items.len(), page.unreadable, page.after), (2, 0, None));
        assert_eq!(page.items[0].json, "{\"id\":\"1\",\"name\":\"\u{fffd}\"}");
    })
    .await;
}

#[tokio::test]
async fn a_walk_ends() {
    let after = |text: &str| Some(text.to_owned());
    let mut pages = Pages::new(3);
    assert_eq!(pages.advance(after("a")).unwrap(), after("a"));
    assert_eq!(pages.advance(after("b")).unwrap(), after("b"));
    assert_eq!(pages.advance(after("c")).unwrap_err().kind(), ApiErrorKind::TooManyPages);

    // The last allowed page.
    let mut pages = Pages::new(2);
    assert_eq!(pages.advance(after("a")).unwrap(), after("a"));
    assert_eq!(pages.advance(None).unwrap(), None);

    let mut pages = Pages::new(100);
    for text in ["a", "b", "c"] {
        pages.advance(after(text)).unwrap();
    }
    assert_eq!(pages.advance(after("b")).unwrap_err().kind(), ApiErrorKind::Cursor);
}
