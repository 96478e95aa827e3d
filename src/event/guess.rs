//! Guesses an event's type before its `event` is reached.

use crate::event::kind::Kind;

/// How many bytes at the end are searched for `"event"`. WorkOS writes `event`, `created_at` and `context` last.
pub(super) const WINDOW: usize = 512;

/// The event type that is named near the end of the text. Only a guess: the same characters may be in `data`.
pub(super) fn guess(text: &str) -> Option<Kind> {
    let mut start = text.len().saturating_sub(WINDOW);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let window = text.get(start..)?;
    memchr::memrchr_iter(b':', window.as_bytes())
        .find_map(|colon| {
            let (key, value) = window.split_at_checked(colon)?;
            let value = value.strip_prefix(':')?.trim_start().strip_prefix('"')?;
            key.trim_end().ends_with("\"event\"").then_some(value.split_once('"')?.0)
        })
        .and_then(Kind::from_name)
}
