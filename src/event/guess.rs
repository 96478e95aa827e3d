//! A guess at an event's type, before its `event` is reached.

use crate::event::kind::Kind;

/// How far from the end `"event"` is looked for. WorkOS writes it, `created_at` and `context` last.
pub(super) const WINDOW: usize = 512;

/// The event type that the text's end names. Only a guess: the same characters may be in `data`.
pub(super) fn guess(text: &str) -> Option<Kind> {
    let mut start = text.len().saturating_sub(WINDOW);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let window = text.get(start..)?;
    if let Some(name) = usual_name(window) {
        return Kind::from_name(name);
    }
    // It is a value in `"object":"event"`, with which full envelopes end.
    window.rmatch_indices("\"event\"").find_map(|(at, key)| {
        let value = window.get(at + key.len()..)?.trim_start().strip_prefix(':')?;
        Kind::from_name(value.trim_start().strip_prefix('"')?.split_once('"')?.0)
    })
}

/// The name in front of the members that WorkOS mostly writes last, without a search.
fn usual_name(text: &str) -> Option<&str> {
    const TIME: &str = "2021-06-25T19:07:33.155Z";

    let text = text.strip_suffix('}')?;
    let text = text.strip_suffix(r#","object":"event""#).unwrap_or(text);
    let text = text.strip_suffix(r#","context":{}"#).unwrap_or(text).strip_suffix('"')?;
    let text = text.get(..text.len().checked_sub(TIME.len())?)?;
    let text = text.strip_suffix(r#"","created_at":""#)?;
    let name = text.bytes().rposition(|byte| byte == b'"')?;
    let (before, name) = text.split_at_checked(name + 1)?;
    before.ends_with(r#""event":""#).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the fast path; a search would be correct but slower.
    #[test]
    fn the_name_before_the_usual_end_needs_no_search() {
        let time = r#""created_at":"2026-01-15T12:00:00.000Z""#;
        let start = r#"{"id":"e","data":{},"event":"dsync.user.updated","#;
        for end in
            ["", r#","context":{}"#, r#","object":"event""#, r#","context":{},"object":"event""#]
        {
            let text = format!("{start}{time}{end}}}");
            assert_eq!(usual_name(&text), Some("dsync.user.updated"), "{text}");
        }
        for text in [
            format!("{start}{time}}}\n"),
            format!("{start}{time}}}}}"),
            format!("{start}{time},{time}}}"),
            format!(r#"{{"event":"dsync.user.updated","data":{{}},{time}}}"#),
            format!(r#"{{"name":"dsync.user.updated",{time}}}"#),
            "}".to_owned(),
            String::new(),
        ] {
            assert_eq!(usual_name(&text), None, "{text}");
        }
    }
}
