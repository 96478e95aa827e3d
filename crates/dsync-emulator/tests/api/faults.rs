//! The faults of the emulator.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use dsync_emulator::{
    Emulator, Faults, ListKind, RateLimits,
    directory::{Plan, Share, Snapshot},
};
use serde_json::{Value, json};

use crate::{
    support::{Api, EVENTS, id},
    world::{differences, read},
};

async fn start(faults: Faults) -> (Api, Snapshot) {
    let plan = Plan::new(3).directories(2).users(80).groups(6).events(400);
    let (api, life) = Api::with_life(Emulator::builder().seed(7), plan).await;
    api.emulator.set_faults(faults);
    (api, life.snapshot())
}

fn half() -> Share {
    "50%".parse().unwrap()
}

#[tokio::test]
async fn rates_are_limited_by_the_clock() {
    let (api, state) = start(Faults::new().rate_limits(RateLimits::DOCUMENTED)).await;
    let path = |place: usize| format!("/directory_users?directory={}", state.directories[place].id);
    for _ in 0..4 {
        assert_eq!(api.get(&path(0)).await.status, 200);
        api.clock.advance(Duration::from_millis(100));
    }
    let reply = api.get(&path(0)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "1"));
    assert_eq!(reply.body["code"], "rate_limit_exceeded");
    // A rejected request does not count, and neither do those of another directory.
    assert_eq!(api.get(&path(1)).await.status, 200);
    api.clock.advance(Duration::from_millis(599));
    assert_eq!(api.get(&path(0)).await.status, 429);
    api.clock.advance(Duration::from_millis(1));
    assert_eq!(api.get(&path(0)).await.status, 200);
    let groups = format!("/directory_groups?directory={}", state.directories[0].id);
    for _ in 0..9 {
        assert_eq!(api.get(&groups).await.status, 200);
    }

    api.emulator.set_faults(Faults::new().rate_limits(RateLimits::new(100, 40)));
    let mut accepted = 0;
    let mut reply = api.get("/directories").await;
    while reply.status == 200 && accepted < 100 {
        accepted += 1;
        api.clock.advance(Duration::from_secs(1));
        reply = api.get("/directories").await;
    }
    // Those before count as well.
    assert_eq!(accepted, 40 - 15);
    assert_eq!(reply.header("retry-after"), "34");

    let faults = Faults::new().throttle(Share::ALL);
    api.emulator.set_faults(faults.clone());
    assert_eq!(api.get("/directories").await.header("retry-after"), "1");
    api.emulator.set_faults(faults.retry_after(Duration::from_secs(86_400)));
    let reply = api.get("/directories").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "86400"));
    assert_eq!(api.request("GET", "/directories", None).await.unwrap().status, 401);
}

#[tokio::test]
async fn errors_have_several_statuses() {
    let (api, _) = start(Faults::new().errors(half())).await;
    for _ in 0..200 {
        api.get("/directories").await;
    }
    let statuses = api.emulator.requests().by_status;
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 500, 502, 503, 504]);
    assert!((80..120).contains(&statuses[&200]), "{statuses:?}");
}

#[tokio::test]
async fn responses_are_broken_in_three_ways() {
    let (api, _) = start(Faults::new().broken(Share::ALL)).await;
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        seen.insert(match api.try_get("/directories").await {
            Ok(reply) => {
                assert_eq!((reply.status, &reply.body), (200, &Value::Null));
                "not JSON"
            }
            Err(error) if error.starts_with("no body") => "truncated",
            Err(_) => "closed",
        });
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["closed", "not JSON", "truncated"]);
    let requests = api.emulator.requests();
    assert!(requests.unanswered > 5 && requests.unanswered < 40, "{requests:?}");
}

