//! Bodies and what they mean.

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Value, json};
use tower_workos::{
    AccessChange, Directory, DirectoryEvent, DirectoryState, DirectoryType, DirectoryUser,
    DirectoryUserState, EventData, GroupMembership, ParseError, Previous, testing::sample,
};

use crate::support::at;

fn parse(body: impl Into<Bytes>) -> Result<DirectoryEvent, ParseError> {
    DirectoryEvent::parse(body.into())
}

fn event(name: &str, data: Value) -> DirectoryEvent {
    let first = format!(r#"{{"id":"event_1","event":"{name}","data":{data}}}"#);
    let last = format!(r#"{{"id":"event_1","data":{data},"event":"{name}"}}"#);
    let event = parse(first).unwrap();
    assert_eq!(parse(last).unwrap().data(), event.data(), "the order of keys means nothing");
    event
}

fn fault(body: impl Into<Bytes>) -> String {
    parse(body).unwrap_err().to_string()
}

const USER: &str = "directory_user_1";
const NO_ID: &str = "`id` is missing or not a non-empty string";

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
fn a_full_user_is_read_whole() {
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
    assert_eq!(user.custom_attributes.job_title().unwrap().unwrap(), "Principal Engineer");
    let previous = &change.previous_attributes;
    assert!(matches!(previous.role().unwrap(), Previous::Was(role) if role.slug == "member"));
    assert_eq!(
        previous.custom_attributes().unwrap().job_title().unwrap(),
        Previous::Was("Staff Engineer".into())
    );
    assert_eq!(previous.email().unwrap(), Previous::Unchanged);

    assert_eq!(event.organization_id(), user.organization_id.as_ref());
    assert_eq!(event.directory_id(), user.directory_id.as_ref());
    assert_eq!(event.created_at().unwrap().to_string(), "2026-04-20T08:05:19.998Z");
    assert_eq!(event.context().raw(), "{}");
}

#[test]
fn other_objects_are_read_whole() {
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
    assert_eq!(
        change.previous_attributes.name().unwrap(),
        Previous::Was("Platform Engineering".into())
    );

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
fn a_membership_is_where_its_user_or_its_group_is() {
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
    let actor = event.context().actor().unwrap().unwrap();
    assert_eq!(
        (actor.id.as_str(), actor.source.as_deref(), actor.name),
        ("user_1", Some("admin_portal"), None)
    );
    assert_eq!(event.context().get_as::<String>("client_id").unwrap().unwrap(), "client_1");
    assert_eq!(parse(sample::USER_CREATED).unwrap().context().actor().unwrap(), None);
}

/// workos 3.5 fails without the envelope's `object`.
#[test]
fn only_id_event_and_data_are_needed() {
    let event =
        parse(r#"{"id":"wh_1","event":"dsync.user.created","data":{"id":"directory_user_1"}}"#)
            .unwrap();
    assert_eq!(event.id(), &"wh_1");
    assert_eq!(event.created_at(), None);
    assert_eq!((event.organization_id(), event.directory_id()), (None, None));
    let EventData::UserCreated(user) = event.data() else { panic!() };
    assert_eq!((user.state.clone(), user.email.clone(), user.roles.len()), (None, None, 0));
}

#[test]
fn null_means_absent_everywhere() {
    let absent = event("dsync.user.updated", json!({"id": USER}));
    let null = event(
        "dsync.user.updated",
        json!({"id": USER, "directory_id": null, "organization_id": null, "idp_id": null, "email": null,
               "first_name": null, "last_name": null, "name": null, "state": null, "custom_attributes": null,
               "role": null, "roles": null, "created_at": null, "updated_at": null,
               "previous_attributes": null}),
    );
    assert_eq!(absent.data(), null.data());
    let event = parse(
        r#"{"object":null,"created_at":null,"context":null,"id":"event_1","data":{"id":"d","domains":null,"type":null},
            "event":"dsync.activated"}"#,
    )
    .unwrap();
    assert_eq!((event.created_at(), event.context().raw()), (None, "{}"));
}

#[test]
fn parts_of_a_membership_are_required_and_count_as_they_last_stand() {
    for (data, missing) in [
        (r#"{"user":null,"group":{"id":"g"}}"#, true),
        (r#"{"user":{"id":"u"},"group":null}"#, true),
        (r#"{"user":{"id":""},"group":{"id":"g"}}"#, true),
        (r#"{"user":{"id":"u"},"group":{"id":"g"},"user":null}"#, true),
        (r#"{"user":{"id":"x"},"group":{"id":"g"},"user":{"id":"u"}}"#, false),
    ] {
        let body = format!(r#"{{"id":"e","event":"dsync.group.user_added","data":{data}}}"#);
        match parse(body.clone()) {
            Ok(event) => {
                let EventData::GroupUserAdded(membership) = event.data() else { panic!("{body}") };
                assert_eq!(membership.user.id, "u", "{body}");
                assert!(!missing, "{body}");
            }
            Err(_) => assert!(missing, "{body}"),
        }
    }
}

#[test]
fn what_is_missing_is_told_with_its_place() {
    let missing = |json| serde_json::from_str::<DirectoryUser>(json).unwrap_err().to_string();
    assert_eq!(missing("{}"), "missing field `id` at line 1 column 2");
    assert_eq!(missing(r#"{"id":""}"#), "missing field `id` at line 1 column 9");
    let part = serde_json::from_str::<GroupMembership>(r#"{"user":{"id":"u"}}"#).unwrap_err();
    assert_eq!(part.to_string(), "missing field `group` at line 1 column 19");
    assert_eq!(
        fault(
            r#"{"id":"e","event":"dsync.group.user_added","data":{"user":{"id":"u"},"group":{}}}"#
        ),
        "event \"e\" (dsync.group.user_added): `data.group.id` is missing or not a non-empty string"
    );
    // What is missing in the envelope comes before what is wrong in the data.
    assert_eq!(fault("{}"), NO_ID);
    assert_eq!(
        fault(r#"{"event":"dsync.deleted","data":7}"#),
        format!("event (dsync.deleted): {NO_ID}")
    );
}

/// Both ways of parsing, and wherever a free-form object can stand.
#[test]
fn long_free_form_objects_are_not_copied() {
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(300));
    let user = format!(r#"{{"id":"u","custom_attributes":{long}}}"#);
    let updated = format!(r#"{{"id":"u","previous_attributes":{long}}}"#);
    let group = format!(r#"{{"id":"g","raw_attributes":{long}}}"#);
    let within = |event: &DirectoryEvent| {
        let text = match event.data() {
            EventData::UserCreated(user) => user.custom_attributes.raw(),
            EventData::UserUpdated(change) => change.previous_attributes.raw(),
            EventData::GroupCreated(group) => group.raw_attributes.raw(),
            EventData::GroupUserAdded(membership) => membership.user.custom_attributes.raw(),
            _ => event.context().raw(),
        };
        assert_eq!(text, long);
        event.raw().as_ptr_range().contains(&text.as_ptr())
    };
    let membership = format!(r#"{{"user":{user},"group":{{"id":"g"}}}}"#);
    for (name, data, context) in [
        ("dsync.user.created", user.as_str(), "{}"),
        ("dsync.user.updated", &updated, "{}"),
        ("dsync.group.created", &group, "{}"),
        ("dsync.group.user_added", &membership, "{}"),
        ("dsync.deleted", r#"{"id":"d"}"#, &long),
    ] {
        // What stands twice goes the other way.
        for twice in ["", r#""data":7,"#] {
            let body = format!(
                r#"{{{twice}"id":"e","data":{data},"event":"{name}","context":{context}}}"#
            );
            assert!(within(&parse(body.clone()).unwrap()), "{body}");
        }
    }
}

#[test]
fn unknown_fields_and_values_are_no_error() {
    let event = event(
        "dsync.user.created",
        json!({"id": USER, "state": "on_leave", "object": 7, "mood": {"x": [1, null, {"y": "z"}]},
               "emails": "gone", "raw_attributes": [], "job_title": 1}),
    );
    let EventData::UserCreated(user) = event.data() else { panic!() };
    assert_eq!(user.state, Some(DirectoryUserState::Other("on_leave".into())));
    let directory = parse(
        r#"{"extra":[{}],"id":"event_1","event":"dsync.activated","object":{},
            "data":{"id":"d","type":"new hr","state":"paused","domains":[{"id":"x","y":1}]}}"#,
    )
    .unwrap();
    let EventData::DirectoryActivated(directory) = directory.data() else { panic!() };
    assert_eq!(directory.directory_type.as_ref().unwrap().as_str(), "new hr");
    assert_eq!(directory.state, Some(DirectoryState::Other("paused".into())));
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
    // Not even its data is certain.
    for body in
        [r#"{"id":"e","event":"dsync.new","data":null}"#, r#"{"id":"e","event":"dsync.new"}"#]
    {
        let event = parse(body).unwrap();
        let EventData::Unknown(unknown) = event.data() else { panic!() };
        assert_eq!(unknown.data().get(), "null");
    }
    // A name is matched whole.
    for name in ["dsync.user.created ", "DSYNC.USER.CREATED", "dsync.user.create", ""] {
        let event = parse(format!(r#"{{"id":"e","event":"{name}","data":[]}}"#)).unwrap();
        assert!(matches!(event.data(), EventData::Unknown(_)), "{name}");
    }
}

#[test]
fn a_known_event_without_its_ids_is_a_fault_that_names_it_and_quotes_nothing() {
    for (data, path, expected) in [
        (r#"{"email":"payload_canary"}"#, "data.id", "a non-empty string"),
        (r#"{"id":"","email":"payload_canary"}"#, "data.id", "a non-empty string"),
        (r#"{"id":{"payload_canary":1}}"#, "data.id", "a non-empty string"),
        (r#""payload_canary""#, "data", "an object"),
        (r#"["payload_canary"]"#, "data", "an object"),
        ("17", "data", "an object"),
        ("null", "data", "an object"),
    ] {
        for body in [
            format!(r#"{{"id":"event_1","event":"dsync.user.created","data":{data}}}"#),
            format!(r#"{{"id":"event_1","data":{data},"event":"dsync.user.created"}}"#),
        ] {
            let unreadable = parse(body.clone()).unwrap_err();
            let message = format!(
                "event \"event_1\" (dsync.user.created): \
                 `{path}` is missing or not {expected}"
            );
            assert_eq!(unreadable.to_string(), message);
            assert!(!format!("{unreadable:?}").contains("payload_canary"), "{unreadable:?}");
            assert_eq!(unreadable.id(), Some(&"event_1".into()));
            assert_eq!(unreadable.name(), Some("dsync.user.created"));
            assert_eq!(unreadable.path(), Some(path));
            assert_eq!(unreadable.raw(), &body);
            // Two errors are equal if the bodies are.
            assert_eq!(parse(body.clone()).unwrap_err(), unreadable);
            assert_ne!(parse(format!("{body} ")).unwrap_err(), unreadable);
        }
    }
    let absent = fault(r#"{"id":"e","event":"dsync.deleted"}"#);
    assert_eq!(absent, "event \"e\" (dsync.deleted): `data` is missing or not an object");
}

#[test]
fn envelopes_that_are_none_are_faults() {
    let no_event = "event \"e\": `event` is missing or not a string";
    for (body, expected) in [
        (
            r#"{"event":"dsync.deleted","data":{"id":"d"}}"#,
            format!("event (dsync.deleted): {NO_ID}"),
        ),
        (r#"{"id":null,"event":"x","data":{}}"#, format!("event (x): {NO_ID}")),
        (r#"{"id":"","event":"x","data":{}}"#, format!("event (x): {NO_ID}")),
        (r#"{"id":7,"event":"x\n","data":{}}"#, format!("event (x\\n): {NO_ID}")),
        (r#"{"id":"e","data":{"id":"d"}}"#, no_event.to_owned()),
        (r#"{"id":"e","event":null,"data":{}}"#, no_event.to_owned()),
        (r#"{"id":"e","event":7,"data":{}}"#, no_event.to_owned()),
        ("{\n\n  x", "the body is not JSON at byte 6".to_owned()),
        (
            r#"{"id":"e","event":"x"} {}"#,
            "event \"e\" (x): the body is not JSON at byte 24".to_owned(),
        ),
        (r#"{"id":"e","event":"#, "event \"e\": the body is not JSON at byte 18".to_owned()),
        ("", "the body is not JSON at byte 0".to_owned()),
        ("null", "the body is not a JSON object".to_owned()),
        ("[{}]", "the body is not a JSON object".to_owned()),
        ("\"x\"", "the body is not a JSON object".to_owned()),
    ] {
        assert_eq!(fault(body), expected, "{body}");
    }
    // Its id and name can be read nevertheless.
    let body = b"{\"id\":\"event_1\",\"event\":\"dsync.user.deleted\",\"data\":\"\xff\"}".to_vec();
    let unreadable = parse(body.clone()).unwrap_err();
    assert_eq!(
        unreadable.to_string(),
        "event \"event_1\" (dsync.user.deleted): the body is not UTF-8 at byte 53"
    );
    assert_eq!((unreadable.path(), unreadable.raw()), (None, &Bytes::from(body)));
}

/// Each was answered 422 for ever, although the person leaves.
#[test]
fn a_genuine_event_is_not_lost_because_of_a_detail() {
    for (detail, path) in [
        (r#""role":"member""#, "data.role"),
        (r#""role":{}"#, "data.role"),
        (r#""idp_id":42"#, "data.idp_id"),
        (r#""updated_at":"""#, "data.updated_at"),
        (r#""created_at":1768478400000"#, "data.created_at"),
        (r#""roles":[null]"#, "data.roles[0]"),
        (r#""roles":{"slug":"payload_canary"}"#, "data.roles"),
        (r#""name":false"#, "data.name"),
        (r#""email":1e999"#, "data.email"),
        (r#""state":{"payload_canary":1}"#, "data.state"),
    ] {
        for body in [
            format!(
                r#"{{"id":"event_1","event":"dsync.user.deleted","data":{{"id":"{USER}",{detail}}}}}"#
            ),
            format!(
                r#"{{"id":"event_1","data":{{{detail},"id":"{USER}"}},"event":"dsync.user.deleted"}}"#
            ),
        ] {
            let event = parse(body.clone()).unwrap();
            assert_eq!(event.unreadable_fields(), [path], "{body}");
            assert_eq!(event.raw(), &body);
            let EventData::UserDeleted(user) = event.data() else { panic!("{event:?}") };
            let absent = parse(format!(
                r#"{{"id":"event_1","event":"dsync.user.deleted","data":{{"id":"{USER}"}}}}"#
            ));
            assert!(matches!(absent.unwrap().data(), EventData::UserDeleted(bare) if bare == user));
            assert!(!format!("{event:?}").contains("payload_canary"), "{event:?}");
        }
    }
    let body = r#"{"id":"event_1","event":"dsync.user.deleted","data":{"id":"u"},"created_at":1768478400000}"#;
    let event = parse(body).unwrap();
    assert_eq!(
        (event.created_at(), event.unreadable_fields()),
        (None, &["created_at".to_owned()][..])
    );
    let delivery = crate::support::signer().sign(body);
    let signed = crate::support::verifier()
        .construct_event(&delivery.signature().parse().unwrap(), body.into())
        .unwrap();
    assert_eq!(signed.created_at(), Some(at(crate::support::NOW)), "the signature's time");
    assert_eq!(parse(sample::USER_UPDATED).unwrap().unreadable_fields(), [""; 0]);
}

#[test]
fn an_odd_entry_does_not_hide_the_others() {
    let updated = event(
        "dsync.user.updated",
        json!({"id": USER, "roles": [null, {"slug": "admin"}, "x", {"slug": 7}, {"slug": "member"}]}),
    );
    let EventData::UserUpdated(change) = updated.data() else { panic!() };
    let slugs: Vec<_> = change.user.roles.iter().map(|role| role.slug.as_str()).collect();
    assert_eq!(slugs, ["admin", "member"]);
    assert_eq!(updated.unreadable_fields(), ["data.roles[0]", "data.roles[2]", "data.roles[3]"]);
    let activated =
        event("dsync.activated", json!({"id": "d", "domains": ["foo.com", {"id": "x"}]}));
    let EventData::DirectoryActivated(directory) = activated.data() else { panic!() };
    assert_eq!((directory.domains.len(), &directory.domains[0].id), (1, &"x".into()));
    assert_eq!(activated.unreadable_fields(), ["data.domains[0]"]);
}

#[test]
fn a_membership_needs_its_ids_and_nothing_else() {
    let removed = event(
        "dsync.group.user_removed",
        json!({"directory_id": 1, "user": {"id": "u", "idp_id": 2, "state": "inactive"},
               "group": {"id": "g", "raw_attributes": {"a": 1}, "created_at": true}}),
    );
    let EventData::GroupUserRemoved(membership) = removed.data() else { panic!() };
    assert_eq!(membership.user.state, Some(DirectoryUserState::Inactive));
    assert_eq!((&membership.user.idp_id, &membership.directory_id), (&None, &None));
    assert_eq!(membership.group.raw_attributes.raw(), r#"{"a":1}"#);
    assert_eq!(
        removed.unreadable_fields(),
        ["data.user.idp_id", "data.group.created_at", "data.directory_id"]
    );
}

/// `JSON.stringify("Ann 😀".slice(0, 5))` has one.
#[test]
fn a_lone_surrogate_is_a_replacement_character_wherever_it_is() {
    let lone = r"Ann \ud83d";
    for (data, more) in [
        (format!(r#"{{"id":"u","first_name":"{lone}"}}"#), ""),
        (format!(r#"{{"id":"u","first_name":"Ann \ufffd","{lone}":1}}"#), ""),
        (format!(r#"{{"id":"u","first_name":"Ann \ufffd","x":["{lone}"]}}"#), ""),
        (r#"{"id":"u","first_name":"Ann \ufffd"}"#.to_owned(), r#""\udc00":"\udc00","#),
    ] {
        let body =
            format!(r#"{{{more}"id":"event_1","event":"dsync.user.created","data":{data}}}"#);
        let event = parse(body.clone()).unwrap();
        let EventData::UserCreated(user) = event.data() else { panic!() };
        assert_eq!(user.first_name.as_deref(), Some("Ann \u{fffd}"), "{body}");
        assert_eq!(event.raw(), &body);
        assert_eq!(event.unreadable_fields(), [""; 0], "{body}");
    }
    // Read on demand, and of an unknown event.
    let body = format!(
        r#"{{"id":"e","event":"dsync.user.updated","context":{{"actor":{{"id":"{lone}"}}}},"data":{{"id":"u",
            "custom_attributes":{{"job_title":"{lone}","{lone}":"x","username":"\\ud83d","n":"\ud83d\ude00"}},
            "previous_attributes":{{"{lone}":1,"state":"active"}}}}}}"#
    );
    let event = parse(body).unwrap();
    let EventData::UserUpdated(change) = event.data() else { panic!() };
    let attributes = &change.user.custom_attributes;
    assert_eq!(attributes.job_title().unwrap().unwrap(), "Ann \u{fffd}");
    assert_eq!(attributes.username().unwrap().unwrap(), r"\ud83d", "a backslash is no escape");
    assert_eq!(attributes.get_as::<String>("n").unwrap().unwrap(), "\u{1f600}");
    assert!(attributes.raw().contains(r"Ann \ufffd"), "{}", attributes.raw());
    let state = change.previous_attributes.state().unwrap();
    assert_eq!(state, Previous::Was(DirectoryUserState::Active));
    assert_eq!(event.context().actor().unwrap().unwrap().id, "Ann \u{fffd}");
    let unknown = parse(format!(r#"{{"id":"e","event":"x.y","data":"{lone}"}}"#)).unwrap();
    let EventData::Unknown(unknown) = unknown.data() else { panic!() };
    assert_eq!(serde_json::from_str::<String>(unknown.data().get()).unwrap(), "Ann \u{fffd}");
    // Ids and names too: an id is whatever it is.
    let odd = parse(r#"{"id":"\ud83d","event":"\ud83d","data":1}"#).unwrap();
    assert_eq!((odd.id(), odd.name()), (&"\u{fffd}".into(), "\u{fffd}"));
}

#[test]
fn depth_harms_only_its_field() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = |data: &str| format!(r#"{{"id":"e","event":"dsync.user.created","data":{data}}}"#);
    assert_eq!(
        fault(body(&deep)),
        "event \"e\" (dsync.user.created): `data` is missing or not an object"
    );
    let event =
        parse(body(&format!(r#"{{"id":"u","name":{deep},"x":{deep},"email":"a@b"}}"#))).unwrap();
    assert_eq!(event.unreadable_fields(), ["data.name"]);
    assert!(
        matches!(event.data(), EventData::UserCreated(user) if user.email.as_deref() == Some("a@b"))
    );
}

#[test]
fn the_primary_email_is_the_first_that_says_something() {
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
        (json!({"id": USER, "custom_attributes": 7}), None),
        (json!({"id": USER, "email": ""}), None),
        (json!({"id": USER}), None),
    ] {
        let read: DirectoryUser = serde_json::from_value(user.clone()).unwrap();
        assert_eq!(read.primary_email().as_deref(), expected, "{user}");
    }
}

#[test]
fn odd_times_are_read() {
    let event = parse(
        r#"{"id":"e","event":"dsync.activated","data":{"id":"d"},"created_at":"2023-04-28 20:05:31.093"}"#,
    )
    .unwrap();
    assert_eq!(event.created_at(), Some(at(1_682_712_331_093)));
}

#[test]
fn keys_that_stand_twice_count_as_they_last_stand() {
    let created = r#"{"id":"u1"}"#;
    for body in [
        format!(
            r#"{{"id":"a","id":"b","event":"dsync.deleted","event":"dsync.user.created","data":{{"id":"d"}},"data":{created}}}"#
        ),
        format!(
            r#"{{"data":{{"id":"d"}},"event":"dsync.deleted","data":{created},"event":"dsync.user.created","id":"a","id":"b"}}"#
        ),
        format!(r#"{{"data":7,"data":{created},"event":"dsync.user.created","id":"b"}}"#),
        format!(r#"{{"id":"b","event":"x","data":{created},"event":"dsync.user.created"}}"#),
        r#"{"id":"b","event":"dsync.user.created","data":{"id":"u0","id":"u1"}}"#.to_owned(),
        r#"{"\u0069d":"b","\u0065vent":"dsync.user\u002ecreated","d\u0061ta":{"\u0069d":"u1"}}"#
            .to_owned(),
    ] {
        let event = parse(body.clone()).unwrap();
        assert_eq!(event.id(), &"b", "{body}");
        assert!(matches!(event.data(), EventData::UserCreated(user) if user.id == "u1"), "{body}");
    }
    // Whether somebody has access may depend on it.
    let body = r#"{"id":"e","created_at":"2020-01-01T00:00:00Z","data":{"id":"u","state":"active","state":"inactive"},
        "event":"dsync.user.updated","created_at":"2026-01-01T00:00:00Z"}"#;
    let event = parse(body).unwrap();
    assert!(matches!(event.access_change(), Some(AccessChange::Revoked(_))));
    assert_eq!(event.created_at().unwrap().to_string(), "2026-01-01T00:00:00Z");
    let body = r#"{"id":"e","data":{"id":"u"},"event":"dsync.user.created","data":null}"#;
    let no_data = "event \"e\" (dsync.user.created): `data` is missing or not an object";
    assert_eq!(fault(body), no_data);
    let body =
        r#"{"id":"e","data":{"id":"u"},"event":"x","data":null,"event":"dsync.user.created"}"#;
    assert_eq!(fault(body), no_data, "a guessed type does not keep what was replaced");
    // The later one empties it.
    assert_eq!(
        fault(r#"{"id":"e","id":null,"event":"x","data":{}}"#),
        format!("event (x): {NO_ID}")
    );
}

#[test]
fn a_decoy_event_in_the_data_deceives_nobody() {
    let decoy = r#"{"id":"g1","name":"\"event\":\"dsync.user.created\"","x":{"event":"dsync.user.deleted"}}"#;
    for (body, known) in [
        (format!(r#"{{"id":"e","event":"dsync.group.created","data":{decoy}}}"#), true),
        (format!(r#"{{"id":"e","data":{decoy},"event":"dsync.group.created"}}"#), true),
        (
            format!(
                r#"{{"id":"e","data":{decoy},"event":"dsync.group.created","z":{{"event":"dsync.deleted"}}}}"#
            ),
            true,
        ),
        (
            format!(
                r#"{{"id":"e","data":{decoy},"event":"dsync.group.created","z":"\"event\":\"dsync.deleted\""}}"#
            ),
            true,
        ),
        (
            format!(
                r#"{{"id":"e","data":{decoy},"event":"x.y","z":{{"event":"dsync.group.created"}}}}"#
            ),
            false,
        ),
        (format!("{{\"id\":\"e\",\"data\":{decoy},\"event\" :\n \"dsync.group.created\"}}"), true),
        (
            format!(
                r#"{{"id":"e","data":{decoy},"event":"dsync.group.created","z":"{}"}}"#,
                "é".repeat(600)
            ),
            true,
        ),
    ] {
        let event = parse(body.clone()).unwrap();
        match event.data() {
            EventData::GroupCreated(group) => assert!(known && group.id == "g1", "{body}"),
            EventData::Unknown(unknown) => {
                assert!(!known && unknown.data().get() == decoy, "{body}")
            }
            other => panic!("{other:?} from {body}"),
        }
    }
}

#[test]
fn bytes_round_trip_exactly() {
    let spaced = "{ \"id\" : \"event_\\u0031\",\n\t\"data\":{\"id\":\"u\",\"name\":\"Zoë \\ud83d\\ude00\"},\"event\":\"dsync.user.created\" }\r\n";
    let event = parse(spaced).unwrap();
    assert_eq!(event.raw(), spaced);
    let stored = serde_json::to_string(&event).unwrap();
    let again: DirectoryEvent = serde_json::from_str(&stored).unwrap();
    assert_eq!((again.raw(), &again), (event.raw(), &event));
    assert_eq!(again.signature(), None);
    // What an older version stored, and what is no event.
    assert!(
        serde_json::from_str::<DirectoryEvent>(r#"{"body":"{\"id\":\"e\",\"event\":\"x\"}"}"#)
            .is_ok()
    );
    for stored in [r#"{"body":"payload_canary"}"#, r#""payload_canary""#, r#"{"payload_canary":1}"#]
    {
        let error = serde_json::from_str::<DirectoryEvent>(stored).unwrap_err();
        assert!(!error.to_string().contains("payload_canary"), "{error}");
    }
}

#[test]
fn what_the_signature_said_is_stored_too() {
    let delivery = crate::support::signer().sign(sample::USER_CREATED);
    let event = crate::support::verifier()
        .construct_event(&delivery.signature().parse().unwrap(), delivery.body().clone())
        .unwrap();
    let again: DirectoryEvent =
        serde_json::from_slice(&serde_json::to_vec(&event).unwrap()).unwrap();
    assert_eq!(again.signature(), event.signature());
    assert_eq!(again.issued_at(), event.issued_at());
}

#[test]
fn without_created_at_the_signature_tells_the_time() {
    let body = r#"{"id":"wh_1","event":"dsync.activated","data":{"id":"d"}}"#;
    let delivery = crate::support::signer().sign(body);
    let event = crate::support::verifier()
        .construct_event(&delivery.signature().parse().unwrap(), body.into())
        .unwrap();
    assert_eq!(event.created_at(), Some(at(crate::support::NOW)));
}

#[test]
fn access_change_of_every_event() {
    fn of(event: &DirectoryEvent) -> String {
        match event.access_change() {
            None => "none".into(),
            Some(AccessChange::Granted(user)) => format!("granted {}", user.id),
            Some(AccessChange::Changed(user)) => format!("changed {}", user.id),
            Some(AccessChange::Revoked(user)) => format!("revoked {}", user.id),
            Some(AccessChange::MembershipAdded { user, group, .. }) => {
                format!("added {} to {}", user.id, group.id)
            }
            Some(AccessChange::MembershipRemoved { user, group, .. }) => {
                format!("removed {} from {}", user.id, group.id)
            }
            Some(AccessChange::GroupChanged(group)) => format!("group changed {}", group.id),
            Some(AccessChange::GroupRevoked(group)) => format!("group revoked {}", group.id),
            Some(AccessChange::DirectoryRevoked(directory)) => {
                format!("directory revoked {}", directory.id)
            }
            Some(other) => panic!("{other:?}"),
        }
    }
    let user = |state: Value, previous: Value| json!({"id": "u", "state": state, "previous_attributes": previous});
    let stateless = |previous: Value| json!({"id": "u", "previous_attributes": previous});
    let member = |state: Value| json!({"user": {"id": "u", "state": state}, "group": {"id": "g"}});
    let active = || json!("active");
    for (name, data, expected) in [
        ("dsync.activated", json!({"id": "d"}), "none"),
        ("dsync.activated", json!({"id": "d", "state": "inactive"}), "none"),
        ("dsync.deleted", json!({"id": "d", "state": "active"}), "directory revoked d"),
        ("dsync.group.created", json!({"id": "g"}), "none"),
        ("dsync.group.updated", json!({"id": "g"}), "group changed g"),
        ("dsync.group.deleted", json!({"id": "g"}), "group revoked g"),
        ("dsync.group.user_added", member(active()), "added u to g"),
        ("dsync.group.user_added", member(Value::Null), "added u to g"),
        (
            "dsync.group.user_added",
            json!({"user": {"id": "u"}, "group": {"id": "g"}}),
            "added u to g",
        ),
        ("dsync.group.user_added", member(json!("inactive")), "revoked u"),
        ("dsync.group.user_added", member(json!("suspended")), "revoked u"),
        ("dsync.group.user_added", member(json!("unheard_of")), "revoked u"),
        // Not readable, which is not the same as absent.
        ("dsync.group.user_added", member(json!(7)), "revoked u"),
        ("dsync.group.user_removed", member(json!(7)), "removed u from g"),
        ("dsync.user.created", user(json!(7), Value::Null), "revoked u"),
        ("dsync.user.updated", user(json!(7), json!({"state": "active"})), "revoked u"),
        ("dsync.group.user_removed", member(active()), "removed u from g"),
        ("dsync.group.user_removed", member(Value::Null), "removed u from g"),
        ("dsync.group.user_removed", member(json!("inactive")), "removed u from g"),
        ("dsync.group.user_removed", member(json!("suspended")), "removed u from g"),
        ("dsync.group.user_removed", member(json!("unheard_of")), "removed u from g"),
        ("dsync.token.created", json!({"id": "t"}), "none"),
        ("dsync.token.revoked", json!({"id": "t"}), "none"),
        ("dsync.user.created", user(active(), Value::Null), "granted u"),
        ("dsync.user.created", user(Value::Null, Value::Null), "revoked u"),
        ("dsync.user.created", stateless(Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("inactive"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("suspended"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("unheard_of"), Value::Null), "revoked u"),
        ("dsync.user.created", user(json!("Active"), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(active(), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(json!("inactive"), Value::Null), "revoked u"),
        ("dsync.user.deleted", user(Value::Null, Value::Null), "revoked u"),
        ("dsync.user.updated", user(active(), json!({"email": "x"})), "changed u"),
        ("dsync.user.updated", user(active(), Value::Null), "changed u"),
        ("dsync.user.updated", user(json!("inactive"), json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(json!("inactive"), json!({})), "revoked u"),
        ("dsync.user.updated", user(json!("suspended"), json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(json!("inactive"), json!({"state": "suspended"})), "revoked u"),
        ("dsync.user.updated", user(active(), json!({"state": "inactive"})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": "suspended"})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": null})), "granted u"),
        ("dsync.user.updated", user(active(), json!({"state": "active"})), "changed u"),
        // The state has disappeared, whether the change is named or not.
        ("dsync.user.updated", user(Value::Null, json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": "active"})), "revoked u"),
        ("dsync.user.updated", user(Value::Null, json!({"state": "inactive"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": "inactive"})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"state": null})), "revoked u"),
        ("dsync.user.updated", stateless(json!({"email": "x"})), "revoked u"),
        ("dsync.user.updated", stateless(Value::Null), "revoked u"),
    ] {
        assert_eq!(of(&event(name, data.clone())), expected, "{name} {data}");
    }
    assert!(matches!(
        parse(sample::USER_DEACTIVATED).unwrap().access_change(),
        Some(AccessChange::Revoked(_))
    ));
}

#[test]
fn events_are_equal_where_their_bytes_are() {
    let event = |name: &str, data: &str| {
        parse(format!(r#"{{"id":"e","event":"{name}","data":{data}}}"#)).unwrap()
    };
    let first = event("x.y", "1");
    assert_eq!(first, event("x.y", "1"));
    assert_eq!(first.data(), event("x.y", "1").data());
    for other in [event("x.y", "2"), event("x.z", "1")] {
        assert_ne!(first, other);
        assert_ne!(first.data(), other.data());
    }
}

#[test]
fn debug_shows_ids_and_states_only() {
    let unknown = parse(r#"{"id":"e","event":"x.y","data":"payload_canary"}"#).unwrap();
    assert_eq!(format!("{:?}", unknown.data()), r#"Unknown(UnknownEvent { name: "x.y", .. })"#);
    assert!(!format!("{unknown:?}").contains("payload_canary"));
    for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
        let event = parse(sample).unwrap();
        let delivery = crate::support::signer().sign(sample);
        let debug =
            format!("{event:#?} {:?} {:?} {delivery:?}", event.access_change(), event.context());
        for canary in [
            "northwind",
            "Northwind",
            "Rosalind",
            "Okafor",
            "Engineer",
            "q7Xc2",
            "h4Qz",
            "Platform",
            "00u7",
        ] {
            assert!(!debug.contains(canary), "{canary} in {debug}");
        }
        assert!(debug.contains(event.id().as_str()));
    }
}

#[test]
fn objects_from_the_rest_api_are_read_by_the_same_types() {
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

#[test]
fn clones_share_and_times_convert() {
    let event = parse(sample::USER_CREATED).unwrap();
    let clone = event.clone();
    assert_eq!(clone.raw().as_ptr(), event.raw().as_ptr());
    let created: SystemTime = event.created_at().unwrap().into();
    assert_eq!(
        created.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(),
        1_770_801_292_377
    );
}
