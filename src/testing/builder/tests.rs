use super::*;
use crate::{
    event::{AccessChange, DirectoryEvent, EventData},
    testing::sample,
};

#[test]
fn an_unchanged_builder_makes_the_sample() {
    for &sample in sample::ALL {
        let original = DirectoryEvent::parse(sample.into()).unwrap();
        let built = sample.builder().event();
        assert_eq!(built.data(), original.data());
        assert_eq!(built.created_at(), original.created_at());
        assert_eq!(built.name(), original.name());
    }
}

#[test]
fn ids_are_replaced_everywhere() {
    let event = sample::GROUP_USER_ADDED
        .builder()
        .user("u\"7")
        .group("g7")
        .directory("d7")
        .organization("o7")
        .event();
    let EventData::GroupUserAdded(membership) = event.data() else { panic!() };
    assert_eq!((&membership.user.id, &membership.group.id), (&"u\"7".into(), &"g7".into()));
    for directory in
        [&membership.directory_id, &membership.user.directory_id, &membership.group.directory_id]
    {
        assert_eq!(directory.as_ref().unwrap(), &"d7");
    }
    assert_eq!(membership.user.organization_id.as_ref().unwrap(), &"o7");
    let text = str::from_utf8(event.raw()).unwrap();
    assert!(!text.contains("_01JTWS"), "{text}");
}

#[test]
fn the_last_setting_counts() {
    let event = sample::GROUP_USER_ADDED.builder().user("ada").user("bob").event();
    let EventData::GroupUserAdded(membership) = event.data() else { panic!() };
    assert_eq!(membership.user.id, "bob");
    assert_eq!(membership.user.email.as_deref(), Some("bob@northwind.example"));
    assert_eq!(membership.user.idp_id.as_deref(), Some("idp_bob"));
}

#[test]
fn a_field_of_the_user_is_set_in_each_event() {
    for sample in [sample::USER_CREATED, sample::GROUP_USER_ADDED] {
        let event = sample.builder().user("ada").user_data("state", "inactive").event();
        assert!(
            matches!(event.access_change(), Some(AccessChange::Revoked(user)) if user.id == "ada")
        );
    }
}

#[test]
#[should_panic(expected = "dsync.user.created has nothing to set this for")]
fn a_setting_without_an_effect_panics() {
    let _ = sample::USER_CREATED.builder().group("g7");
}

#[test]
fn the_time_is_the_events_and_the_objects() {
    let time: Timestamp = "2026-06-01T12:00:00.5Z".parse().unwrap();
    let user = sample::USER_UPDATED.builder().at(time).event();
    let EventData::UserUpdated(change) = user.data() else { panic!() };
    assert_eq!((user.created_at(), change.user.updated_at), (Some(time), Some(time)));
    let added = sample::GROUP_USER_ADDED.builder().at(time).event();
    let EventData::GroupUserAdded(membership) = added.data() else { panic!() };
    assert_eq!(added.created_at(), Some(time));
    assert_ne!(membership.user.updated_at, Some(time));
}

#[test]
fn the_id_is_a_ulid_of_the_time_unless_it_is_set() {
    let time = "2026-06-01T12:00:00Z".parse().unwrap();
    let created = sample::USER_CREATED.builder().at(time);
    let id = created.event().id().as_str().to_owned();
    // 1 780 315 200 000 milliseconds.
    assert_eq!(id.len(), "event_".len() + 26);
    assert!(id.starts_with("event_01KT1GW6G0"), "{id}");
    assert_eq!(created.clone().event().id(), &id.as_str());
    for other in [
        created.clone().user("u7"),
        created.clone().data("state", "inactive"),
        sample::USER_DELETED.builder().at(time),
    ] {
        assert_ne!(other.event().id(), &id.as_str());
    }
    assert_eq!(created.id("event_1").event().id(), &"event_1");
}
