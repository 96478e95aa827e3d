//! The form in which the tables store texts, ids, times and JSON.
//!
//! All of this comes from customers' directories. PostgreSQL can't store NUL in a text, and its indexes can't hold long
//! texts. If a field could make a statement fail, the whole batch would fail, and its event would fail on each attempt.

use std::{
    borrow::Cow,
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use tower_workos::Timestamp;

/// Two of these fit into a row of PostgreSQL's indexes (2704 bytes).
const LONGEST_ID: usize = 255;
const HASHED: &str = "sha256:";
/// 0001-01-01 and [`Timestamp::MAX`] in microseconds since the Unix epoch: both databases can show these years.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_207_200_999_999;

/// An id that the caller may have read from the tables, as it is stored.
///
/// Not for an id that is written, nor for a text that customers choose: an id that looks like a hash is taken for that of
/// another id.
pub(crate) fn stored_id(text: &str) -> Cow<'_, str> {
    let is_hash = text.strip_prefix(HASHED).is_some_and(|hash| {
        hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    if is_hash { Cow::Borrowed(text) } else { id(text) }
}

/// An id, or another text that is looked up, as it is stored: printable ASCII of bounded length.
///
/// Any other text is replaced by its hash. So is a text that looks like a hash, so that different ids remain different.
pub(crate) fn id(text: &str) -> Cow<'_, str> {
    let fits = text.len() <= LONGEST_ID
        && !text.starts_with(HASHED)
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits { Cow::Borrowed(text) } else { Cow::Owned(hashed(text)) }
}

/// A text that is looked up and may contain any letters, for example an e-mail address.
pub(crate) fn key(text: &str) -> Cow<'_, str> {
    let fits = text.len() <= LONGEST_ID && !text.starts_with(HASHED) && !text.contains('\0');
    if fits { Cow::Borrowed(text) } else { Cow::Owned(hashed(text)) }
}

fn hashed(text: &str) -> String {
    let mut hashed = String::from(HASHED);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a `String` can't fail.
        let _ = write!(hashed, "{byte:02x}").is_ok();
    }
    hashed
}

/// The form of an e-mail address in the column `email_key` of the view `workos_users`: without spaces around it, in lower
/// case, and at most 255 bytes long. Empty if there is no address.
///
/// Store it with your accounts to join them with the view. SQL's `lower` does not replace it: in SQLite, it changes only
/// ASCII letters.
#[must_use]
pub fn email_key(email: &str) -> String {
    key(&email.trim().to_lowercase()).into_owned()
}

/// Any other text, as it is stored. An empty text counts as absent.
pub(crate) fn plain(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.replace('\0', "\u{fffd}"))
}

/// Microseconds since the Unix epoch.
pub(crate) fn micros(time: Timestamp) -> i64 {
    let time = SystemTime::from(time);
    let micros = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(LATEST),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(EARLIEST, i64::wrapping_neg)
        }
    };
    micros.clamp(EARLIEST, LATEST)
}

/// Returns the time this many microseconds after the Unix epoch.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let magnitude = std::time::Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        UNIX_EPOCH.checked_sub(magnitude)
    } else {
        UNIX_EPOCH.checked_add(magnitude)
    };
    time.unwrap_or(UNIX_EPOCH).into()
}

/// JSON in a canonical form, so that equal documents are equal texts: sorted keys, no whitespace, and no member that is
/// `null` or empty. `None` if nothing is left, or if it can't be read.
pub(crate) fn canonical(json: &str) -> Option<String> {
    let mut text = String::with_capacity(json.len());
    write_canonical(&serde_json::from_str(json).ok()?, &mut text);
    (!matches!(text.as_str(), "null" | "\"\"" | "[]" | "{}")).then_some(text)
}

fn write_canonical(value: &Json, to: &mut String) {
    match value {
        Json::Array(items) => {
            to.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write_canonical(item, to);
            }
            to.push(']');
        }
        Json::Object(members) => {
            // The map is sorted unless some crate in the application enables serde_json's `preserve_order`.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            to.push('{');
            let empty = to.len();
            for (key, value) in members {
                let start = to.len();
                if start > empty {
                    to.push(',');
                }
                write_text(key, to);
                to.push(':');
                let before = to.len();
                write_canonical(value, to);
                if matches!(to.get(before..), Some("null" | "\"\"" | "[]" | "{}")) {
                    to.truncate(start);
                }
            }
            to.push('}');
        }
        Json::String(text) => write_text(text, to),
        // With serde_json's `arbitrary_precision`, a number can be too large for PostgreSQL.
        Json::Number(number) if !number.as_f64().is_some_and(f64::is_finite) => {
            write_text(&number.to_string(), to);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {
            let _ = write!(to, "{value}").is_ok();
        }
    }
}

fn write_text(text: &str, to: &mut String) {
    // PostgreSQL's `jsonb` can't hold `\u0000`.
    let text = text.replace('\0', "\u{fffd}");
    let _ = write!(to, "{}", Json::String(text)).is_ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded() {
        assert_eq!(id("directory_user_1"), "directory_user_1");
        for text in ["a\0b", "é", &"x".repeat(256), "sha256:x"] {
            assert_eq!(id(text).len(), 71, "{text:?}");
        }
        assert_eq!(key("zoë@example.com"), "zoë@example.com");
        assert_eq!(key("a\0b").len(), 71);
        assert_eq!(email_key(" Zoë@Example.COM"), "zoë@example.com");
    }

    #[test]
    fn times_survive() {
        for text in
            ["2026-01-15T12:00:00.123456Z", "1969-12-31T23:59:59.999Z", "9999-01-01T00:00:00Z"]
        {
            let time: Timestamp = text.parse().unwrap_or(Timestamp::UNIX_EPOCH);
            assert_eq!(timestamp(micros(time)), time, "{text}");
        }
        assert_eq!(micros(Timestamp::from_unix_millis_saturating(i64::MIN)), EARLIEST);
        assert_eq!(micros(Timestamp::MAX), LATEST);
    }

    #[test]
    fn canonical_json() {
        assert_eq!(
            canonical(
                r#"{ "b": [1, null, {"y":2,"x":1.50}], "a": "\u0000", "c": null, "d": {"e": []} }"#
            )
            .as_deref(),
            Some("{\"a\":\"\u{fffd}\",\"b\":[1,null,{\"x\":1.5,\"y\":2}]}")
        );
        for nothing in ["null", "{}", r#"{"a":{"b":""}}"#, "1e400", "[]", ""] {
            assert_eq!(canonical(nothing), None, "{nothing}");
        }
    }
}