#[tokio::test]
async fn responses_are_slow() {
    let (api, _) = start(Faults::new().slow(Share::ALL, Duration::from_millis(80))).await;
    let begin = Instant::now();
    assert_eq!(api.get("/directories").await.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn short_pages_are_not_the_end() {
    let (api, state) = start(Faults::new().short_pages(half())).await;
    assert_eq!(differences(&read(&api).await, &state), [""; 0]);
    api.emulator.set_faults(Faults::new().short_pages(Share::ALL));
    let path = format!("/directory_users?directory={}&limit=20", state.directories[0].id);
    let reply = api.get(&path).await;
    assert!((1..20).contains(&reply.data().len()) && reply.after().is_some(), "{reply:?}");
}

#[tokio::test]
async fn a_provider_shows_half_of_its_users() {
    let (api, state) = start(Faults::new().visible_users(half())).await;
    let shown = read(&api).await;
    assert!((25..55).contains(&shown.users.len()), "{shown:?} of {state:?}");
    assert_eq!(shown.groups.len(), state.groups.len());
    let ids: BTreeSet<_> = shown.users.iter().map(|user| &user.id).collect();
    assert!(!shown.memberships.is_empty() && shown.memberships.len() < state.memberships.len());
    assert!(shown.memberships.iter().all(|it| ids.contains(&it.user_id)));
    for user in &state.users {
        let status = if ids.contains(&user.id) { 200 } else { 404 };
        assert_eq!(api.get(&format!("/directory_users/{}", user.id)).await.status, status);
    }
    assert_eq!(differences(&read(&api).await, &shown), [""; 0]);
    assert!(api.emulator.snapshot() == state);
    api.emulator.set_faults(Faults::new());
    assert_eq!(differences(&read(&api).await, &state), [""; 0]);
}

#[tokio::test]
async fn a_cursor_repeats() {
    let (api, state) = start(Faults::new().repeat_cursors(Share::ALL)).await;
    let path = format!("/directory_users?directory={}&order=asc&limit=5", state.directories[0].id);
    let first = api.get(&path).await;
    let again = format!("{path}&after={}", first.after().unwrap());
    let second = api.get(&again).await;
    assert_ne!(second.ids(), first.ids());
    assert_eq!(second.after(), first.after());
    assert_eq!(api.get(&again).await.body, second.body);
}

#[tokio::test]
async fn odd_items_change_nothing_that_is_compared() {
    let (api, state) = start(Faults::new()).await;
    let path = format!("/directory_users?directory={}", state.directories[0].id);
    let usual = api.all(&path).await;
    api.emulator.set_faults(Faults::new().odd_items(Share::ALL));
    assert_eq!(differences(&read(&api).await, &state), [""; 0]);
    let mut odd = Vec::new();
    for _ in 0..10 {
        let items = api.all(&path).await;
        assert_eq!(items.len(), usual.len());
        assert!(items.iter().zip(&usual).all(|(odd, usual)| odd != usual));
        odd.extend(items);
    }
    for name in ["organization_id", "raw_attributes", "groups"] {
        let is_absent = |item: &Value| item.get(name).is_none();
        assert!(odd.iter().any(is_absent), "{name} is never missing");
        assert!(odd.iter().any(|item| item[name] == Value::Null && !is_absent(item)), "{name}");
    }
    let one = api.get(&format!("/directory_users/{}", state.users[0].id)).await.body;
    assert!(one.get("new_in_the_api").is_some());
}

#[tokio::test]
async fn values_are_null_unknown_or_missing() {
    let (api, state) = start(Faults::new().null_fields(Share::ALL)).await;
    let path = format!("/directory_users?directory={}", state.directories[0].id);
    let users = api.all(&path).await;
    for name in ["idp_id", "email", "name", "role", "updated_at", "custom_attributes"] {
        assert!(users.iter().any(|user| user[name] == Value::Null), "{name} is never null");
    }
    assert!(users.iter().all(|user| user["id"].is_string()));
    assert_eq!(api.get(&format!("{EVENTS}&order=desc")).await.data()[0]["data"], Value::Null);

    api.emulator.set_faults(Faults::new().unknown_values(Share::ALL));
    assert!(api.all(&path).await.iter().all(|user| user["state"] == "hibernating"));
    let directory = &api.get("/directories").await.data()[0].clone();
    assert_eq!(directory["state"], "hibernating");
    assert_eq!(directory["type"], "stone tablets v1.0");

    api.emulator.set_faults(Faults::new().missing_ids(Share::ALL));
    let users = api.all(&path).await;
    assert!(users.iter().all(|user| user["id"].as_str().unwrap_or_default().is_empty()));
    for strange in [Value::Null, json!(7), json!("")] {
        assert!(users.iter().any(|user| user["id"] == strange), "never {strange}");
    }
}

#[tokio::test]
async fn one_page_fails_again_and_again() {
    let (api, state) = start(Faults::new().failing_page(ListKind::Users, 3)).await;
    let path = format!("/directory_users?directory={}&order=asc&limit=5", state.directories[0].id);
    let first = api.get(&path).await;
    let second = api.get(&format!("{path}&after={}", first.after().unwrap())).await;
    for _ in 0..3 {
        let third = api.get(&format!("{path}&after={}", second.after().unwrap())).await;
        assert_eq!(third.status, 500);
    }
    let groups =
        format!("/directory_groups?directory={}&order=asc&limit=1", state.directories[0].id);
    assert_eq!(api.all(&groups).await.len(), state.groups.len() / 2);
    api.emulator.set_faults(Faults::new());
    assert_eq!(differences(&read(&api).await, &state), [""; 0]);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let faults = Faults::new().errors(half()).odd_items(half()).short_pages(half());
    let run = async || {
        let (api, state) = start(faults.clone()).await;
        let mut replies = Vec::new();
        for user in &state.users {
            replies.push(api.get(&format!("/directory_users/{}", user.id)).await.body);
        }
        replies
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test]
async fn objects_come_and_go_while_a_list_is_read() {
    let plan = Plan::new(11).directories(1).users(60).groups(3).events(2000);
    let api = Api::with(Emulator::builder()).await;
    let mut life = dsync_emulator::directory::Life::new(plan);
    for _ in 0..300 {
        assert!(api.live(&mut life));
    }
    let before = life.snapshot();
    let path = format!("/directory_users?directory={}&order=asc&limit=5", before.directories[0].id);
    let mut seen = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("{path}&after={after}")).await;
        assert_eq!(page.status, 200);
        assert!(page.data().iter().all(|user| seen.insert(id(user).to_owned())), "seen twice");
        let Some(next) = page.after() else { break };
        next.clone_into(&mut after);
        for _ in 0..20 {
            assert!(api.live(&mut life));
        }
    }
    let now = life.snapshot();
    let ids =
        |state: &Snapshot| state.users.iter().map(|it| it.id.clone()).collect::<BTreeSet<_>>();
    let (before, now) = (ids(&before), ids(&now));
    assert!(before.difference(&now).next().is_some() && now.difference(&before).next().is_some());
    // A user who existed all the time was listed.
    assert!(before.intersection(&now).all(|user| seen.contains(user)));
}
