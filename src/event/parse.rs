//! Reads a body's text into its [`Envelope`].
//!
//! The [fast path](fast) reads almost every body. The [lenient path](lenient) reads the others, and it alone defines what
//! is valid.

use std::borrow::Cow;

use crate::event::{
    envelope::Envelope, fast, lenient, parse_error::Unread, repair::without_lone_surrogates,
};

/// Reads the text of a body into an empty envelope: at least its id and its data.
pub(super) fn read(text: &str, envelope: &mut Envelope) -> Result<(), Unread> {
    match without_lone_surrogates(text) {
        Cow::Borrowed(text) => {
            fast::read(text, envelope).map_or_else(|| lenient::read(text, envelope), Ok)
        }
        Cow::Owned(repaired) => lenient::read(&repaired, envelope),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::guess::WINDOW;

    /// A field of an envelope, well formed or not. Several fields may have the same key.
    fn field() -> impl Strategy<Value = String> {
        let event = prop::sample::select(vec![
            r#""dsync.user.created""#,
            r#""dsync.user.updated""#,
            r#""dsync.group.created""#,
            r#""dsync.deleted""#,
            r#""x.y""#,
            r#""dsync\u002euser.created""#,
            "null",
            "7",
        ]);
        let data = prop::sample::select(vec![
            r#"{"id":"u","state":"active","state":"inactive"}"#,
            r#"{"id":"u","x":{"event":"dsync.deleted"}}"#,
            r#"{"name":"\"event\":\"dsync.user.created\"","id":"g"}"#,
            r#"{"email":1}"#,
            r#"{"id":"u","idp_id":42,"roles":[null,{"slug":"a"}],"domains":["foo.com"],"state":{}}"#,
            r#"{"id":"u","custom_attributes":{"a":1},"previous_attributes":{"state":null}}"#,
            r#"{"id":"u","custom_attributes":[],"previous_attributes":7}"#,
            "null",
            "[]",
        ]);
        let id = prop::sample::select(vec![r#""e1""#, r#""e2""#, r#""""#, "null", "7"]);
        let time = prop::sample::select(vec![
            r#""2026-01-15T12:00:00Z""#,
            r#""2026-01-16 12:00:00""#,
            "null",
            r#""soon""#,
        ]);
        prop_oneof![
            3 => event.prop_map(|value| format!(r#""event":{value}"#)),
            3 => data.prop_map(|value| format!(r#""data":{value}"#)),
            3 => id.prop_map(|value| format!(r#""id":{value}"#)),
            1 => time.prop_map(|value| format!(r#""created_at":{value}"#)),
            1 => Just(r#""context":{"a":1}"#.to_owned()),
            1 => Just(r#""context":[]"#.to_owned()),
            1 => Just(r#""z":{"event":"dsync.user.created","data":1}"#.to_owned()),
        ]
    }

    /// Guards the fast path; a fallback would be correct but slower.
    #[test]
    fn the_fast_path_reads_usual_bodies() {
        let data = format!(r#"{{"id":"u","name":"{}"}}"#, "é".repeat(WINDOW));
        // An odd and an even number of bytes follow, so that the edge of the window splits a character once.
        for id in ["e", "ee"] {
            for text in [
                format!(r#"{{"id":"{id}","event":"dsync.user.created","data":{data}}}"#),
                format!(r#"{{"id":"{id}","data":{data},"event" : "dsync.user.created"}}"#),
                format!(
                    r#"{{"id":"{id}","data":{data},"event":"dsync.user.created","object":"event"}}"#
                ),
                format!(r#"{{"data":{data},"event":"dsync.user.created","id":"{id}"}}"#),
                format!(r#"{{"id":"{id}","event":"x.y","data":{data}}}"#),
            ] {
                let mut envelope = Envelope::default();
                assert!(fast::read(&text, &mut envelope).is_some(), "{text}");
                assert_eq!(envelope.id.unwrap(), id);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // Miri takes a second for each case.
            cases: if cfg!(miri) { 16 } else { 4096 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_fast_path_reads_what_the_lenient_path_reads(fields in prop::collection::vec(field(), 0..8)) {
            let text = format!("{{{}}}", fields.join(","));
            let (mut quickly, mut leniently) = (Envelope::default(), Envelope::default());
            let is_read = fast::read(&text, &mut quickly).is_some();
            let read = lenient::read(&text, &mut leniently);
            if is_read {
                prop_assert_eq!(read, Ok(()), "{}", text);
                prop_assert!(leniently.unreadable.is_empty(), "{text}: {:?}", leniently.unreadable);
                prop_assert_eq!(quickly, leniently, "{}", text);
            } else if read.is_ok() {
                // Nothing that the fast path read before it gave up may remain.
                prop_assert_eq!(lenient::read(&text, &mut quickly), Ok(()));
                prop_assert_eq!(quickly, leniently, "{}", text);
            }
        }
    }
}
