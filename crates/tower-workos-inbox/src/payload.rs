//! What a queue contains.

use std::{borrow::Cow, fmt::Write as _};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tower_workos::{DirectoryEvent, ParseError, Timestamp};

use crate::error::InboxError;

/// The items of a [`Queue`](crate::Queue). They are stored as JSON.
///
/// ```
/// use std::borrow::Cow;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Welcome {
///     user: String,
/// }
///
/// impl tower_workos_inbox::Payload for Welcome {
///     fn key(&self) -> Cow<'_, str> {
///         // A user gets one welcome.
///         Cow::Borrowed(&self.user)
///     }
///
///     fn name(&self) -> Cow<'_, str> {
///         Cow::Borrowed("welcome")
///     }
/// }
/// ```
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Identifies the item. An item with the key of another item of the queue is a duplicate, and is not stored.
    ///
    /// It is shown in logs. A key that has more than 200 bytes or contains anything but printable ASCII is replaced by its hash.
    fn key(&self) -> Cow<'_, str>;

    /// What kind of item it is, for example the name of an event. It is shown in logs, and may be truncated.
    fn name(&self) -> Cow<'_, str>;
}

impl Payload for DirectoryEvent {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.id().as_str())
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.name())
    }
}

/// An item as it is stored.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) body: Bytes,
    /// The reason why it is a dead letter from the start.
    pub(crate) dead: Option<String>,
}

impl Item {
    pub(crate) fn new<T: Payload>(payload: &T) -> Result<Self, InboxError> {
        let body = serde_json::to_vec(payload).map_err(|error| {
            InboxError::config("the item can't be converted to JSON").caused(error)
        })?;
        Ok(Self {
            key: key(&payload.key()),
            name: name(&payload.name()),
            body: body.into(),
            dead: None,
        })
    }

    /// A genuine body that can't be read as an event.
    pub(crate) fn unreadable(error: &ParseError, issued_at: Option<Timestamp>) -> Self {
        let raw = error.raw();
        // The form of a stored event, so that a later version may be able to read it.
        let body = match str::from_utf8(raw) {
            Ok(body) => {
                let stored = json!({ "body": body, "issued_at": issued_at, "secret_index": 0 });
                stored.to_string().into()
            }
            Err(_) => raw.clone(),
        };
        Self {
            key: hash(raw),
            name: name(error.name().unwrap_or("unreadable")),
            body,
            dead: Some(error.reason().to_string()),
        }
    }
}

fn key(key: &str) -> String {
    if key.len() <= 200 && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        key.to_owned()
    } else {
        hash(key.as_bytes())
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a `String` can't fail.
        let _ = write!(text, "{byte:02x}").is_ok();
    }
    text
}

/// Makes text from a body safe to store, in a database of any encoding, and to log: escaped and truncated.
fn name(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_database_or_a_log_would_not_accept_are_replaced() {
        assert_eq!(key("event_01"), "event_01");
        assert_eq!(key(&"x".repeat(200)), "x".repeat(200));
        for odd in ["a\0b", "a\nb", "\u{e9}", &"x".repeat(201)] {
            let key = key(odd);
            assert_eq!((key.len(), &key[..7]), (71, "sha256:"), "{odd:?}");
        }
    }

    #[test]
    fn names_are_escaped_and_truncated() {
        assert_eq!(name("dsync.user.created"), "dsync.user.created");
        assert_eq!(name("a\0\u{202e}b"), "a\\u{0}\\u{202e}b");
        assert_eq!(name(&"x".repeat(100)), "x".repeat(64));
    }
}
