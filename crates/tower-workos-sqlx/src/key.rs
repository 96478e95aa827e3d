//! The form in which a database stores the texts of a key.

use std::{borrow::Cow, fmt::Write as _};

use sha2::{Digest, Sha256};

/// Two of these fit into a row of PostgreSQL's indexes (2704 bytes).
const LONGEST: usize = 255;
const HASHED: &str = "sha256:";

/// A text as it is stored: printable ASCII of bounded length.
///
/// The application chooses the namespaces, and the sender chooses the ids. PostgreSQL can't store NUL in a text, some
/// database encodings can't represent other characters, and long texts don't fit into an index. Such a text is replaced by
/// its hash. So is a text that looks like a hash, so that different texts stay different.
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
    fn a_text_that_looks_like_a_hash_is_hashed() {
        let hashed = bounded("a\0b").into_owned();
        assert_ne!(bounded(&hashed), hashed);
    }
}
