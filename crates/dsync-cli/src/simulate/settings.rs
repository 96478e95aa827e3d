//! The settings of a simulation.

use std::time::Duration;

use tower_workos::testing::Signer;

use super::retry::Backoff;
use crate::network::Network;

pub(super) struct Settings {
    pub(super) signer: Signer,
    pub(super) network: Network,
    /// Where `--check` fetches the application's state.
    pub(super) check: Option<Network>,
    pub(super) concurrency: u16,
    pub(super) rate: Option<u32>,
    /// `None`: failed deliveries are not retried.
    pub(super) backoff: Option<Backoff>,
    pub(super) keep_signature: bool,
    pub(super) timeout: Duration,
    pub(super) keep_state: bool,
    pub(super) events: u64,
    pub(super) seed: u64,
}
