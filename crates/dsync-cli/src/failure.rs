//! Errors that end a command: one line and an exit code.

use std::process::ExitCode;

use crate::output;

/// The command ran, and its result is negative: for example, a delivery was rejected or a signature is not genuine.
pub(crate) const NO: u8 = 1;
/// The command could not run.
pub(crate) const USAGE: u8 = 2;
/// Ctrl-C. Shells use 128 plus the signal's number.
pub(crate) const INTERRUPTED: u8 = 130;

#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: NO }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }

    pub(crate) fn report(&self) -> ExitCode {
        output::complain(format!("error: {}", self.message));
        ExitCode::from(self.code)
    }
}
