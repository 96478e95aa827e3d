//! The changes that a batch reports, as the documentation of `ChangeKind` promises.

use serde_json::{Value, json};
use tower_workos::DirectoryEvent;

use super::{World, active, at, both, event, fold::Views, group, inactive, micros};
use crate::rules::{batch::Batch, document::ObjectKind, object::Object};

fn kinds(world: &mut World, events: &[&DirectoryEvent]) -> Vec<&'static str> {
    let events: Vec<_> = events.iter().copied().cloned().collect();
    let changes = world.apply(&events);
    assert_eq!(world.fold.views(), world.views());
    assert_eq!(world.apply(&events), [], "a repetition changes nothing");
    assert_eq!(world.written, 0, "rows that did not change are not written");
    changes.iter().map(|draft| draft.kind.as_str()).collect()
}

fn directory(id: &str, second: u8, state: &Value) -> DirectoryEvent {
    let data = json!({"id": "d", "name": "name", "state": state, "updated_at": at(second)});
    event(id, "activated", second, &data)
}

fn directory_gone() -> DirectoryEvent {
    event("gone", "deleted", 30, &json!({"id": "d"}))
}

#[test]
fn a_user_is_created_granted_updated_revoked_and_deleted() {
    let world = &mut World::default();
    assert_eq!(
        kinds(world, &[&event("1", "user.created", 1, &active(1))]),
        ["user_created", "user_granted"]
    );
    // A version that differs only in its time.
    assert_eq!(kinds(world, &[&event("2", "user.updated", 2, &active(2))]), [""; 0]);
    let mut renamed = active(3);
    *renamed.get_mut("email").expect("a field") = json!("v@example.com");
    let changes = world.apply(&[event("3", "user.updated", 3, &renamed)]);
    let fields: Vec<_> = changes.iter().map(|it| (it.kind.as_str(), &*it.fields)).collect();
    assert_eq!(fields, [("user_updated", &["email"][..])]);
    let changes = world.apply(&[event("4", "user.updated", 4, &inactive(4))]);
    let fields: Vec<_> = changes.iter().map(|it| (it.kind.as_str(), &*it.fields)).collect();
    assert_eq!(fields, [("user_revoked", &["email", "state"][..])]);
    let changes = world.apply(&[event("5", "user.updated", 5, &active(5))]);
    let [change] = &*changes else { panic!("one change") };
    assert_eq!((change.kind.as_str(), change.user_id.as_deref()), ("user_granted", Some("u")));
    assert_eq!(change.directory_id.as_deref(), Some("d"));
    assert_eq!(change.cause, Some((micros(5), "event_5".to_owned())));
    let gone = event("6", "user.deleted", 6, &json!({"id": "u"}));
    assert_eq!(kinds(world, &[&gone]), ["user_revoked", "user_deleted"]);
    // Late events.
    let added = event("7", "group.user_added", 9, &both(&active(9), &group("", 1)));
    assert_eq!(kinds(world, &[&added]), ["group_created"]);
    let removed = event("8", "group.user_removed", 10, &both(&active(9), &group("", 1)));
    assert_eq!(kinds(world, &[&removed]), [""; 0]);
}

#[test]
fn changes_are_net() {
    let world = &mut World::default();
    let hired = event("1", "user.created", 1, &active(1));
    let left = event("2", "user.updated", 2, &inactive(2));
    let gone = event("3", "user.deleted", 3, &json!({"id": "u"}));
    assert_eq!(kinds(world, &[&hired, &left]), ["user_created"]);
    assert_eq!(kinds(world, &[&hired]), [""; 0]);
    assert_eq!(kinds(world, &[&gone]), ["user_deleted"]);
    assert_eq!(kinds(&mut World::default(), &[&hired, &gone]), [""; 0]);
    assert_eq!(kinds(&mut World::default(), &[&gone]), [""; 0]);
}

#[test]
fn the_latest_event_of_a_batch_is_the_cause() {
    let hired = event("9", "user.created", 1, &active(1));
    let left = event("1", "user.updated", 2, &inactive(2));
    for batch in [[hired.clone(), left.clone()], [left, hired]] {
        let changes = World::default().apply(&batch);
        let [change] = &*changes else { panic!("one change") };
        assert_eq!(change.cause, Some((micros(2), "event_1".to_owned())));
    }
}

