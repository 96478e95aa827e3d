//! Lists, single objects and errors.

use std::time::Duration;

use dsync_emulator::{
    Emulator,
    directory::{Plan, Snapshot},
};
use serde_json::json;

use crate::support::{Api, START, id, time};

fn plan() -> Plan {
    Plan::new(4).directories(1).users(200).groups(3).events(140)
}

#[tokio::test]
async fn every_request_needs_the_key() {
    let (api, _) = Api::with_life(Emulator::builder().api_key("sk_test_1"), plan()).await;
    for key in [
        None,
        Some("Bearer sk_test_2"),
        Some("sk_test_1"),
        Some("Bearer "),
        Some("Basic sk_test_1"),
    ] {
        for path in ["/directories", "/events", "/nothing"] {
            let reply = api.request("GET", path, key).await.unwrap();
            assert_eq!(
                (reply.status, &reply.body),
                (401, &json!({"message": "Unauthorized"})),
                "{key:?}"
            );
        }
    }
    assert_eq!(api.get("/directories").await.status, 200);
    assert_eq!(api.emulator.requests().by_status[&401], 15);
    let shown = format!("{:?} {:?}", api.emulator, Emulator::builder().api_key("sk_test_1"));
    assert!(!shown.contains("sk_test"), "{shown}");
}

#[tokio::test]
async fn a_list_has_ten_items_from_the_newest() {
    let (api, _) = Api::with_life(Emulator::builder(), plan()).await;
    let directory = id(&api.get("/directories").await.data()[0]).to_owned();
    let path = format!("/directory_users?directory={directory}");
    let all = api.all(&path).await;
    let newest: Vec<_> = all.iter().rev().map(id).collect();
    let oldest: Vec<_> = all.iter().map(id).collect();
    let created: Vec<_> = all.iter().map(|user| user["created_at"].as_str().unwrap()).collect();
    assert!(created.is_sorted() && created.len() > 40);

    let first = api.get(&path).await;
    assert_eq!(first.ids(), newest[..10]);
    assert_eq!(first.body["object"], "list");
    assert_eq!((first.before(), first.after()), (None, Some(newest[9])));
    assert!(first.body["list_metadata"].as_object().unwrap().contains_key("before"));

    let second = api.get(&format!("{path}&after={}", newest[9])).await;
    assert_eq!(second.ids(), newest[10..20]);
    assert_eq!((second.before(), second.after()), (Some(newest[10]), Some(newest[19])));
    let back = api.get(&format!("{path}&before={}&limit=4", newest[10])).await;
    assert_eq!(back.ids(), newest[6..10]);
    assert_eq!((back.before(), back.after()), (Some(newest[6]), Some(newest[9])));

    let ascending = api.get(&format!("{path}&order=asc&limit=3&after={}", oldest[0])).await;
    assert_eq!(ascending.ids(), oldest[1..4]);
    let ascending = api.get(&format!("{path}&order=asc&limit=3&before={}", oldest[3])).await;
    assert_eq!(ascending.ids(), oldest[0..3]);
    assert_eq!((ascending.before(), ascending.after()), (None, Some(oldest[2])));
    let rest = api.get(&format!("{path}&order=asc&limit=100&after={}", oldest[5])).await;
    assert_eq!(rest.ids(), oldest[6..]);
    assert_eq!(rest.after(), None);

    // With `normal`, `before` means older.
    let normal = api.get(&format!("{path}&order=normal&limit=5")).await;
    assert_eq!(normal.ids(), newest[..5]);
    assert_eq!((normal.before(), normal.after()), (Some(newest[4]), None));
    let normal = api.get(&format!("{path}&order=normal&limit=5&before={}", newest[4])).await;
    assert_eq!(normal.ids(), newest[5..10]);
    let normal = api.get(&format!("{path}&order=normal&limit=5&after={}", newest[10])).await;
    assert_eq!(normal.ids(), newest[5..10]);
    assert_eq!((normal.before(), normal.after()), (Some(newest[9]), Some(newest[5])));
}

#[tokio::test]
async fn the_cursor_of_a_deleted_object_works() {
    let (api, _) = Api::with_life(Emulator::builder(), plan()).await;
    let directory = id(&api.get("/directories").await.data()[0]).to_owned();
    let path = format!("/directory_users?directory={directory}&limit=5&order=asc");
    let first = api.get(&path).await;
    let whole = api.get(&format!("{path}&limit=10")).await;
    api.emulator.remove_silently(first.after().unwrap()).unwrap();
    let next = api.get(&format!("{path}&after={}", first.after().unwrap())).await;
    assert_eq!(next.ids(), whole.ids()[5..]);
    assert_eq!(next.before(), Some(whole.ids()[5]));
}

