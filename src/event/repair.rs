//! Replaces lone surrogates, which are valid in JSON but not in a `str`.

use std::borrow::Cow;

/// Replaces each `\u` escape that is only half of a character with `\ufffd`, which has the same length.
///
/// JavaScript can write such halves: `JSON.stringify("Ann 😀".slice(0, 5))`. serde_json rejects them in anything that
/// becomes a `String`, including keys.
pub(super) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    match next_lone(text, 0) {
        None => Cow::Borrowed(text),
        Some(first) => Cow::Owned(replace_from(text, first)),
    }
}

#[cold]
fn replace_from(text: &str, first: usize) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut copied = 0;
    let mut lone = Some(first);
    while let Some(at) = lone {
        replaced.push_str(text.get(copied..at).unwrap_or_default());
        replaced.push_str("\\ufffd");
        copied = at + ESCAPE;
        lone = next_lone(text, copied);
    }
    replaced.push_str(text.get(copied..).unwrap_or_default());
    replaced
}

/// The length of `\ud83d`.
const ESCAPE: usize = 6;

/// The position of the next lone surrogate. `from` must not be within an escape.
///
/// JSON has backslashes only in strings, so it does not matter where a string begins and ends.
fn next_lone(text: &str, mut from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    loop {
        let at = from + memchr::memchr(b'\\', bytes.get(from..)?)?;
        from = match (surrogate(bytes, at), surrogate(bytes, at + ESCAPE)) {
            (Some(Half::High), Some(Half::Low)) => at + 2 * ESCAPE,
            (Some(_), _) => return Some(at),
            // Skips the backslash and what it escapes, which may be another backslash.
            (None, _) => at + 2,
        };
    }
}

#[derive(Clone, Copy)]
enum Half {
    High,
    Low,
}

/// The surrogate whose escape begins at `at`.
fn surrogate(bytes: &[u8], at: usize) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth] = bytes.get(at..at + ESCAPE)? else {
        return None;
    };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::High),
        b'c'..=b'f' | b'C'..=b'F' => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_lone_halves_are_replaced() {
        for (text, expected) in [
            (r#""Ann \ud83d""#, r#""Ann \ufffd""#),
            (r#""\ude00 Ann""#, r#""\ufffd Ann""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83dé\ude00""#, r#""\ufffdé\ufffd""#),
            // A backslash, then the text `ud83d`.
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\"\ud83d\"""#, r#""\"\ufffd\"""#),
            // Not surrogates: the characters directly before and after their range.
            (r#"{"\ud7ff":"\ue000"}"#, r#"{"\ud7ff":"\ue000"}"#),
            (r#"{"\udbff":"\udfff"}"#, r#"{"\ufffd":"\ufffd"}"#),
            // Not valid JSON, which the parser reports.
            (r#""\ud83"#, r#""\ud83"#),
            (r#""\ud8zz""#, r#""\ud8zz""#),
            (r#""\"#, r#""\"#),
            ("", ""),
        ] {
            let replaced = without_lone_surrogates(text);
            assert_eq!(replaced, expected);
            assert_eq!(matches!(replaced, Cow::Borrowed(_)), text == expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The oracle is std's lossy conversion from UTF-16.
        #[test]
        #[cfg_attr(miri, ignore = "Miri takes minutes")]
        fn the_repaired_text_equals_lossy_utf_16(
            units in prop::collection::vec(
                prop_oneof![0xd800..0xdc00_u16, 0xdc00..0xe000_u16, Just(u16::from(b'\\')), Just(0x41_u16)],
                0..12,
            ),
        ) {
            let escapes: String = units
                .iter()
                .map(|unit| if *unit == 0x5c { r"\\".to_owned() } else { format!(r"\u{unit:04x}") })
                .collect();
            let text = format!("\"{escapes}\"");
            let read: String = serde_json::from_str(&without_lone_surrogates(&text)).unwrap();
            assert_eq!(read, String::from_utf16_lossy(&units), "{text}");
        }
    }
}
