//! Unusual bodies that are readable.

use serde_json::json;
use tower_workos::{AccessChange, DirectoryUserState, EventData, Previous, Role, testing::sample};

use super::{NO_ID, USER, event, fault, parse};
use crate::support::at;

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
fn unknown_fields_and_values_are_not_errors() {
    let event = event(
        "dsync.user.created",
        json!({"id": USER, "state": "on_leave", "object": 7, "mood": {"x": [1, null, {"y": "z"}]},
               "emails": "gone", "raw_attributes": [], "job_title": 1}),
    );
    let EventData::UserCreated(user) = event.data() else { panic!() };
    assert_eq!(user.state, Some("on_leave".into()));
    let directory = parse(
        r#"{"extra":[{}],"id":"event_1","event":"dsync.activated","object":{},
            "data":{"id":"d","type":"new hr","state":"paused","domains":[{"id":"x","y":1}]}}"#,
    )
    .unwrap();
    let EventData::DirectoryActivated(directory) = directory.data() else { panic!() };
    assert_eq!(directory.directory_type.as_ref().unwrap().as_str(), "new hr");
    assert_eq!(directory.state, Some("paused".into()));
}

/// serde's derive would read them as the fields in their order.
#[test]
fn an_array_is_not_an_object() {
    let event = event(
        "dsync.user.updated",
        json!({"id": USER, "state": "active", "role": ["admin"], "roles": [["admin"], {"slug": "member"}]}),
    );
    let EventData::UserUpdated(change) = event.data() else { panic!() };
    assert_eq!((change.user.role.clone(), &change.user.roles), (None, &vec![Role::new("member")]));
    let mut fields = event.unreadable_fields().to_vec();
    fields.sort();
    assert_eq!(fields, ["data.role", "data.roles[0]"]);
    let name = "dsync.user.created";
    for data in [
        json!([USER]),
        json!([USER, null, null, null, null, null, null, null, "active", null, [], {}, null, null]),
    ] {
        let error = fault(format!(r#"{{"id":"event_1","event":"{name}","data":{data}}}"#));
        assert_eq!(
            error,
            format!("event \"event_1\" ({name}): `data` is missing or not an object")
        );
    }
    assert!(serde_json::from_str::<Role>(r#"["admin"]"#).is_err());
}

/// If they were rejected, the response would be 422 forever, and a person who leaves would keep their access.
#[test]
fn a_genuine_event_is_not_lost_because_of_an_invalid_field() {
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
fn an_unreadable_entry_does_not_hide_the_others() {
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
fn a_membership_needs_only_its_ids() {
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

/// For example, the result of `JSON.stringify("Ann 😀".slice(0, 5))` contains one.
#[test]
fn lone_surrogates_are_replaced_everywhere() {
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
    // In fields that are read on demand, and in an unknown event.
    let body = format!(
        r#"{{"id":"e","event":"dsync.user.updated","context":{{"actor":{{"id":"{lone}"}}}},"data":{{"id":"u",
            "custom_attributes":{{"job_title":"{lone}","{lone}":"x","username":"\\ud83d","n":"\ud83d\ude00"}},
            "previous_attributes":{{"{lone}":1,"state":"active"}}}}}}"#
    );
    let event = parse(body).unwrap();
    let EventData::UserUpdated(change) = event.data() else { panic!() };
    let attributes = &change.user.custom_attributes;
    assert_eq!(attributes.job_title().unwrap(), "Ann \u{fffd}");
    assert_eq!(
        attributes.username().unwrap(),
        r"\ud83d",
        "an escaped backslash is not a surrogate"
    );
    assert_eq!(attributes.get_as::<String>("n").unwrap().unwrap(), "\u{1f600}");
    assert!(attributes.raw().contains(r"Ann \ufffd"), "{}", attributes.raw());
    let state = change.previous_attributes.state();
    assert_eq!(state, Previous::Was(DirectoryUserState::Active));
    assert_eq!(event.context().actor().unwrap().id, "Ann \u{fffd}");
    let unknown = parse(format!(r#"{{"id":"e","event":"x.y","data":"{lone}"}}"#)).unwrap();
    let EventData::Unknown(unknown) = unknown.data() else { panic!() };
    assert_eq!(serde_json::from_str::<String>(unknown.data().get()).unwrap(), "Ann \u{fffd}");
    // In ids and names, too.
    let odd = parse(r#"{"id":"\ud83d","event":"\ud83d","data":1}"#).unwrap();
    assert_eq!((odd.id(), odd.name()), (&"\u{fffd}".into(), "\u{fffd}"));
}

#[test]
fn deep_nesting_affects_only_its_field() {
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
fn the_last_of_duplicate_keys_counts() {
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
    // Somebody's access can depend on it.
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
    assert_eq!(fault(body), no_data, "the guessed type does not keep the replaced data");
    // A later `null` removes the value.
    assert_eq!(
        fault(r#"{"id":"e","id":null,"event":"x","data":{}}"#),
        format!("event (x): {NO_ID}")
    );
}

#[test]
fn an_event_key_in_the_data_is_ignored() {
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
fn free_form_fields_that_are_not_objects_are_absent_and_listed() {
    for odd in ["[]", "7", "\"x\"", "true", "[{\"state\":\"inactive\"}]"] {
        let body = format!(
            r#"{{"id":"e","event":"dsync.user.updated","context":{odd},"data":{{"id":"u","state":"active",
                "custom_attributes":{odd},"previous_attributes":{odd}}}}}"#
        );
        let event = parse(body.clone()).unwrap();
        assert_eq!(
            event.unreadable_fields(),
            ["context", "data.custom_attributes", "data.previous_attributes"],
            "{body}"
        );
        let EventData::UserUpdated(change) = event.data() else { panic!("{event:?}") };
        assert_eq!(change.user.custom_attributes.raw(), "{}");
        assert_eq!(change.previous_attributes.raw(), "{}");
        assert_eq!(event.context().raw(), "{}");
        // An unreadable value grants nothing.
        assert!(matches!(event.access_change(), Some(AccessChange::Changed(_))), "{body}");
    }
    let group = event("dsync.group.created", json!({"id": "g", "raw_attributes": []}));
    assert_eq!(group.unreadable_fields(), ["data.raw_attributes"]);
    // Only an update has former values.
    let created = event("dsync.user.created", json!({"id": "u", "previous_attributes": 7}));
    assert_eq!(created.unreadable_fields(), [""; 0]);
}

#[test]
fn the_last_of_duplicate_keys_counts_inside_a_field() {
    let body = r#"{"id":"e","event":"dsync.user.updated","context":{"actor":{"id":7,"id":"a"}},"data":{"id":"u",
        "role":{"slug":7,"slug":"admin"},"roles":[{"slug":"x","slug":"member"},{"slug":"y","slug":7}],
        "custom_attributes":{"emails":[{"value":"a@b","primary":true,"primary":false}]},
        "previous_attributes":{"role":{"slug":"x","slug":"owner"}}}}"#;
    let event = parse(body).unwrap();
    assert_eq!(event.unreadable_fields(), ["data.roles[1]"]);
    assert_eq!(event.context().actor().unwrap().id, "a");
    let EventData::UserUpdated(change) = event.data() else { panic!("{event:?}") };
    assert_eq!(change.user.role.as_ref().unwrap().slug, "admin");
    assert_eq!(change.user.roles.len(), 1);
    assert_eq!(change.user.roles[0].slug, "member");
    assert_eq!(change.user.primary_email(), None);
    assert_eq!(change.previous_attributes.role(), Previous::Was(Role::new("owner")));
    assert_eq!(change.previous_attributes, change.clone().previous_attributes);
}
