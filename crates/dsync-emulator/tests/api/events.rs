//! The Events API.

use std::time::Duration;

use dsync_emulator::{
    Emulator,
    directory::{Life, Plan},
};
use serde_json::{Value, json};

use crate::support::{Api, EVENTS, id};

#[tokio::test]
async fn new_events_are_withheld_from_ascending_reads() {
    let (api, _) = Api::with_life(
        Emulator::builder().withhold(Duration::from_secs(5)),
        Plan::new(1).directories(1).users(5).groups(0).events(6),
    )
    .await;
    let newest = api.get(&format!("{EVENTS}&order=desc")).await;
    assert_eq!(newest.data().len(), 6);
    assert_eq!(newest.body["list_metadata"], json!({"after": null}));
    assert_eq!(api.get(&format!("{EVENTS}&order=asc")).await.data().len(), 0);
    api.clock.advance(Duration::from_millis(4999));
    let almost = api.get(&format!("{EVENTS}&order=asc")).await;
    assert_eq!(almost.data().len(), 5);
    // A cursor that a webhook provided is ahead of what can be read.
    let ahead = format!("{EVENTS}&order=asc&after={}", id(&newest.data()[0]));
    assert_eq!(api.get(&ahead).await.data().len(), 0);
    api.clock.advance(Duration::from_millis(1));
    assert_eq!(api.get(&format!("{EVENTS}&order=asc")).await.data().len(), 6);
    let next = format!("{EVENTS}&order=asc&after={}", id(&almost.data()[4]));
    assert_eq!(api.get(&next).await.ids(), [id(&newest.data()[0])]);
}

#[tokio::test]
async fn old_events_are_forgotten() {
    let api = Api::with(Emulator::builder().retention(Duration::from_secs(7 * 86_400))).await;
    let mut life = Life::new(Plan::new(1).directories(1).users(9).groups(0).events(10));
    let mut ids = Vec::new();
    for _ in 0..10 {
        let event = life.next_at(api.clock.now()).unwrap();
        api.emulator.record(&event).unwrap();
        ids.push(format!("event_{}", event.id()));
        api.clock.advance(Duration::from_secs(86_400));
    }
    let list = |after: &str| format!("{EVENTS}&order=asc&after={after}");
    assert_eq!(api.get(&list("")).await.ids(), ids[3..]);
    let gone = api.get(&list(&ids[2])).await;
    assert_eq!((gone.status, gone.wrong()), (422, vec!["after"]));
    assert_eq!(api.get(&list(&ids[3])).await.ids(), ids[4..]);
    // The objects are still there.
    assert_eq!(api.emulator.snapshot().users.len(), 9);

    api.emulator.lose_event(&ids[5]).unwrap();
    assert!(api.emulator.lose_event(&ids[5]).is_err());
    assert_eq!(api.get(&list("")).await.data().len(), 6);
}

#[tokio::test]
async fn ranges_names_and_organizations_select_events() {
    let api = Api::with(Emulator::builder().withhold(Duration::ZERO)).await;
    let plan = Plan::new(2).directories(2).users(20).groups(2).events(120);
    let mut life = Life::new(plan);
    while api.live(&mut life) {
        api.clock.advance(Duration::from_secs(3600));
    }
    let all: Vec<Value> = api.get(&format!("{EVENTS}&order=asc&limit=100")).await.data().clone();
    let at = |place: usize| all[place]["created_at"].as_str().unwrap();
    let path = format!("{EVENTS}&order=asc&range_start={}&range_end={}&limit=100", at(10), at(30));
    let range = api.get(&path).await;
    assert_eq!(range.data(), &all[10..30]);
    let page = api.get(&format!("{EVENTS}&order=asc&range_start={}&limit=7", at(10))).await;
    assert_eq!((page.data(), page.after()), (&all[10..17].to_vec(), Some(id(&all[16]))));
    let path = format!("{EVENTS}&order=asc&range_start={}&after={}", at(10), id(&all[16]));
    assert_eq!(api.get(&path).await.wrong(), ["range_start"]);
    let path = format!("{EVENTS}&order=asc&range_end={}&after={}&limit=100", at(30), id(&all[16]));
    assert_eq!(api.get(&path).await.data(), &all[17..30]);

    let named = api.all("/events?events=dsync.group.created&events=dsync.activated").await;
    let names: Vec<_> = named.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(names.contains(&"dsync.activated") && names.contains(&"dsync.group.created"));
    assert!(named.len() >= 4 && !names.contains(&"dsync.user.created"));

    let organization = all[0]["data"]["organization_id"].as_str().unwrap();
    let of_one = api.all(&format!("{EVENTS}&organization_id={organization}")).await;
    let expected: Vec<_> = api.all(EVENTS).await;
    let is_one = |event: &&Value| event.to_string().contains(organization);
    let expected: Vec<_> = expected.iter().filter(is_one).cloned().collect();
    assert!(expected.len() < 120 && of_one == expected);
    assert!(expected.iter().any(|event| event["event"] == "dsync.group.user_added"));
}

#[tokio::test]
async fn without_a_range_a_query_covers_30_days() {
    let api = Api::start().await;
    let event = |id: &str, at: &str| {
        let body = json!({"id": id, "event": "dsync.token.created", "data": {"id": "t"}, "created_at": at});
        api.emulator.record(body.to_string()).unwrap();
    };
    event("event_1", "2025-12-05T08:59:57Z");
    event("event_2", "2025-12-06T09:00:00Z");
    event("event_3", "2025-12-31T09:00:00Z");
    let path = "/events?events=dsync.token.created&order=asc";
    assert_eq!(api.get(path).await.ids(), ["event_2", "event_3"]);
    assert_eq!(api.get(&format!("{path}&after=event_1")).await.ids(), ["event_2", "event_3"]);
    let path = format!("{path}&range_end=2025-12-06T10:00:00Z");
    assert_eq!(api.get(&path).await.ids(), ["event_1", "event_2"]);
    let path = "/events?events=dsync.token.created&order=asc&range_start=2025-12-05T09:00:00Z";
    assert_eq!(api.get(path).await.status, 422);
}

#[tokio::test]
async fn a_silent_event_is_not_listed() {
    let api = Api::start().await;
    let body = json!({"id": "event_1", "event": "dsync.user.created", "data": {"id": "u"}, "object": "event"});
    api.emulator.record_silently(body.to_string()).unwrap();
    assert_eq!(api.emulator.snapshot().users.len(), 1);
    let path = format!("{EVENTS}&order=desc");
    assert_eq!(api.get(&path).await.data().len(), 0);
    let other = body.to_string().replace("event_1", "event_2");
    api.emulator.record(other).unwrap();
    assert_eq!(api.get(&path).await.ids(), ["event_2"]);
}
