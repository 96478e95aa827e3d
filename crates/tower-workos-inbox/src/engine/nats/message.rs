//! Items and dead letters as messages.

use std::fmt::Write as _;

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::payload::Item;

/// The header that contains [`Meta`] as JSON, which can contain any text on one line.
const META: &str = "Workos-Inbox-Item";
/// How much of an error is kept, in characters.
const ERROR: usize = 1000;
/// What a dead letter can need in addition to its item: the error, with each character escaped, and the numbers.
pub(super) const RESERVE: usize = 6 * ERROR + 2048;

/// What a message contains in addition to the body of the item.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) key: String,
    pub(super) name: String,
    /// When the item was stored, in microseconds, if that was before this message was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stored_at: Option<i64>,
    /// For a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<u32>,
    /// For a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl Meta {
    pub(super) fn of(item: &Item) -> Self {
        Self {
            key: item.key.clone(),
            name: item.name.clone(),
            error: item.dead.as_deref().map(excerpt),
            ..Self::default()
        }
    }

    /// A message without the header was published by something else. It is treated as an item that can't be read.
    pub(super) fn from_headers(headers: Option<&HeaderMap>) -> Self {
        let text = headers.and_then(|headers| headers.get(META));
        text.and_then(|text| serde_json::from_str(text.as_str()).ok()).unwrap_or_default()
    }

    pub(super) fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // Strings and numbers can always be JSON, and JSON is one line.
        headers.insert(META, serde_json::to_string(self).unwrap_or_default());
        headers
    }

    /// About the size of the headers.
    pub(super) fn size(&self) -> usize {
        2 * (self.key.len() + self.name.len()) + 256
    }
}

pub(super) fn excerpt(error: &str) -> String {
    error.chars().take(ERROR).collect()
}

/// The key as a part of a subject, and as a message id. A key that can't be one is replaced by its hash, which contains a character
/// that no other part contains.
pub(super) fn token(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(is_plain) {
        return key.to_owned();
    }
    let mut text = String::from("sha256=");
    for byte in Sha256::digest(key) {
        // Writing to a `String` can't fail.
        let _ = write!(text, "{byte:02x}").is_ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_is_a_token() {
        assert_eq!(token("event_01-A"), "event_01-A");
        let odd = ["", " a", "a ", "a.b", "a*", ">", "é", "sha256=", "sha256:0"];
        let mut tokens: Vec<_> = odd.iter().map(|key| token(key)).collect();
        assert!(tokens.iter().all(|it| it.len() == 71 && it.starts_with("sha256=")), "{tokens:?}");
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), odd.len());
    }

    #[test]
    fn any_text_survives_a_header() {
        let error = " a\r\nb\0\u{2028}é \"\\".to_owned();
        let meta = Meta { key: " k ".to_owned(), error: Some(error.clone()), ..Meta::default() };
        let headers = meta.to_headers();
        assert!(headers.get(META).unwrap().as_str().bytes().all(|byte| byte >= b' '));
        let read = Meta::from_headers(Some(&headers));
        assert_eq!((read.key.as_str(), read.error), (" k ", Some(error)));
    }

    #[test]
    fn the_reserve_is_enough_for_the_worst_error() {
        let error = Some(excerpt(&"\u{1}".repeat(5000)));
        let (attempts, stored_at) = (Some(u32::MAX), Some(i64::MIN));
        let letter = Meta { error, attempts, stored_at, ..Meta::default() };
        assert!(serde_json::to_string(&letter).unwrap().len() < RESERVE);
    }
}