/// The first version of a group of which only the id was known before.
#[test]
fn a_first_version_is_an_update() {
    let bare = both(&json!({"id": "u"}), &json!({"id": "g"}));
    let world = &mut World::default();
    world.apply(&[event("1", "group.user_added", 1, &bare)]);
    let changes = world.apply(&[event("2", "group.created", 1, &group("one", 1))]);
    let fields: Vec<_> = changes.iter().map(|it| (it.kind.as_str(), &*it.fields)).collect();
    assert_eq!(fields, [("group_updated", &["name"][..])]);
}

#[test]
fn a_group_is_created_updated_and_deleted() {
    let world = &mut World::default();
    let created = event("1", "group.created", 1, &group("one", 1));
    assert_eq!(kinds(world, &[&created]), ["group_created"]);
    let renamed = event("2", "group.updated", 2, &group("two", 2));
    assert_eq!(kinds(world, &[&renamed]), ["group_updated"]);
    let gone = event("3", "group.deleted", 3, &json!({"id": "g"}));
    assert_eq!(kinds(world, &[&gone]), ["group_deleted"]);
}

#[test]
fn a_membership_is_added_and_removed() {
    let world = &mut World::default();
    let added = |second| event("1", "group.user_added", second, &both(&active(1), &group("", 1)));
    let removed = event("2", "group.user_removed", 2, &both(&active(1), &group("", 1)));
    assert_eq!(
        kinds(world, &[&added(1)]),
        ["group_created", "user_created", "user_granted", "membership_added"]
    );
    assert_eq!(kinds(world, &[&removed]), ["membership_removed"]);
    assert_eq!(kinds(world, &[&added(1)]), [""; 0]);
    assert_eq!(kinds(world, &[&added(3)]), ["membership_added"]);
    // Deletions end memberships without changes of their own.
    let gone = event("4", "group.deleted", 4, &json!({"id": "g"}));
    let left = event("5", "group.user_removed", 5, &both(&active(1), &group("", 1)));
    assert_eq!(kinds(world, &[&gone, &left]), ["group_deleted"]);
}

#[test]
fn a_directory_is_created_revoked_restored_and_deleted() {
    let world = &mut World::default();
    assert_eq!(kinds(world, &[&directory("1", 1, &json!("active"))]), ["directory_created"]);
    assert_eq!(kinds(world, &[&directory("2", 2, &json!("validating"))]), ["directory_updated"]);
    assert_eq!(kinds(world, &[&directory("3", 3, &json!("inactive"))]), ["directory_revoked"]);
    assert_eq!(kinds(world, &[&directory("4", 4, &json!("deleting"))]), ["directory_updated"]);
    assert_eq!(kinds(world, &[&directory("5", 5, &json!("active"))]), ["directory_restored"]);
    assert_eq!(kinds(world, &[&directory_gone()]), ["directory_revoked", "directory_deleted"]);
    assert_eq!(kinds(world, &[&directory("6", 40, &json!("active"))]), [""; 0]);
}

#[test]
fn a_directory_that_gave_no_access_is_revoked_once() {
    let world = &mut World::default();
    let closed = directory("1", 1, &json!("inactive"));
    assert_eq!(kinds(world, &[&closed]), ["directory_created", "directory_revoked"]);
    assert_eq!(kinds(world, &[&directory_gone()]), ["directory_deleted"]);
}

/// Users of a directory that was never seen are listed until it is missing in WorkOS's API.
#[test]
fn an_unknown_directory_can_be_absent() {
    let world = &mut World::default();
    world.apply(&[event("1", "user.created", 1, &active(1))]);
    let mut absent = Object::new("d");
    absent.absent_at = Some(micros(5));
    let mut batch = Batch::default();
    batch.object(ObjectKind::Directory, absent);
    let changes = world.settle(batch);
    let kinds: Vec<_> = changes.iter().map(|draft| draft.kind.as_str()).collect();
    assert_eq!(kinds, ["directory_revoked", "directory_deleted"]);
    assert_eq!(world.views(), Views::default());
    assert_eq!(world.fold.views(), world.views());
    // Its deletion changes nothing visible.
    let gone = world.apply(&[directory_gone()]);
    assert_eq!(gone, []);
}

