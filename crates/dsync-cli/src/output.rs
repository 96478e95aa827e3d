//! Prints lines for people.
//!
//! Every printed line passes through this module, and only this module escapes it: ids, names and responses come from
//! outside, and a line break in one of them would forge a line of the report.

use std::{borrow::Cow, io::Write as _};

/// Prints one line of the result.
pub(crate) fn say(line: impl AsRef<str>) {
    // A closed pipe, for example after `head` exits, is not an error.
    let _ = writeln!(std::io::stdout(), "{}", escape(line.as_ref(), is_harmful));
}

/// Prints one line that is not part of the result.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", escape(line.as_ref(), is_harmful));
}

/// Prints a text that may have several lines. Returns whether nothing in it had to be escaped.
pub(crate) fn say_text(text: &str) -> bool {
    let text = escape(text, |c| is_harmful(c) && !matches!(c, '\n' | '\r' | '\t'));
    let _ = writeln!(std::io::stdout(), "{text}");
    matches!(text, Cow::Borrowed(_))
}

fn escape(text: &str, harmful: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            escaped.extend(c.escape_debug());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, other line breaks, and characters that change the direction of the text.
fn is_harmful(c: char) -> bool {
    let other = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    c.is_control() || other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        for (text, expected) in [
            ("event_1\n  ok", "event_1\\n  ok"),
            ("a\r\tb\u{1b}[2J\0", "a\\r\\tb\\u{1b}[2J\\0"),
            ("a\u{85}b\u{2028}c\u{202e}d\u{7f}", "a\\u{85}b\\u{2028}c\\u{202e}d\\u{7f}"),
            ("Zoë \"Ω\" 'x' \\n", "Zoë \"Ω\" 'x' \\n"),
        ] {
            assert_eq!(escape(text, is_harmful), expected);
        }
    }
}
