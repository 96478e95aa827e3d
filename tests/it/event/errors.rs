//! Bodies that are not events.

use bytes::Bytes;
use tower_workos::{DirectoryUser, EventData, GroupMembership};

use super::{NO_ID, fault, parse};

#[test]
fn a_membership_requires_its_parts_and_the_last_of_each_counts() {
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
fn an_error_names_the_missing_field_and_its_path() {
    let missing = |json| serde_json::from_str::<DirectoryUser>(json).unwrap_err().to_string();
    assert_eq!(missing("{}"), "missing field `id` at line 1 column 2");
    assert_eq!(
        missing(r#"{"id":""}"#),
        "invalid value: string \"\", expected a non-empty string at line 1 column 9"
    );
    let part = serde_json::from_str::<GroupMembership>(r#"{"user":{"id":"u"}}"#).unwrap_err();
    assert_eq!(part.to_string(), "missing field `group` at line 1 column 19");
    assert_eq!(
        fault(
            r#"{"id":"e","event":"dsync.group.user_added","data":{"user":{"id":"u"},"group":{}}}"#
        ),
        "event \"e\" (dsync.group.user_added): `data.group.id` is missing or not a non-empty string"
    );
    // Errors of the envelope take precedence over those of the data.
    assert_eq!(fault("{}"), NO_ID);
    assert_eq!(
        fault(r#"{"event":"dsync.deleted","data":7}"#),
        format!("event (dsync.deleted): {NO_ID}")
    );
}

#[test]
fn an_error_names_the_event_and_quotes_nothing() {
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
            // Two errors are equal if their bodies are.
            assert_eq!(parse(body.clone()).unwrap_err(), unreadable);
            assert_ne!(parse(format!("{body} ")).unwrap_err(), unreadable);
        }
    }
    let absent = fault(r#"{"id":"e","event":"dsync.deleted"}"#);
    assert_eq!(absent, "event \"e\" (dsync.deleted): `data` is missing or not an object");
}

#[test]
fn bodies_that_are_not_events_are_errors() {
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
    // The id and the name can still be read.
    let body = b"{\"id\":\"event_1\",\"event\":\"dsync.user.deleted\",\"data\":\"\xff\"}".to_vec();
    let unreadable = parse(body.clone()).unwrap_err();
    assert_eq!(
        unreadable.to_string(),
        "event \"event_1\" (dsync.user.deleted): the body is not UTF-8 at byte 53"
    );
    assert_eq!((unreadable.path(), unreadable.raw()), (None, &Bytes::from(body)));
}
