//! The options that `simulate` and `emulate` share.

use std::{hash::BuildHasher as _, time::Duration};

use clap::Args;
use dsync_cli::directory::{Order, Plan, Share};

use super::retry::{self, Backoff};
use crate::args;

#[derive(Args)]
#[command(next_help_heading = "The life")]
pub(crate) struct LifeArgs {
    /// The seed: the same number gives the same events in the same order. The default is random and is printed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// The number of events
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) events: u64,

    /// The number of directories
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) directories: u32,

    /// The approximate number of users in all directories
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) users: u32,

    /// The approximate number of groups in all directories
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) groups: u32,
}

#[derive(Args)]
#[command(next_help_heading = "The deliveries")]
pub(crate) struct DeliveryArgs {
    /// The number of concurrent deliveries, each over its own connection. With 1, they arrive in order
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: u16,

    /// The share of events that are delivered twice, such as 0.05 or 5%
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    pub(crate) duplicates: Share,

    /// The largest number of events by which an event is delayed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) reorder: u32,

    /// The share of events that are delayed by up to 1000 events, as late retries are
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    pub(crate) late: Share,

    /// The share of events that are never delivered
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    pub(crate) drop: Share,

    /// Retry deliveries that are not acknowledged with 2xx: up to 6 attempts, over three days times --time-scale
    #[arg(long)]
    pub(crate) retry: bool,

    /// The factor for the pauses between retries: 0.00001 turns three days into 2.6 seconds
    #[arg(long, value_name = "FACTOR", default_value = "0.00001", value_parser = retry::time_scale)]
    pub(crate) time_scale: f64,

    /// Retry with the signature of the first attempt instead of a new one
    #[arg(long, requires = "retry")]
    pub(crate) keep_signature: bool,

    /// How long to wait for a response
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration)]
    pub(crate) timeout: Duration,
}

impl LifeArgs {
    /// The seed, or a random one. A short seed is easier to type.
    pub(crate) fn seed(&self) -> u64 {
        // The keys of std's hash maps come from the operating system's random numbers.
        let random = || std::hash::RandomState::new().hash_one("seed") % 1_000_000;
        self.seed.unwrap_or_else(random)
    }

    pub(crate) fn plan(&self, seed: u64) -> Plan {
        Plan::new(seed)
            .directories(self.directories)
            .users(self.users)
            .groups(self.groups)
            .events(self.events)
    }
}

impl DeliveryArgs {
    pub(crate) fn order(&self, seed: u64) -> Order {
        Order::new(seed)
            .reorder(self.reorder)
            .duplicates(self.duplicates)
            .late(self.late)
            .drop(self.drop)
    }

    /// `None`: failed deliveries are not retried.
    pub(crate) fn backoff(&self, seed: u64) -> Option<Backoff> {
        self.retry.then(|| Backoff::new(seed, self.time_scale))
    }
}
