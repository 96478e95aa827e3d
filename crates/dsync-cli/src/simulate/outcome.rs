//! The result of a simulation.

use std::time::Duration;

use dsync_cli::directory::State;

use super::{log::Log, stats::Stats};

pub(crate) struct Outcome {
    pub(crate) stats: Stats,
    pub(crate) state: Option<State>,
    pub(crate) log: Option<Log>,
    pub(crate) acknowledged: u64,
    pub(crate) given_up: u64,
    /// The part of `given_up` that the application may have handled.
    pub(crate) uncertain: u64,
    /// Events that were not finished when the simulation was interrupted.
    pub(crate) open: u64,
    pub(crate) dropped: u64,
    pub(crate) elapsed: Duration,
    pub(crate) interrupted: bool,
}

impl Outcome {
    pub(crate) fn is_complete(&self) -> bool {
        self.given_up == 0 && self.open == 0
    }
}
