//! Reads standard input.

use std::io::Read as _;

use crate::failure::Failure;

/// Reads all of standard input.
pub(crate) fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("can't read standard input: {error}")))?;
    Ok(bytes)
}
