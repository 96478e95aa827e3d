//! The typed values that bodies are read as.

use serde_json::json;
use tower_workos::{
    Directory, DirectoryState, DirectoryType, DirectoryUser, DirectoryUserState, EventData,
    Previous, testing::sample,
};

use super::{USER, event, parse};
use crate::support::at;

#[test]
fn every_event_has_its_type() {
    let user = json!({"id": USER});
    let group = json!({"id": "directory_group_1"});
    let membership = json!({"user": user, "group": group});
    for (name, data) in [
        ("dsync.activated", json!({"id": "directory_1"})),
        ("dsync.deleted", json!({"id": "directory_1"})),
        ("dsync.group.created", group.clone()),
        ("dsync.group.deleted", group.clone()),
        ("dsync.group.updated", group.clone()),
        ("dsync.group.user_added", membership.clone()),
        ("dsync.group.user_removed", membership),
        ("dsync.token.created", json!({"id": "directory_token_1"})),
        ("dsync.token.revoked", json!({"id": "directory_token_1"})),
        ("dsync.user.created", user.clone()),
        ("dsync.user.deleted", user.clone()),
        ("dsync.user.updated", user),
    ] {
        let event = event(name, data);
        assert_eq!(event.name(), name);
        let right = match event.data() {
            EventData::DirectoryActivated(it) => {
                name == "dsync.activated" && it.id == "directory_1"
            }
            EventData::DirectoryDeleted(it) => name == "dsync.deleted" && it.id == "directory_1",
            EventData::GroupCreated(it) => {
                name == "dsync.group.created" && it.id == "directory_group_1"
            }
            EventData::GroupDeleted(it) => {
                name == "dsync.group.deleted" && it.id == "directory_group_1"
            }
            EventData::GroupUpdated(it) => {
                name == "dsync.group.updated" && it.group.id == "directory_group_1"
            }
            EventData::GroupUserAdded(it) => name == "dsync.group.user_added" && it.user.id == USER,
            EventData::GroupUserRemoved(it) => {
                name == "dsync.group.user_removed" && it.user.id == USER
            }
            EventData::TokenCreated(it) => {
                name == "dsync.token.created" && it.id == "directory_token_1"
            }
            EventData::TokenRevoked(it) => {
                name == "dsync.token.revoked" && it.id == "directory_token_1"
            }
            EventData::UserCreated(it) => name == "dsync.user.created" && it.id == USER,
            EventData::UserDeleted(it) => name == "dsync.user.deleted" && it.id == USER,
            EventData::UserUpdated(it) => name == "dsync.user.updated" && it.user.id == USER,
            _ => false,
        };
        assert!(right, "{name}: {:?}", event.data());
    }
}

#[test]
fn all_fields_of_a_user_are_read() {
    let event = parse(sample::USER_UPDATED).unwrap();
    let EventData::UserUpdated(change) = event.data() else { panic!("{:?}", event.data()) };
    let user = &change.user;
    assert_eq!(user.id, "directory_user_01JTWS2B8G4J0M3Q6V9X5Z7F1H");
    assert_eq!(user.directory_id, Some("directory_01JTWS1A7F3H9K2P5T8V4Y6E0G".into()));
    assert_eq!(user.organization_id, Some("org_01JTWS0Q5Z8D4N7R2M6K9X3B1C".into()));
    assert_eq!(user.idp_id.as_deref(), Some("00u7k2m9q4ZrW8xT15d7"));
    assert_eq!(user.email.as_deref(), Some("rosalind.okafor@northwind.example"));
    assert_eq!(user.first_name.as_deref(), Some("Rosalind"));
    assert_eq!(user.last_name.as_deref(), Some("Okafor"));
    assert_eq!(user.name.as_deref(), Some("Rosalind Okafor"));
    assert_eq!(user.state, Some(DirectoryUserState::Active));
    assert_eq!(user.role.as_ref().map(|role| role.slug.as_str()), Some("admin"));
    assert_eq!(user.roles.iter().map(|role| &role.slug).collect::<Vec<_>>(), ["admin", "member"]);
    assert_eq!(user.created_at.unwrap().to_string(), "2026-02-11T09:14:52.318Z");
    assert_eq!(user.updated_at.unwrap().to_string(), "2026-04-20T08:05:19.94Z");
    assert_eq!(user.custom_attributes.job_title().unwrap(), "Principal Engineer");
    let previous = &change.previous_attributes;
    assert!(matches!(previous.role(), Previous::Was(role) if role.slug == "member"));
    assert_eq!(previous.custom_attributes().job_title(), Previous::Was("Staff Engineer".into()));
    assert_eq!(previous.email(), Previous::Unchanged);

    assert_eq!(event.organization_id(), user.organization_id.as_ref());
    assert_eq!(event.directory_id(), user.directory_id.as_ref());
    assert_eq!(event.created_at().unwrap().to_string(), "2026-04-20T08:05:19.998Z");
    assert_eq!(event.context().raw(), "{}");
}