#[tokio::test]
async fn wrong_parameters_are_422() {
    let (api, _) = Api::with_life(Emulator::builder(), plan()).await;
    let events = "/events?events=dsync.deleted";
    for (path, field) in [
        ("/directories?limit=0".to_owned(), "limit"),
        ("/directories?limit=101".to_owned(), "limit"),
        ("/directories?limit=ten".to_owned(), "limit"),
        ("/directories?order=up".to_owned(), "order"),
        ("/directories?after=nothing".to_owned(), "after"),
        ("/directories?before=nothing".to_owned(), "before"),
        ("/directory_users".to_owned(), "directory"),
        ("/directory_groups?directory=".to_owned(), "directory"),
        ("/events".to_owned(), "events"),
        (format!("{events}&after=event_1"), "after"),
        (format!("{events}&range_start=yesterday"), "range_start"),
        (format!("{events}&range_end=2026-01-05T10:00:00%2B01:00"), "range_end"),
        (format!("{events}&range_start=2025-01-01T00:00:00Z"), "range_start"),
        (
            format!("{events}&range_start=2025-01-01T00:00:00Z&range_end=2025-01-31T00:00:00.001Z"),
            "range_start",
        ),
        (format!("{events}&limit=1000"), "limit"),
    ] {
        let reply = api.get(&path).await;
        assert_eq!((reply.status, reply.wrong()), (422, vec![field]), "{path}");
        assert_eq!(reply.body["message"], "Validation failed");
    }
    let range = "range_start=2025-01-01T00:00:00Z&range_end=2025-01-31T00:00:00Z";
    assert_eq!(api.get(&format!("{events}&{range}")).await.status, 200);
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let api = Api::start().await;
    for path in [
        "/directories/d",
        "/directory_users/u",
        "/directory_groups/g",
        "/directory_users?directory=d",
        "/directory_users?group=g",
        "/directory_groups?user=u",
    ] {
        let reply = api.get(path).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (404, &json!("entity_not_found")),
            "{path}"
        );
    }
    for path in ["/", "/directories/", "/directories/d/users", "/users", "//events"] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, &reply.body["error"]), (404, &json!("Not Found")), "{path}");
    }
    let key = format!("Bearer {}", api.emulator.api_key());
    assert_eq!(api.request("DELETE", "/directories/d", Some(&key)).await.unwrap().status, 404);
}

#[tokio::test]
async fn filters_select_items() {
    let plan = Plan::new(9).directories(3).users(30).groups(9).events(200);
    let (api, life) = Api::with_life(Emulator::builder(), plan).await;
    let state = life.snapshot();
    let directory = &state.directories[1];
    let one = |name: &str, value: &str| {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        format!("/directories?{query}")
    };
    let organization = directory.organization_id.as_deref().unwrap();
    assert_eq!(api.get(&one("organization_id", organization)).await.ids(), [&*directory.id]);
    let name = directory.name.as_deref().unwrap().to_uppercase();
    assert!(api.get(&one("search", &name)).await.ids().contains(&&*directory.id));
    let shown = api.get(&format!("/directories/{}", directory.id)).await.body;
    let domain = shown["domain"].as_str().unwrap();
    assert_eq!(api.get(&one("domain", domain)).await.ids(), [&*directory.id]);
    let users: Vec<_> = state
        .users
        .iter()
        .filter(|user| user.directory_id.as_ref() == Some(&directory.id))
        .collect();
    let active = users.iter().filter(|user| user.is_active()).count();
    let groups =
        state.groups.iter().filter(|it| it.directory_id.as_ref() == Some(&directory.id)).count();
    let counts =
        json!({"users": {"active": active, "inactive": users.len() - active}, "groups": groups});
    assert_eq!(shown["metadata"], counts);

    let user =
        users.iter().find(|user| state.memberships.iter().any(|it| it.user_id == user.id)).unwrap();
    let email = user.email.as_deref().unwrap();
    let path = format!("/directory_users?directory={}&email={email}", directory.id);
    assert_eq!(api.get(&path).await.ids(), [&*user.id]);
    let path = format!("/directory_users?group={}&idp_id=1", state.groups[0].id);
    assert_eq!(api.get(&path).await.wrong(), ["idp_id"]);
    let groups = api.get(&format!("/directory_groups?user={}&limit=100", user.id)).await;
    let mut groups = groups.ids();
    groups.sort_unstable();
    assert_eq!(groups, groups_of(&state, &user.id));
}

