//! The model: every order of deliveries leads to the state that the life itself reports.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, HashSet};

use dsync_emulator::directory::{
    Deliveries, Event, Life, Order, Plan, Random, Share, Snapshot, State,
};
use proptest::prelude::*;
use tower_workos::{DirectoryEvent, EventData, Previous, Timestamp};

fn parse(event: &Event) -> DirectoryEvent {
    DirectoryEvent::parse(event.body().clone()).unwrap()
}

fn end(plan: Plan) -> Snapshot {
    let mut life = Life::new(plan);
    life.by_ref().for_each(drop);
    life.snapshot()
}

fn state<'a>(events: impl IntoIterator<Item = &'a DirectoryEvent>) -> Snapshot {
    let mut state = State::default();
    events.into_iter().for_each(|event| state.apply(event));
    state.snapshot()
}

fn assert_same(held: &Snapshot, expected: &Snapshot) {
    let comparison = expected.compare(&serde_json::to_vec(held).unwrap()).unwrap();
    let lines: Vec<_> = comparison.differences.iter().map(ToString::to_string).collect();
    assert_eq!(lines, [""; 0]);
    assert!(held == expected);
}

/// Puts the list in a random order.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut random = Random::new(seed, "shuffle");
    for place in (1..list.len()).rev() {
        let other = random.below(u64::try_from(place).unwrap() + 1);
        list.swap(place, usize::try_from(other).unwrap());
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    (any::<u64>(), 1..4_u32, 0..40_u32, 0..8_u32, 0..500_u64).prop_map(
        |(seed, directories, users, groups, events)| {
            Plan::new(seed).directories(directories).users(users).groups(groups).events(events)
        },
    )
}

fn share() -> impl Strategy<Value = Share> {
    (0..=1_000_000_u32).prop_map(Share::per_million)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_and_repetition_leads_to_the_expected_state(
        plan in plan(), seed in any::<u64>(), window in 0..300_u32, duplicates in share(), late in share(),
    ) {
        let expected = end(plan);
        let order = Order::new(seed).reorder(window).duplicates(duplicates).late(late);
        let deliveries: Vec<_> = Deliveries::new(Life::new(plan), order).collect();
        let mut events: Vec<_> = deliveries.iter().map(|it| parse(it.event())).collect();
        assert_same(&state(&events), &expected);
        // Orders that the options don't produce: any permutation, with some events twice.
        events.extend_from_within(..events.len() / 3);
        shuffle(&mut events, seed);
        assert_same(&state(&events), &expected);
        events.reverse();
        assert_same(&state(&events), &expected);
    }

    #[test]
    fn every_order_of_the_undropped_events_leads_to_one_state(plan in plan(), seed in any::<u64>(), drop in share()) {
        let order = Order::new(seed).drop(drop);
        let deliveries: Vec<_> = Deliveries::new(Life::new(plan), order).collect();
        let mut events: Vec<_> = deliveries.iter().map(|it| parse(it.event())).collect();
        let in_order = state(&events);
        shuffle(&mut events, seed);
        assert_same(&state(&events), &in_order);
        // The same events are dropped, whatever the order of the others.
        let order = order.reorder(50).late(Share::ALL);
        let ids: HashSet<_> = Deliveries::new(Life::new(plan), order).map(|it| it.event().id()).collect();
        prop_assert_eq!(ids, deliveries.iter().map(|it| it.event().id()).collect::<HashSet<_>>());
    }

    #[test]
    fn no_event_is_delayed_by_more_than_the_window(seed in any::<u64>(), window in 0..50_u32) {
        let plan = Plan::new(seed).events(500);
        let order = Order::new(seed).reorder(window);
        let deliveries: Vec<_> = Deliveries::new(Life::new(plan), order).collect();
        prop_assert_eq!(deliveries.len(), 500);
        for (place, delivery) in deliveries.iter().enumerate() {
            let sequence = usize::try_from(delivery.event().sequence()).unwrap();
            prop_assert!(place.abs_diff(sequence) <= usize::try_from(window).unwrap());
        }
    }
}

#[test]
fn a_life_contains_every_event() {
    let life: Vec<_> = Life::new(Plan::new(1)).collect();
    let mut counts = BTreeMap::<_, u32>::new();
    let mut deactivated = 0;
    let mut returned = 0;
    let mut ids = HashSet::new();
    let mut last = Timestamp::UNIX_EPOCH;
    let mut updated = BTreeMap::new();
    for event in &life {
        let event = &parse(event);
        *counts.entry(event.name().to_owned()).or_default() += 1;
        assert!(ids.insert(event.id().clone()), "an id occurs twice");
        assert!(event.created_at().unwrap() > last, "created_at did not advance");
        last = event.created_at().unwrap();
        assert!(event.organization_id().is_some() && event.directory_id().is_some());
        if let EventData::UserUpdated(change) = event.data() {
            let before = updated.insert(change.user.id.clone(), change.user.updated_at);
            assert!(before.flatten() < change.user.updated_at);
            assert_ne!(change.previous_attributes.raw(), "{}");
            match change.previous_attributes.state() {
                Previous::Was(state) => {
                    assert_ne!(Some(&state), change.user.state.as_ref());
                    deactivated += u32::from(!change.user.is_active());
                    returned += u32::from(change.is_reactivation());
                }
                previous => assert_eq!(previous, Previous::Unchanged),
            }
        }
    }
    let names: Vec<_> = counts.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "dsync.activated",
            "dsync.deleted",
            "dsync.group.created",
            "dsync.group.deleted",
            "dsync.group.updated",
            "dsync.group.user_added",
            "dsync.group.user_removed",
            "dsync.user.created",
            "dsync.user.deleted",
            "dsync.user.updated",
        ]
    );
    assert!(deactivated > 10 && returned > 0, "{deactivated} {returned}");
}

