//! What is signed.

use tower_workos::testing::sample;

pub struct Body {
    pub name: String,
    pub text: String,
    /// The event's id in it.
    pub id: String,
}

fn body(name: &str, id: &str, text: impl Into<String>) -> Body {
    Body { name: name.to_owned(), id: id.to_owned(), text: text.into() }
}

/// The samples of this crate, without and with the `object` that the REST API's events have, and bodies old and odd.
pub fn all() -> Vec<Body> {
    let mut bodies = Vec::new();
    for (index, sample) in sample::ALL.into_iter().enumerate() {
        let id = format!("event_SAMPLE{index}");
        let text = String::from_utf8_lossy(&sample.with_id(&id)).into_owned();
        bodies.push(body(sample.name(), &id, text.clone()));
        let id = format!("event_OBJECT{index}");
        let text = String::from_utf8_lossy(&sample.with_id(&id)).into_owned();
        let text = text.replacen('{', r#"{"object":"event","#, 1);
        bodies.push(body(&format!("{}, with object", sample.name()), &id, text));
    }
    bodies.extend([
        body(
            "old: a wh_ id, no created_at",
            "wh_01",
            r#"{"id":"wh_01","event":"dsync.user.deleted","data":{"id":"directory_user_1","state":"active"}}"#,
        ),
        body(
            "names beyond ASCII",
            "event_UTF8",
            r#"{"id":"event_UTF8","event":"dsync.user.created","data":{"id":"directory_user_1","first_name":"Żółć 🙂","last_name":"李"},"created_at":"2026-01-15T12:00:00.000Z"}"#,
        ),
        body(
            "the same as escapes",
            "event_ESCAPES",
            r#"{"id":"event_ESCAPES","event":"dsync.user.created","data":{"id":"directory_user_1","first_name":"\u017b\u00f3\u0142\u0107 \ud83d\ude42"},"created_at":"2026-01-15T12:00:00.000Z"}"#,
        ),
        body(
            "white space and line ends",
            "event_PRETTY",
            "{\r\n  \"id\": \"event_PRETTY\",\r\n  \"event\": \"dsync.deleted\",\r\n  \"data\": { \"id\": \"directory_1\" }\r\n}\n",
        ),
        body(
            "data before event",
            "event_ORDER",
            r#"{"data":{"id":"directory_group_1","name":"Everybody"},"event":"dsync.group.created","id":"event_ORDER"}"#,
        ),
        body(
            "numbers that JSON may write otherwise",
            "event_NUMBERS",
            r#"{"id":"event_NUMBERS","event":"dsync.user.created","data":{"id":"directory_user_1","custom_attributes":{"level":1.0,"salary":1e5}}}"#,
        ),
        body(
            "an event of another kind",
            "event_OTHER",
            r#"{"id":"event_OTHER","event":"connection.activated","data":{"id":"conn_1"}}"#,
        ),
    ]);
    bodies
}