fn groups_of<'a>(state: &'a Snapshot, user: &str) -> Vec<&'a str> {
    let of_user = state.memberships.iter().filter(|it| it.user_id == user);
    of_user.map(|it| &*it.group_id).collect()
}

#[tokio::test]
async fn legacy_teams_see_the_groups_of_a_user() {
    let (api, life) = Api::with_life(Emulator::builder(), plan()).await;
    let user = &life.snapshot().memberships[0].user_id;
    assert_eq!(api.get(&format!("/directory_users/{user}")).await.body["groups"], json!([]));

    let (api, life) = Api::with_life(Emulator::builder().legacy_groups(true), plan()).await;
    let state = life.snapshot();
    let user = &state.memberships[0].user_id;
    let shown = api.get(&format!("/directory_users/{user}")).await.body;
    let mut groups: Vec<_> = shown["groups"].as_array().unwrap().iter().map(id).collect();
    groups.sort_unstable();
    assert_eq!(groups, groups_of(&state, user));
}

#[tokio::test]
async fn the_date_is_the_clocks() {
    let api = Api::start().await;
    assert_eq!(api.get("/directories").await.header("date"), "Mon, 05 Jan 2026 09:00:00 GMT");
    api.clock.advance(Duration::from_secs(86_400));
    assert_eq!(api.get("/nothing").await.header("date"), "Tue, 06 Jan 2026 09:00:00 GMT");
}

#[tokio::test]
async fn requests_are_counted() {
    let (api, life) = Api::with_life(Emulator::builder(), plan()).await;
    let state = life.snapshot();
    let directory = &state.directories[0].id;
    let group = &state.groups[0].id;
    api.emulator.reset_requests();
    for path in [
        "/directories".to_owned(),
        format!("/directories/{directory}"),
        format!("/directory_users?group={group}"),
        format!("/directory_users?directory={directory}"),
        "/directory_users?directory=unknown".to_owned(),
    ] {
        api.get(&path).await;
        api.clock.advance(Duration::from_millis(400));
    }
    let requests = api.emulator.requests();
    assert_eq!((requests.total, requests.peak), (5, 3));
    assert_eq!(requests.by_path["/directory_users"], 3);
    assert_eq!(requests.by_path["/directories/{id}"], 1);
    assert_eq!((requests.by_status[&200], requests.by_status[&404]), (4, 1));
    assert_eq!(requests.peak_by_directory.iter().collect::<Vec<_>>(), [(directory, &3)]);
}

#[tokio::test]
async fn a_directory_that_has_just_appeared_is_counted() {
    let api = Api::start().await;
    let created_at = "2026-01-05T09:00:01Z";
    let event = json!({"id": "1", "event": "dsync.activated", "created_at": created_at, "data": {"id": "d"}});
    api.emulator.record(event.to_string()).unwrap();
    api.clock.advance(Duration::from_secs(1));
    assert_eq!(api.get("/directories/d").await.status, 200);
    assert_eq!(api.emulator.requests().peak_by_directory.get("d"), Some(&1));
}

#[tokio::test]
async fn a_replica_lags_behind() {
    let plan = Plan::new(2).directories(1).users(20).groups(0).events(21);
    let builder = Emulator::builder().replica_lag(Duration::from_secs(20)).seed(3);
    let (api, life) = Api::with_life(builder, plan).await;
    let user = &life.snapshot().users[0].id;
    api.clock.advance(Duration::from_secs(20));
    api.emulator.remove_silently(user).unwrap();
    let path = format!("/directory_users/{user}");
    let mut seen = [0, 0];
    for _ in 0..60 {
        seen[usize::from(api.get(&path).await.status == 404)] += 1;
    }
    assert!(seen.iter().all(|&count| count > 15), "{seen:?}");
    api.clock.advance(Duration::from_millis(19_999));
    let mut stale = 0;
    for _ in 0..60 {
        stale += u32::from(api.get(&path).await.status == 200);
    }
    assert!(stale > 15, "{stale}");
    api.clock.advance(Duration::from_millis(1));
    for _ in 0..60 {
        assert_eq!(api.get(&path).await.status, 404);
    }
    assert!(api.clock.now() > time(START));
}

#[tokio::test]
async fn the_server_stops_with_its_handle() {
    let api = Api::start().await;
    let address = api.emulator.address();
    assert_eq!(api.get("/directories").await.status, 200);
    drop(api);
    let is_closed = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_closed).await.expect("it still listens");
    let error = Emulator::builder().listen("127.0.0.1:none").start().await.unwrap_err();
    assert!(!error.to_string().is_empty());
}