#[test]
fn a_seed_is_one_life_to_the_byte() {
    let bytes = |seed| {
        let life = Life::new(Plan::new(seed).events(3000));
        life.flat_map(|event| event.body().to_vec()).collect::<Vec<_>>()
    };
    let life = bytes(42);
    assert!(life == bytes(42), "the same seed gave another life");
    assert!(life != bytes(43), "another seed gave the same life");
    // The meaning of a seed must not change with a version of this crate or of a dependency.
    assert_eq!(digest(&life), GOLDEN);
}

const GOLDEN: u64 = 8_240_156_508_722_664_278;

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn a_world_keeps_its_planned_size() {
    let plan = Plan::new(5).directories(3).users(300).groups(30).events(60_000);
    let mut life = Life::new(plan);
    let mut sizes = Vec::new();
    while life.by_ref().take(2000).count() == 2000 {
        let snapshot = life.snapshot();
        sizes.push((snapshot.users.len(), snapshot.groups.len(), snapshot.memberships.len()));
    }
    for (users, groups, memberships) in sizes {
        assert!((150..450).contains(&users), "{users} users");
        assert!((10..60).contains(&groups), "{groups} groups");
        assert!((100..2500).contains(&memberships), "{memberships} memberships");
    }
}

fn event(id: &str, name: &str, created_at: u32, data: &str) -> DirectoryEvent {
    let body = format!(
        r#"{{"id":"{id}","event":"dsync.{name}","created_at":"2026-01-05T09:00:00.{created_at:03}Z","data":{data}}}"#
    );
    DirectoryEvent::parse(body.into()).unwrap()
}

/// Applies every order of these events, which must lead to one state, and returns the users with access.
fn access(events: &[DirectoryEvent]) -> Vec<String> {
    fn permutations(
        list: &mut Vec<DirectoryEvent>,
        from: usize,
        each: &mut impl FnMut(&[DirectoryEvent]),
    ) {
        if from + 1 >= list.len() {
            return each(list);
        }
        for place in from..list.len() {
            list.swap(from, place);
            permutations(list, from + 1, each);
            list.swap(from, place);
        }
    }
    let first = state(events);
    permutations(&mut events.to_vec(), 0, &mut |events| assert_same(&state(events), &first));
    first.access
}

fn user(state: &str, updated_at: u32) -> String {
    format!(
        r#"{{"id":"u","directory_id":"d","state":"{state}","updated_at":"2026-01-05T09:00:00.{updated_at:03}Z"}}"#
    )
}

const GROUP: &str = r#"{"id":"g","directory_id":"d","updated_at":"2026-01-05T09:00:00.000Z"}"#;

#[test]
fn the_latest_version_of_a_user_counts() {
    let hired = event("1", "user.created", 1, &user("active", 1));
    let left = event("2", "user.updated", 2, &user("inactive", 2));
    assert_eq!(access(&[hired.clone(), left.clone()]), [""; 0]);
    let returned = event("3", "user.updated", 3, &user("active", 3));
    assert_eq!(access(&[hired, left, returned]), ["u"]);
}

#[test]
fn a_user_in_a_membership_event_is_a_version_too() {
    let both = |state, updated_at| {
        format!(r#"{{"directory_id":"d","user":{},"group":{GROUP}}}"#, user(state, updated_at))
    };
    let hired = event("1", "user.created", 1, &user("active", 1));
    let added = event("2", "group.user_added", 3, &both("inactive", 2));
    assert_eq!(access(&[hired.clone(), added]), [""; 0]);
    // An older version of the user in a newer event changes nothing.
    let left = event("3", "user.updated", 2, &user("inactive", 2));
    let added = event("4", "group.user_added", 9, &both("active", 1));
    assert_eq!(access(&[hired, left, added]), [""; 0]);
}

#[test]
fn the_latest_event_of_a_membership_counts() {
    let both = format!(r#"{{"directory_id":"d","user":{},"group":{GROUP}}}"#, user("active", 1));
    let added = event("1", "group.user_added", 1, &both);
    let removed = event("2", "group.user_removed", 2, &both);
    let again = event("3", "group.user_added", 3, &both);
    let events = [added, removed, again];
    access(&events);
    assert_eq!(state(&events[..2]).memberships.len(), 0);
    assert_eq!(state(&events).memberships.len(), 1);
    let group_gone = event("4", "group.deleted", 1, GROUP);
    let user_gone = event("5", "user.deleted", 1, &user("active", 0));
    for end in [group_gone, user_gone] {
        let events = [&events[..], &[end]].concat();
        access(&events);
        assert_eq!(state(&events).memberships.len(), 0);
    }
}

#[test]
fn deletions_are_final() {
    let hired = event("1", "user.created", 1, &user("active", 1));
    let gone = event("2", "user.deleted", 2, &user("inactive", 2));
    let later = event("3", "user.updated", 3, &user("active", 3));
    assert_eq!(access(&[hired.clone(), gone, later.clone()]), [""; 0]);

    let directory = event("4", "activated", 0, r#"{"id":"d"}"#);
    let deleted = event("5", "deleted", 2, r#"{"id":"d"}"#);
    assert_eq!(
        access(&[directory.clone(), hired.clone(), later.clone(), deleted.clone()]),
        [""; 0]
    );
    // Only one event may name the directory of the user.
    let silent = event("6", "user.updated", 9, r#"{"id":"u","state":"active"}"#);
    let events = [directory, hired, silent, deleted];
    assert_eq!(access(&events), [""; 0]);
    assert_eq!(access(&events[..3]), ["u"]);
}
