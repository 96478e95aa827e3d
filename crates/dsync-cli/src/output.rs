//! Lines for people. It is not an error if the reader has gone, as `head` does.
//!
//! Everything that is printed for people passes through here, and here alone is it made harmless: ids, names and answers
//! come from outside, and a line break in one would forge a line of the report.

use std::{
    borrow::Cow,
    io::{Read as _, Write as _},
};

use crate::failure::Failure;

/// Prints a line of the result: one line, whatever is in it.
pub(crate) fn say(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", escape(line.as_ref(), is_harmful));
}

/// Prints a line that is not part of the result: one line, whatever is in it.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", escape(line.as_ref(), is_harmful));
}

/// Prints a text that may have several lines. True if all of it was printed as it is.
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

/// Control characters, other line breaks, and marks that change the direction of what follows.
fn is_harmful(c: char) -> bool {
    let other = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    c.is_control() || other
}

/// All of stdin.
pub(crate) fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("can't read stdin: {error}")))?;
    Ok(bytes)
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
