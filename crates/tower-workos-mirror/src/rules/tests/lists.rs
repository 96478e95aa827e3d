//! The rules for what lists of the API show, next to events. Every combination is merged in every order.

use super::{World, fold::Views, micros, orders};
use crate::{
    rules::{
        batch::Batch,
        document::{Document, ObjectKind},
        member::{Member, Operation},
        object::{EventVersion, ListVersion, Object},
    },
    sql::value::Value,
};

/// A user's document with this state.
fn document(state: &str) -> Document {
    let mut document = Document::empty(ObjectKind::User);
    let column = ObjectKind::User.state_column().and_then(|column| document.0.get_mut(column));
    *column.expect("users have a state") = Value::from(state);
    document
}

fn listed(fence: u8, updated: u8, state: &str) -> Object {
    let mut object = Object::new("u");
    let version = ListVersion { at: micros(fence), updated: micros(updated) };
    object.list = Some((version, document(state)));
    object.evidence_at = Some(micros(fence));
    object
}

fn happened(updated: u8, at: u8, state: &str) -> Object {
    let mut object = Object::new("u");
    let (updated, at) = (micros(updated), micros(at));
    let event = format!("event_{at}");
    let version = EventVersion { updated, at, inactive: state != "active", event };
    object.event = Some((version, document(state)));
    object.evidence_at = Some(at);
    object
}

fn absent(fence: u8) -> Object {
    let mut object = Object::new("u");
    object.absent_at = Some(micros(fence));
    object
}

/// The views after these facts about a user, the same for every order, one by one and at once.
#[track_caller]
fn after(facts: &[Object]) -> Views {
    let mut views = None;
    for order in orders(facts.len()) {
        let mut one_by_one = World::default();
        let mut at_once = Batch::default();
        for facts in order.iter().filter_map(|&place| facts.get(place)) {
            let mut batch = Batch::default();
            batch.object(ObjectKind::User, facts.clone());
            at_once.object(ObjectKind::User, facts.clone());
            one_by_one.settle(batch);
            assert_eq!(one_by_one.fold.views(), one_by_one.views());
        }
        let mut world = World::default();
        world.settle(at_once);
        assert_eq!(world.fold.views(), world.views());
        assert_eq!(world.views(), one_by_one.views());
        let first = views.get_or_insert_with(|| world.views());
        assert_eq!(*first, world.views(), "the views depend on the order");
    }
    views.expect("at least one order")
}

#[track_caller]
fn assert_access(facts: &[Object], has_access: bool) {
    assert_eq!(after(facts).access.contains("u"), has_access);
}

/// A revocation whose event was lost: the list repairs it, although `updated_at` did not change.
#[test]
fn a_list_that_began_after_the_event_wins() {
    assert_access(&[happened(5, 5, "active"), listed(6, 5, "inactive")], false);
    assert_access(&[happened(5, 5, "active"), listed(6, 1, "inactive")], false);
}

/// The list was read while the event was on its way.
#[test]
fn a_list_that_began_before_the_event_loses() {
    assert_access(&[happened(5, 5, "inactive"), listed(4, 1, "active")], false);
    // The list began at the same time: it may show the state before.
    assert_access(&[happened(5, 5, "inactive"), listed(5, 5, "active")], false);
    assert_access(&[happened(5, 5, "active"), listed(5, 5, "inactive")], true);
}

/// The list was read for so long that it shows a later version than the event.
#[test]
fn a_list_with_a_greater_updated_at_wins_whenever_it_began() {
    assert_access(&[happened(5, 5, "active"), listed(4, 6, "inactive")], false);
    assert_access(&[happened(4, 5, "active"), listed(4, 5, "inactive")], false);
}

/// The second event is older than the first by `updated_at`, but newer than the list by its time. With a single cell, the
/// list would replace the first event, and the second event would then replace the list.
#[test]
fn events_and_lists_have_a_cell_each() {
    let facts = [happened(5, 5, "inactive"), listed(6, 3, "inactive"), happened(4, 7, "active")];
    assert_access(&facts, false);
}

#[test]
fn of_two_lists_the_later_one_counts() {
    assert_access(&[listed(5, 9, "active"), listed(6, 3, "inactive")], false);
    assert_access(&[listed(5, 3, "active"), listed(5, 4, "inactive")], false);
}

#[test]
fn a_list_without_events_is_enough() {
    assert_access(&[listed(5, 5, "active")], true);
    assert_access(&[listed(5, 5, "inactive")], false);
}

/// A deletion whose event was lost, then a late event from before.
#[test]
fn evidence_older_than_the_absence_does_not_count() {
    assert_access(&[absent(5), happened(4, 4, "active")], false);
    assert_access(&[absent(5), listed(4, 4, "active")], false);
    // A list that is not complete, or not current, shows less than there is.
    assert_access(&[absent(5), happened(6, 6, "active")], true);
    assert_access(&[absent(5), happened(5, 5, "active")], true);
    assert_access(&[absent(5), happened(6, 6, "active"), absent(7)], false);
}

#[test]
fn absence_alone_creates_nothing() {
    assert_eq!(after(&[absent(5)]), Views::default());
}

#[test]
fn a_deletion_is_final_for_lists() {
    let mut deleted = Object::new("u");
    deleted.deleted = Some((micros(1), "event_1".to_owned()));
    assert_eq!(after(&[deleted, listed(9, 9, "active")]), Views::default());
}

