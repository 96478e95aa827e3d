//! Texts that only the lenient path reads.

use super::*;

fn of(text: &str) -> Result<(Envelope, Vec<String>), Unread> {
    let mut envelope = Envelope::default();
    read(text, &mut envelope)?;
    let unreadable = std::mem::take(&mut envelope.unreadable);
    Ok((envelope, unreadable))
}

fn paths(event: &str, data: &str) -> Vec<String> {
    of(&format!(r#"{{"id":"e","event":"{event}","data":{data}}}"#)).unwrap().1
}

#[test]
fn unreadable_fields_are_listed_by_path() {
    for (event, data, expected) in [
        ("dsync.user.updated", r#"{"id":"u","role":"member"}"#, vec!["data.role"]),
        ("dsync.user.updated", r#"{"id":"u","role":{}}"#, vec!["data.role"]),
        ("dsync.user.updated", r#"{"id":"u","roles":[null]}"#, vec!["data.roles[0]"]),
        ("dsync.user.updated", r#"{"id":"u","roles":{"slug":"a"}}"#, vec!["data.roles"]),
        (
            "dsync.user.deleted",
            r#"{"id":"u","updated_at":"","name":false,"idp_id":42}"#,
            vec!["data.idp_id", "data.name", "data.updated_at"],
        ),
        ("dsync.activated", r#"{"id":"d","domains":["foo.com"]}"#, vec!["data.domains[0]"]),
        ("dsync.group.updated", r#"{"id":"g","name":7}"#, vec!["data.name"]),
        ("dsync.token.revoked", r#"{"id":"t","token_suffix":7}"#, vec!["data.token_suffix"]),
        (
            "dsync.group.user_removed",
            r#"{"directory_id":7,"user":{"id":"u","state":1},"group":{"id":"g","name":[]}}"#,
            vec!["data.user.state", "data.group.name", "data.directory_id"],
        ),
        // The last value of a key counts, and null means absent.
        ("dsync.user.created", r#"{"id":7,"email":7,"id":"u","email":"x"}"#, vec![]),
        ("dsync.user.created", r#"{"id":"u","email":7,"email":null}"#, vec![]),
        ("dsync.user.created", r#"{"id":"u","email":7,"role":null}"#, vec!["data.email"]),
        // Numbers of any size, also in an object with an unreadable field.
        ("dsync.user.created", r#"{"id":"u","x":1e999,"email":1e999}"#, vec!["data.email"]),
        // Free-form objects must be objects, and `previous_attributes` belongs to updates.
        (
            "dsync.user.updated",
            r#"{"id":"u","custom_attributes":7,"previous_attributes":[]}"#,
            vec!["data.custom_attributes", "data.previous_attributes"],
        ),
        ("dsync.user.created", r#"{"id":"u","previous_attributes":[],"name":null}"#, vec![]),
        ("dsync.group.deleted", r#"{"id":"g","raw_attributes":""}"#, vec!["data.raw_attributes"]),
        // The last value of a key also counts in a nested object.
        ("dsync.user.created", r#"{"id":"u","role":{"slug":7,"slug":"a"}}"#, vec![]),
        ("dsync.user.created", r#"{"id":"u","role":{"slug":"a","slug":7}}"#, vec!["data.role"]),
        (
            "dsync.user.created",
            r#"{"id":"u","roles":[{"slug":7,"slug":"a"},{"slug":"b"}]}"#,
            vec![],
        ),
        // Only another object has this field.
        ("dsync.user.created", r#"{"id":"u","token_suffix":7,"name":7}"#, vec!["data.name"]),
    ] {
        assert_eq!(paths(event, data), expected, "{data}");
    }
}

#[test]
fn deep_nesting_affects_only_its_field() {
    let depth = if cfg!(miri) { 1000 } else { 100_000 };
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for key in ["x", "email", "roles", "role", "custom_attributes"] {
        let data = format!(r#"{{"id":"u","{key}":{deep},"name":7}}"#);
        let expected: &[&str] = match key {
            "custom_attributes" => &["data.custom_attributes", "data.name"],
            "email" => &["data.email", "data.name"],
            "role" => &["data.name", "data.role"],
            "roles" => &["data.name", "data.roles[0]"],
            _ => &["data.name"],
        };
        assert_eq!(paths("dsync.user.updated", &data), expected, "{key}");
    }
}

/// Otherwise, a list of unreadable entries could make a log line longer than the body.
#[test]
fn at_most_16_entries_of_a_list_are_listed() {
    let roles = vec!["7"; 1000].join(",");
    let data = format!(r#"{{"id":"u","roles":[{roles},{{"slug":"a"}}],"state":7}}"#);
    let paths = paths("dsync.user.updated", &data);
    assert_eq!((paths.len(), paths[15].as_str()), (17, "data.roles[15]"));
    assert_eq!(paths[16], "data.state");
    let text = format!(r#"{{"id":"e","event":"dsync.user.created","data":{data}}}"#);
    let (envelope, _) = of(&text).unwrap();
    let Some(EventData::UserCreated(user)) = envelope.data else { panic!() };
    assert_eq!((user.roles.len(), user.state), (1, None));
}

#[test]
fn required_fields_are_reported_by_path() {
    let user = r#"{"id":"u"}"#;
    let member = |user: &str, group: &str| format!(r#"{{"user":{user},"group":{group}}}"#);
    for (id, event, data, path) in [
        ("7", r#""x""#, "{}".to_owned(), "id"),
        (r#""""#, r#""x""#, "{}".to_owned(), "id"),
        (r#""e""#, "7", "{}".to_owned(), "event"),
        (r#""e""#, r#""dsync.deleted""#, "null".to_owned(), "data"),
        (r#""e""#, r#""dsync.deleted""#, "[]".to_owned(), "data"),
        (r#""e""#, r#""dsync.deleted""#, "{}".to_owned(), "data.id"),
        (r#""e""#, r#""dsync.deleted""#, r#"{"id":7}"#.to_owned(), "data.id"),
        (r#""e""#, r#""dsync.deleted""#, r#"{"id":""}"#.to_owned(), "data.id"),
        (r#""e""#, r#""dsync.deleted""#, r#"{"id":"d","id":null}"#.to_owned(), "data.id"),
        (r#""e""#, r#""dsync.group.user_added""#, user.to_owned(), "data.user"),
        (r#""e""#, r#""dsync.group.user_added""#, member("7", user), "data.user"),
        (r#""e""#, r#""dsync.group.user_added""#, member("{}", user), "data.user.id"),
        (r#""e""#, r#""dsync.group.user_added""#, member(user, "null"), "data.group"),
        (r#""e""#, r#""dsync.group.user_added""#, member(user, "{}"), "data.group.id"),
    ] {
        let text = format!(r#"{{"id":{id},"event":{event},"data":{data}}}"#);
        let unread = of(&text).unwrap_err();
        assert!(
            matches!(unread.fault, Fault::Field { path: at, .. } if at == path),
            "{text}: {unread:?}"
        );
        assert_eq!(unread.id.is_some(), path != "id", "{text}");
        assert_eq!(unread.name.is_some(), path != "event", "{text}");
    }
}

#[test]
fn the_error_names_what_precedes_truncated_json() {
    let text = "{\"id\":\"e\",\n\"event\":\"dsync.deleted\",\"data\":{\"id\":";
    let unread = of(text).unwrap_err();
    assert_eq!(unread.fault, Fault::Syntax { at: text.len() });
    assert_eq!(unread.id, Some("e".into()));
    assert_eq!(unread.name.as_deref(), Some("dsync.deleted"));
    assert_eq!(only_names(text, Fault::NotUtf8 { at: 1 }).id, Some("e".into()));
    assert_eq!(of("[]").unwrap_err().fault, Fault::NotAnObject);
    assert_eq!(of(r#"{"id":"e"} x"#).unwrap_err().fault, Fault::Syntax { at: 12 });
}
