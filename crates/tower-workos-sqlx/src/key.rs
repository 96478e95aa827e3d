//! The texts that a key has in a database.

use std::{borrow::Cow, fmt::Write as _};

use sha2::{Digest, Sha256};

/// Two of these fit into a row of PostgreSQL's indexes (2704 bytes).
const LONGEST: usize = 255;
const HASHED: &str = "sha256:";

/// A text as a database holds it: printable ASCII of bounded length.
///
/// Namespaces are the application's, and the ids are whatever the sender chose. NUL can't be in a text in PostgreSQL,
/// other characters can't be in a database of every encoding, and long texts don't fit into an index. Such a text
/// becomes its hash; so does one that looks like a hash, so that no two texts become one.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    let fits = text.len() <= LONGEST
        && !text.starts_with(HASHED)
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits {
        return Cow::Borrowed(text);
    }
    let mut hashed = String::from(HASHED);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a `String` can't fail.
        let _ = write!(hashed, "{byte:02x}").is_ok();
    }
    Cow::Owned(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        let longest = "x".repeat(255);
        for text in ["", "workos", "event_01HXYZ", "a b", &longest] {
            assert_eq!(bounded(text), text);
        }
    }

    #[test]
    fn other_texts_become_their_hash() {
        assert_eq!(
            bounded("a\0b"),
            "sha256:59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"
        );
        for text in ["a\nb", "é", "\u{7f}", &"x".repeat(256), "sha256:", "sha256:x"] {
            assert_eq!(bounded(text).len(), 71, "{text:?}");
        }
    }

    #[test]
    fn a_hash_is_not_mistaken_for_the_text_that_it_is_of() {
        let hashed = bounded("a\0b").into_owned();
        assert_ne!(bounded(&hashed), hashed);
    }
}
