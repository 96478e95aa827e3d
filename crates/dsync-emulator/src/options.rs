//! The settings of an emulator.

use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) api_key: String,
    pub(crate) withhold: Duration,
    pub(crate) legacy_groups: bool,
}
