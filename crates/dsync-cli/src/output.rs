//! Lines for people. Who reads them may have gone, as `head` does: that is no error.

use std::io::{Read as _, Write as _};

use crate::failure::Failure;

/// Prints a line of the result.
pub(crate) fn say(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// Prints a line that is not part of the result.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}

/// What a stranger sent, without what would steer a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let replace = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(replace).collect()
}

/// All of stdin.
pub(crate) fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("can't read stdin: {error}")))?;
    Ok(bytes)
}
