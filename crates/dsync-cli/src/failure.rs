//! How a command ends that can't go on: one line and an exit code.

use std::process::ExitCode;

use crate::output;

/// The command's answer is no: something was not delivered, not genuine, not as it should be.
pub(crate) const NO: u8 = 1;
/// The command could not be carried out.
pub(crate) const USAGE: u8 = 2;
/// Ctrl-C: 128 and the signal's number, as shells have it.
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
