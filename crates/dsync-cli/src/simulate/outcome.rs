//! The result of a simulation.

use std::time::Duration;

use dsync_cli::directory::State;

use super::{log::Log, stats::Stats};

pub(super) struct Outcome {
    pub(super) stats: Stats,
    pub(super) state: Option<State>,
    pub(super) log: Option<Log>,
    pub(super) acknowledged: u64,
    pub(super) given_up: u64,
    /// The part of `given_up` that the application may have handled.
    pub(super) uncertain: u64,
    /// Events that were not finished when the simulation was interrupted.
    pub(super) open: u64,
    pub(super) dropped: u64,
    pub(super) elapsed: Duration,
    pub(super) interrupted: bool,
}

impl Outcome {
    pub(super) fn is_complete(&self) -> bool {
        self.given_up == 0 && self.open == 0
    }
}