#[test]
fn all_fields_of_other_objects_are_read() {
    let event = parse(sample::DIRECTORY_ACTIVATED).unwrap();
    let EventData::DirectoryActivated(directory) = event.data() else { panic!() };
    assert_eq!(directory.directory_type, Some(DirectoryType::OktaScim));
    assert_eq!(directory.state, Some(DirectoryState::Active));
    assert_eq!(directory.external_key.as_deref(), Some("q7Xc2LmV9tRb4KdZ"));
    assert_eq!(directory.domains[0].domain.as_deref(), Some("northwind.example"));
    assert_eq!(event.directory_id(), Some(&directory.id));

    let event = parse(sample::DIRECTORY_DELETED).unwrap();
    let EventData::DirectoryDeleted(directory) = event.data() else { panic!() };
    assert_eq!(directory.state, Some(DirectoryState::Deleting));
    assert_eq!((directory.domains.len(), &directory.external_key), (0, &None));

    let event = parse(sample::GROUP_UPDATED).unwrap();
    let EventData::GroupUpdated(change) = event.data() else { panic!() };
    assert_eq!(change.group.name.as_deref(), Some("Platform"));
    assert_eq!(change.previous_attributes.name(), Previous::Was("Platform Engineering".into()));

    let event = parse(sample::GROUP_USER_ADDED).unwrap();
    let EventData::GroupUserAdded(membership) = event.data() else { panic!() };
    assert_eq!(membership.directory_id.as_ref(), event.directory_id());
    assert_eq!(membership.group.idp_id.as_deref(), Some("00g3f8w1n6LpQ2sV95d7"));
    assert_eq!(event.organization_id(), membership.user.organization_id.as_ref());

    let event = parse(sample::TOKEN_REVOKED).unwrap();
    let EventData::TokenRevoked(token) = event.data() else { panic!() };
    assert_eq!(token.token_suffix.as_deref(), Some("h4Qz"));
    assert!(token.created_at < event.created_at());
}

#[test]
fn a_membership_has_the_directory_of_its_user_or_group() {
    for (data, organization, directory) in [
        (
            json!({"directory_id": "d1", "user": {"id": "u", "directory_id": "d2"}, "group": {"id": "g"}}),
            None,
            "d1",
        ),
        (
            json!({"user": {"id": "u", "directory_id": "d2", "organization_id": "o2"}, "group": {"id": "g"}}),
            Some("o2"),
            "d2",
        ),
        (
            json!({"user": {"id": "u"}, "group": {"id": "g", "directory_id": "d3", "organization_id": "o3"}}),
            Some("o3"),
            "d3",
        ),
    ] {
        for name in ["dsync.group.user_added", "dsync.group.user_removed"] {
            let event = event(name, data.clone());
            assert_eq!(event.directory_id().map(AsRef::as_ref), Some(directory));
            assert_eq!(event.organization_id().map(AsRef::as_ref), organization);
        }
    }
}

#[test]
fn a_context_has_an_actor() {
    let event = parse(
        r#"{"id":"event_1","event":"dsync.activated","data":{"id":"directory_1"},
            "context":{"actor":{"id":"user_1","source":"admin_portal","name":null},"client_id":"client_1"}}"#,
    )
    .unwrap();
    let actor = event.context().actor().unwrap();
    assert_eq!(
        (actor.id.as_str(), actor.source.as_deref(), actor.name),
        ("user_1", Some("admin_portal"), None)
    );
    assert_eq!(event.context().get_as::<String>("client_id").unwrap().unwrap(), "client_1");
    assert_eq!(parse(sample::USER_CREATED).unwrap().context().actor(), None);
}

#[test]
fn states_and_types_keep_their_texts() {
    for text in [
        "azure scim v2.0",
        "bamboohr",
        "breathe hr",
        "cezanne hr",
        "cyberark scim v2.0",
        "fourth hr",
        "generic scim v2.0",
        "gsuite directory",
        "gusto",
        "hibob",
        "jump cloud scim v2.0",
        "okta scim v2.0",
        "onelogin scim v2.0",
        "people hr",
        "personio",
        "pingfederate scim v2.0",
        "rippling",
        "rippling scim v2.0",
        "s3",
        "sailpoint scim v2.0",
        "sftp",
        "sftp workday",
        "workday",
    ] {
        let known = DirectoryType::from(text);
        assert_eq!(known.as_str(), text);
        assert!(!matches!(known, DirectoryType::Other(_)), "{text}");
    }
    for (text, state) in [
        ("active", DirectoryState::Active),
        ("linked", DirectoryState::Active),
        ("inactive", DirectoryState::Inactive),
        ("unlinked", DirectoryState::Inactive),
        ("validating", DirectoryState::Validating),
        ("invalid_credentials", DirectoryState::InvalidCredentials),
        ("deleting", DirectoryState::Deleting),
    ] {
        assert_eq!(DirectoryState::from(text), state);
    }
    for text in ["active", "inactive", "suspended"] {
        assert_eq!(DirectoryUserState::from(text).to_string(), text);
    }
}

