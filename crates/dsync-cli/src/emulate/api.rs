//! The options of the API and its faults.

use std::{env, time::Duration};

use clap::{Args, ValueEnum};
use dsync_cli::directory::Share;
use dsync_emulator::{Emulator, EmulatorBuilder, Faults, ListKind, RateLimits};
use tower_workos::Timestamp;

use crate::{args, failure::Failure, ids::fresh_id};

const VARIABLE: &str = "WORKOS_API_KEY";

#[derive(Args)]
#[command(next_help_heading = "The API")]
pub(super) struct ApiArgs {
    /// The address of the API; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: String,

    /// The key that requests must have, or the environment variable WORKOS_API_KEY; by default a random one, which is
    /// printed. Don't use a real key
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, value_parser = key)]
    api_key: Option<String>,

    /// How long a new event is missing from ascending reads of /events
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = args::duration)]
    withhold: Duration,

    /// How long /events keeps an event
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = args::duration)]
    retention: Duration,

    /// Show the groups in each user, as for WorkOS teams created before May 2026
    #[arg(long)]
    legacy_groups: bool,
}

#[derive(Args)]
#[command(next_help_heading = "The faults of the API")]
pub(super) struct FaultArgs {
    /// Half of the requests, at random, see the world as it was this long ago
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = args::duration)]
    replica_lag: Duration,

    /// Respond with 429 above the documented rates: 4 requests a second for the users of each directory, and 6000 a minute
    #[arg(long)]
    rate_limits: bool,

    /// The share of requests that get 429, whatever the rate
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    throttle: Share,

    /// Send this `Retry-After` with each 429
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    retry_after: Option<Duration>,

    /// The share of requests that get 500, 502, 503 or 504
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    errors: Share,

    /// The share of responses that are slow
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    slow: Share,

    /// The delay of slow responses
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = args::duration, requires = "slow")]
    slow_by: Duration,

    /// The share of responses that break off, are not JSON, or never come because the connection is closed
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    broken: Share,

    /// The share of pages with fewer items than requested, although more follow
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    short_pages: Share,

    /// The share of pages that name themselves as the next page
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    repeat_cursors: Share,

    /// The share of items with missing, null, odd or new fields that matter little
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    odd_items: Share,

    /// The share of items with a null field that matters, such as `email`
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    null_fields: Share,

    /// The share of directories and users with an unknown `state` or `type`
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    unknown_values: Share,

    /// The share of items without a readable id
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    missing_ids: Share,

    /// The share of users whom the provider shows, such as 50%; the others are missing from lists, and requests for them get
    /// 404
    #[arg(long, value_name = "SHARE", default_value_t = Share::ALL)]
    visible_users: Share,

    /// The list whose page --failing-page always gets 500
    #[arg(long, value_name = "LIST", requires = "failing_page")]
    failing_list: Option<List>,

    /// The page of --failing-list that always gets 500, from 1
    #[arg(long, value_name = "N", requires = "failing_list", value_parser = clap::value_parser!(u32).range(1..))]
    failing_page: Option<u32>,

    /// Begin with the faults, except --replica-lag, after this many events
    #[arg(long, value_name = "N", default_value_t = 0)]
    faults_after: u64,
}

/// A list of the API.
#[derive(Clone, Copy, ValueEnum)]
enum List {
    Directories,
    Events,
    Groups,
    Users,
}

impl ApiArgs {
    /// The settings of the emulator, and the key if it is a random one, which must be shown.
    pub(super) fn emulator(
        &self,
        seed: u64,
        faults: &FaultArgs,
    ) -> Result<(EmulatorBuilder, Option<String>), Failure> {
        let (api_key, made_up) = match self.key()? {
            Some(key) => (key, None),
            None => {
                let key = format!("sk_test_{}", fresh_id(Timestamp::now().as_unix_millis()));
                (key.clone(), Some(key))
            }
        };
        let builder = Emulator::builder()
            .listen(&self.listen)
            .api_key(api_key)
            .withhold(self.withhold)
            .retention(self.retention)
            .legacy_groups(self.legacy_groups)
            .replica_lag(faults.replica_lag)
            .seed(seed);
        Ok((builder, made_up))
    }

    pub(super) fn listen(&self) -> &str {
        &self.listen
    }

    fn key(&self) -> Result<Option<String>, Failure> {
        if self.api_key.is_some() {
            return Ok(self.api_key.clone());
        }
        match env::var(VARIABLE) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => {
                let key = key(&text);
                key.map(Some).map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))
            }
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(Failure::usage(format!("{VARIABLE} is not valid UTF-8")))
            }
        }
    }
}

impl FaultArgs {
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::new()
            .throttle(self.throttle)
            .errors(self.errors)
            .slow(self.slow, self.slow_by)
            .broken(self.broken)
            .short_pages(self.short_pages)
            .visible_users(self.visible_users)
            .repeat_cursors(self.repeat_cursors)
            .odd_items(self.odd_items)
            .null_fields(self.null_fields)
            .unknown_values(self.unknown_values)
            .missing_ids(self.missing_ids);
        if self.rate_limits {
            faults = faults.rate_limits(RateLimits::DOCUMENTED);
        }
        if let Some(pause) = self.retry_after {
            faults = faults.retry_after(pause);
        }
        if let (Some(list), Some(number)) = (self.failing_list, self.failing_page) {
            faults = faults.failing_page(list.kind(), number);
        }
        faults
    }

    /// After how many events the faults begin.
    pub(super) fn begin(&self) -> u64 {
        self.faults_after
    }
}

impl List {
    fn kind(self) -> ListKind {
        match self {
            Self::Directories => ListKind::Directories,
            Self::Events => ListKind::Events,
            Self::Groups => ListKind::Groups,
            Self::Users => ListKind::Users,
        }
    }
}

/// Checks that a key can be sent as a bearer token. The error does not repeat it.
fn key(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("the key must be printable ASCII without spaces, such as sk_test_1".to_owned())
    }
}