/// Users of a directory that was never seen have access.
#[test]
fn an_unknown_directory_is_revoked() {
    let world = &mut World::default();
    assert_eq!(kinds(world, &[&directory_gone()]), ["directory_revoked", "directory_deleted"]);
}

#[test]
fn the_deletion_of_a_directory_is_one_change() {
    let hired = event("1", "user.created", 1, &active(1));
    let added = event("2", "group.user_added", 1, &both(&active(1), &group("", 1)));
    let world = &mut World::default();
    world.apply(&[hired.clone(), added.clone(), directory("3", 1, &json!("active"))]);
    assert_eq!(kinds(world, &[&directory_gone()]), ["directory_revoked", "directory_deleted"]);

    // With an event about a user in the same batch.
    let left = event("4", "user.updated", 2, &inactive(2));
    let world = &mut World::default();
    world.apply(std::slice::from_ref(&hired));
    let changes = kinds(world, &[&directory_gone(), &left, &added]);
    assert_eq!(changes, ["directory_revoked", "directory_deleted"]);

    // Everything in one batch.
    let changes = kinds(&mut World::default(), &[&hired, &added, &directory_gone()]);
    assert_eq!(changes, ["directory_revoked", "directory_deleted"]);

    // And nothing afterwards.
    let world = &mut World::default();
    kinds(world, &[&directory_gone()]);
    assert_eq!(kinds(world, &[&hired, &added, &left]), [""; 0]);
}

#[test]
fn a_user_whose_deleted_directory_becomes_known_is_deleted() {
    let unnamed = json!({"id": "u", "state": "active", "updated_at": at(1)});
    let hired = event("1", "user.created", 1, &unnamed);
    let named = event("2", "user.updated", 2, &active(2));
    let world = &mut World::default();
    assert_eq!(kinds(world, &[&hired]), ["user_created", "user_granted"]);
    kinds(world, &[&directory_gone()]);
    assert_eq!(kinds(world, &[&named]), ["user_revoked", "user_deleted"]);

    // The directory is deleted in the batch that names it.
    let world = &mut World::default();
    kinds(world, &[&hired]);
    let changes = kinds(world, &[&directory_gone(), &named]);
    assert_eq!(changes, ["directory_revoked", "directory_deleted", "user_revoked", "user_deleted"]);

    // A removal names it.
    let world = &mut World::default();
    kinds(world, &[&hired, &directory_gone()]);
    let bare = both(&json!({"id": "u"}), &json!({"id": "g"}));
    let removed = event("3", "group.user_removed", 3, &bare);
    assert_eq!(kinds(world, &[&removed]), ["user_revoked", "user_deleted"]);
}

/// Events that disagree about the directory of a user: the smaller id counts.
#[test]
fn a_user_can_move_out_of_a_deleted_directory() {
    let moved = |id, directory| {
        let data =
            json!({"id": "u", "directory_id": directory, "state": "active", "updated_at": at(1)});
        event(id, "user.updated", 1, &data)
    };
    let world = &mut World::default();
    kinds(world, &[&moved("1", "d")]);
    let changes = kinds(world, &[&directory_gone(), &moved("2", "c")]);
    assert_eq!(changes, ["directory_revoked", "directory_deleted", "user_created", "user_granted"]);
    let changes = kinds(world, &[&event("3", "deleted", 3, &json!({"id": "c"}))]);
    assert_eq!(changes, ["directory_revoked", "directory_deleted"]);
    assert_eq!(kinds(world, &[&moved("4", "b")]), ["user_created", "user_granted"]);
    let changes = world.apply(&[moved("5", "a")]);
    let fields: Vec<_> = changes.iter().map(|it| (it.kind.as_str(), &*it.fields)).collect();
    assert_eq!(fields, [("user_updated", &["directory_id"][..])]);
}