#[test]
fn unknown_events_keep_their_name_and_data() {
    for body in [
        r#"{"id":"event_1","event":"connection.activated","data":{"id":"conn_1"}}"#,
        r#"{"id":"event_1","data":{"id":"conn_1"},"event":"connection.activated"}"#,
    ] {
        let event = parse(body).unwrap();
        assert_eq!(event.name(), "connection.activated");
        let EventData::Unknown(unknown) = event.data() else { panic!() };
        assert_eq!(unknown.data().get(), r#"{"id":"conn_1"}"#);
        assert_eq!(event.access_change(), None);
    }
    // Even the data can be absent.
    for body in
        [r#"{"id":"e","event":"dsync.new","data":null}"#, r#"{"id":"e","event":"dsync.new"}"#]
    {
        let event = parse(body).unwrap();
        let EventData::Unknown(unknown) = event.data() else { panic!() };
        assert_eq!(unknown.data().get(), "null");
    }
    // Only the exact name matches.
    for name in ["dsync.user.created ", "DSYNC.USER.CREATED", "dsync.user.create", ""] {
        let event = parse(format!(r#"{{"id":"e","event":"{name}","data":[]}}"#)).unwrap();
        assert!(matches!(event.data(), EventData::Unknown(_)), "{name}");
    }
}

#[test]
fn the_primary_email_is_the_first_that_is_not_empty() {
    for (user, expected) in [
        (json!({"id": USER, "email": "ada@example.com"}), Some("ada@example.com")),
        (
            json!({"id": USER, "email": "ada@example.com",
                   "custom_attributes": {"emails": [{"primary": true, "value": "other@example.com"}]}}),
            Some("ada@example.com"),
        ),
        (
            json!({"id": USER, "email": "", "custom_attributes": {"emails": [
                null, 7, {"value": "home@example.com"}, {"primary": false, "value": "b@example.com"},
                {"primary": true, "value": ""}, {"primary": true}, {"primary": true, "value": "ada@example.com"},
                {"primary": true, "value": "second@example.com"}]}}),
            Some("ada@example.com"),
        ),
        (
            json!({"id": USER, "custom_attributes": {"emails": [{"value": "home@example.com"}]}}),
            None,
        ),
        (
            json!({"id": USER, "email": "", "custom_attributes": {"emails": [{"primary": true, "value": ""}]}}),
            None,
        ),
        (json!({"id": USER, "email": "", "custom_attributes": {"emails": "x"}}), None),
        (json!({"id": USER, "email": ""}), None),
        (json!({"id": USER}), None),
    ] {
        let read: DirectoryUser = serde_json::from_value(user.clone()).unwrap();
        assert_eq!(read.primary_email().as_deref(), expected, "{user}");
    }
}

#[test]
fn unusual_times_are_read() {
    let event = parse(
        r#"{"id":"e","event":"dsync.activated","data":{"id":"d"},"created_at":"2023-04-28 20:05:31.093"}"#,
    )
    .unwrap();
    assert_eq!(event.created_at(), Some(at(1_682_712_331_093)));
}

#[test]
fn without_created_at_the_time_in_the_id_or_of_the_signature_counts() {
    let signed = |body: &str| {
        let body = body.to_owned();
        let delivery = crate::support::signer().sign(body.clone());
        let header = delivery.signature().parse().unwrap();
        crate::support::verifier().construct_event(&header, body.into()).unwrap()
    };
    let body = |id: &str, time: &str| {
        format!(r#"{{"id":"{id}","event":"dsync.activated","data":{{"id":"d"}}{time}}}"#)
    };
    let in_id = Some(at(1_469_922_850_259));
    for ulid in ["wh_01ARZ3NDEKTSV4RRFFQ69G5FAV", "event_01arz3ndektsv4rrffq69g5fav"] {
        for time in ["", r#","created_at":null"#, r#","created_at":"soon""#] {
            let body = body(ulid, time);
            assert_eq!(signed(&body).created_at(), in_id, "a retry keeps the time: {body}");
            assert_eq!(parse(body).unwrap().created_at(), in_id);
        }
        let body = body(ulid, r#","created_at":"2023-04-28T20:05:31.093Z""#);
        assert_eq!(signed(&body).created_at(), Some(at(1_682_712_331_093)));
    }
    for id in ["wh_1", "event_01ARZ3NDEKTSV4RRFFQ69G5FA", "event_00000000000000000000000000"] {
        let body = body(id, "");
        assert_eq!(signed(&body).created_at(), Some(at(crate::support::NOW)), "{id}");
        assert_eq!(parse(body).unwrap().created_at(), None);
    }
}

#[test]
fn objects_from_the_rest_api_have_the_same_types() {
    let user: DirectoryUser =
        serde_json::from_value(json!({"object": "directory_user", "id": USER, "state": "active"}))
            .unwrap();
    assert!(user.is_active());
    let user: DirectoryUser = serde_json::from_value(json!({"id": USER})).unwrap();
    assert!(!user.is_active(), "a state that was not sent is not active");
    let directory: Directory =
        serde_json::from_value(json!({"id": "d", "type": "workday", "state": "linked"})).unwrap();
    assert_eq!(directory.state, Some(DirectoryState::Active));
}
