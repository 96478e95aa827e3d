//! The settings of a simulation.

use std::time::Duration;

use tower_workos::testing::Signer;

use super::retry::Backoff;
use crate::network::Network;

pub(crate) struct Settings {
    pub(crate) signer: Signer,
    pub(crate) network: Network,
    /// Where `--check` fetches the application's state.
    pub(crate) check: Option<Network>,
    pub(crate) concurrency: u16,
    /// `None`: failed deliveries are not retried.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) keep_signature: bool,
    pub(crate) timeout: Duration,
    pub(crate) keep_state: bool,
    pub(crate) events: u64,
    pub(crate) seed: u64,
}