/// A directory that is absent from the API hides its users, and can return with them.
#[test]
fn an_absent_directory_takes_its_users_along() {
    let mut user = happened(1, 1, "active");
    user.directory_id = Some("u".to_owned());
    let settle = |world: &mut World, kind, facts: Object| {
        let mut batch = Batch::default();
        batch.object(kind, facts);
        let changes = world.settle(batch);
        assert_eq!(world.fold.views(), world.views());
        changes.iter().map(|draft| draft.kind.as_str()).collect::<Vec<_>>()
    };
    let mut directory = Object::new("u");
    directory.evidence_at = Some(micros(1));
    let mut world = World::default();
    settle(&mut world, ObjectKind::User, user);
    settle(&mut world, ObjectKind::Directory, directory.clone());
    let changes = settle(&mut world, ObjectKind::Directory, absent(2));
    assert_eq!(changes, ["directory_revoked", "directory_deleted"]);
    assert_eq!(world.views(), Views::default());
    directory.evidence_at = Some(micros(3));
    let changes = settle(&mut world, ObjectKind::Directory, directory);
    assert_eq!(changes, ["directory_created", "directory_restored"]);
    assert!(world.views().access.contains("u"));
}

fn operation(second: u8, removed: bool) -> Member {
    let operation = Operation { at: micros(second), removed, event: "e".to_owned() };
    Member { operation: Some(operation), absent_at: None }
}

/// The list of a group's members lacks the user, because the event about leaving was lost.
#[test]
fn a_membership_is_absent_until_the_user_joins_again() {
    let absent = Member { operation: None, absent_at: Some(micros(5)) };
    for (facts, is_joined) in [
        (vec![absent.clone()], false),
        (vec![absent.clone(), operation(4, false)], false),
        (vec![absent.clone(), operation(5, false)], true),
        (vec![absent.clone(), operation(6, false)], true),
        (vec![absent.clone(), operation(6, true)], false),
        (vec![absent.clone(), operation(4, true), operation(6, false)], true),
    ] {
        for order in orders(facts.len()) {
            let mut member = Member::default();
            for facts in order.iter().filter_map(|&place| facts.get(place)) {
                member.merge(facts.clone());
            }
            assert_eq!(member.is_joined(), is_joined);
        }
    }
}

/// The creation and the deletion of a user were both lost, and the list did not show the user. Then the creation arrives.
#[test]
fn a_late_event_creates_nothing_that_a_complete_list_lacked() {
    for (evidence, has_access) in [(4, false), (5, true), (6, true)] {
        let mut late = happened(4, 4, "active");
        late.directory_id = Some("d".to_owned());
        late.evidence_at = Some(micros(evidence));
        let mut world = World::default();
        let complete = world.complete(ObjectKind::Directory, "d", micros(5));
        world.settle(complete);
        let mut batch = Batch::default();
        batch.object(ObjectKind::User, late);
        world.settle(batch);
        assert_eq!(world.views().access.contains("u"), has_access);
        assert_eq!(world.fold.views(), world.views());
    }
}

/// The same for a membership: the user joined and left, and both events were lost.
#[test]
fn a_late_event_does_not_bring_back_a_member_whom_a_complete_list_lacked() {
    for (joined, is_member) in [(4, false), (5, true), (6, true)] {
        let mut world = World::default();
        let complete = world.complete(ObjectKind::Group, "g", micros(5));
        world.settle(complete);
        let mut batch = Batch::default();
        for (kind, id) in [(ObjectKind::Group, "g"), (ObjectKind::User, "u")] {
            let mut object = Object::new(id);
            object.evidence_at = Some(micros(5));
            batch.object(kind, object);
        }
        batch.member("g".to_owned(), "u".to_owned(), operation(joined, false));
        world.settle(batch);
        assert_eq!(world.views().memberships.contains("g u"), is_member);
        assert_eq!(world.fold.views(), world.views());
    }
}

/// The API's directories have no `domains`. A list must not empty what an event contained, whichever came first.
#[test]
fn a_list_of_directories_keeps_the_domains() {
    let kind = ObjectKind::Directory;
    let place = kind.columns().iter().position(|(name, _)| *name == "domains");
    let place = place.expect("directories have domains");
    let directory = |name: &str, domains: Option<&str>| {
        let mut document = Document::empty(kind);
        *document.0.get_mut(1).expect("a name") = Value::from(name);
        *document.0.get_mut(place).expect("domains") = domains.map(str::to_owned).into();
        document
    };
    let event = |second, domains| {
        let mut object = happened(second, second, "active");
        object.event = object.event.map(|(version, _)| (version, directory("old", Some(domains))));
        object
    };
    let mut list = listed(5, 5, "active");
    list.list = list.list.map(|(version, _)| (version, directory("new", None)));
    let facts = [event(1, "[1]"), event(2, "[2]"), list];
    for order in orders(facts.len()) {
        let mut world = World::default();
        for facts in order.iter().filter_map(|&place| facts.get(place)) {
            let mut batch = Batch::default();
            batch.object(kind, facts.clone());
            world.settle(batch);
        }
        let shown = world.rows.directories.get("u").and_then(|it| it.shown(kind));
        assert!(shown.as_deref() == Some(&directory("new", Some("[2]"))));
        // The same list again changes nothing.
        let mut batch = Batch::default();
        batch.object(kind, facts.last().expect("a list").clone());
        assert_eq!(world.settle(batch), []);
        assert_eq!(world.written, 0);
    }
}
