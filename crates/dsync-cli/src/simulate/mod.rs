//! `dsync simulate`: delivers the events of simulated directories.

mod check;
mod engine;
mod explain;
mod ledger;
mod log;
mod outcome;
mod progress;
mod queue;
mod retry;
mod settings;
mod stats;
mod summary;

use std::{
    fs, hash::BuildHasher as _, io::Write as _, path::PathBuf, process::ExitCode, time::Duration,
};

use clap::Args;
use dsync_cli::directory::{Deliveries, Life, Order, Plan, Share};
use tower_workos::{Timestamp, testing::Signer};

use self::{check::Expected, retry::Backoff, settings::Settings};
use crate::{
    args,
    endpoint::Endpoint,
    failure::{Failure, INTERRUPTED, NO},
    network::Network,
    output::say,
    secret::SecretArgs,
};

/// Deliver the events of simulated directories, with duplicates, reordering and retries
///
/// With --check, the application must be EMPTY before the run: no directories, users or groups, not even those of an
/// earlier run. Everything that it already contains counts as a difference.
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Simulate {
    /// The endpoint's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/workos")]
    to: Endpoint,

    #[command(flatten)]
    life: LifeArgs,

    #[command(flatten)]
    delivery: DeliveryArgs,

    #[command(flatten)]
    end: EndArgs,

    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Args)]
#[command(next_help_heading = "The life")]
struct LifeArgs {
    /// The seed: the same number gives the same events in the same order, byte for byte. The default is random and is
    /// printed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The number of events
    #[arg(long, value_name = "N", default_value_t = 1000)]
    events: u64,

    /// The number of directories
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    directories: u32,

    /// The approximate number of users in all directories
    #[arg(long, value_name = "N", default_value_t = 100)]
    users: u32,

    /// The approximate number of groups in all directories
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    groups: u32,

    /// The time of the first event; a fixed day by default
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    start: Option<Timestamp>,
}

#[derive(Args)]
#[command(next_help_heading = "The deliveries")]
struct DeliveryArgs {
    /// New deliveries per second, not counting retries; by default as many as possible
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// The number of concurrent deliveries, each over its own connection. With 1, they arrive in order
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,

    /// The share of events that are delivered twice, such as 0.05 or 5%
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    duplicates: Share,

    /// The largest number of events by which an event is delayed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    reorder: u32,

    /// The share of events that are delayed by up to 1000 events, as late retries are
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    late: Share,

    /// The share of events that are never delivered
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    drop: Share,

    /// Retry deliveries that are not acknowledged with 2xx: up to 6 attempts, over three days times --time-scale
    #[arg(long)]
    retry: bool,

    /// The factor for the pauses between retries: 0.00001 turns three days into 2.6 seconds
    #[arg(long, value_name = "FACTOR", default_value = "0.00001", value_parser = retry::time_scale)]
    time_scale: f64,

    /// Retry with the signature of the first attempt instead of a new one
    #[arg(long, requires = "retry")]
    keep_signature: bool,

    /// How long to wait for a response
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration)]
    timeout: Duration,

    /// Send nothing; print the bodies in the order of their deliveries, one on each line
    #[arg(long, conflicts_with_all = ["state", "check"])]
    print: bool,
}

#[derive(Args)]
#[command(next_help_heading = "The end")]
struct EndArgs {
    /// Write the expected state of the application to this file, as JSON
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Fetch the state of the application from this URL, as JSON, and print the differences from the expected state. The
    /// application must be empty before the run
    #[arg(long, value_name = "URL")]
    check: Option<Endpoint>,

    /// How long the application may take to process the last deliveries: until then, the state is fetched again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration, requires = "check")]
    settle: Duration,
}

const MANUAL: &str = "\
First, every directory is connected and synced in a burst: the directory, its groups, its users and their memberships. \
After that, users are hired, leave (they are deleted, or deactivated by an update), return, change their name, are \
promoted and change groups; groups are created, renamed and deleted. At least one directory is deleted, which also \
deletes everything in it without further events, and a new one is connected.

The expected state (--state, --check) contains the events that were acknowledged with 2xx. It is an object of lists:
  access       ids of the users who have access: active, in a directory that is not deleted
  directories  id, organization_id, name, type, state, updated_at
  users        id, directory_id, idp_id, email, first_name, last_name, name, state, role, job_title,
               department_name, updated_at
  groups       id, directory_id, idp_id, name, updated_at
  memberships  user_id, group_id
--check compares only the lists and fields that the application returns: {\"access\": [\"directory_user_…\"]} is enough. \
An application that only revokes access, and grants it elsewhere, has no such list: don't use --check with it.

The state is also fetched once before the run, so that a wrong URL fails early. Each difference is followed by the deliveries \
that led to it, in the order in which they were sent: which of them decides, which were late or duplicates, and the \
responses. With --concurrency 1, that is also the order in which they arrived.

Memory does not grow with the number of events, except with --state or --check: then all objects and all deleted ids \
are stored (500 MB for 200,000 users with --state, 700 MB with --check). At most 10,000 deliveries wait for a retry; \
meanwhile, no new ones are sent.

Exit codes:
  0    every event was acknowledged (except with --drop), and --check found no differences
  1    an event was given up after its last attempt, or --check found a difference
  2    an invalid option, no secret, no connection at the start, or nothing to compare: the state of --check can't be \
fetched (no connection, no response in time, or a status other than 2xx) or is not an object of such lists
  130  interrupted by Ctrl-C, which prints the summary; a second Ctrl-C ends the run immediately

Examples:
  A thousand events, in order:
    dsync simulate --concurrency 1
  Many faults, and a check of the application afterwards:
    dsync simulate --duplicates 5% --reorder 50 --late 2% --retry --check http://localhost:3000/debug/state
  The same events again:
    dsync simulate --seed 1234 --duplicates 5% --reorder 50 --late 2% --retry
  A first sync of 50,000 users at 200 events a second:
    dsync simulate --directories 1 --users 50000 --events 150000 --rate 200";

impl Simulate {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        // The keys of std's hash maps come from the operating system's random numbers. A short seed is easier to type.
        let seed = self
            .life
            .seed
            .unwrap_or_else(|| std::hash::RandomState::new().hash_one("seed") % 1_000_000);
        let deliveries =
            Deliveries::new(Life::new(self.life.plan(seed)), self.delivery.order(seed));
        if self.delivery.print {
            return Ok(print(deliveries));
        }
        let settings = Settings {
            signer: Signer::new(self.secret.webhook_secret()?),
            network: Network::new(self.to.clone()).map_err(Failure::usage)?,
            check: self.end.check.clone().map(Network::new).transpose().map_err(Failure::usage)?,
            concurrency: self.delivery.concurrency,
            rate: self.delivery.rate,
            backoff: self.delivery.retry.then(|| Backoff::new(seed, self.delivery.time_scale)),
            keep_signature: self.delivery.keep_signature,
            timeout: self.delivery.timeout,
            keep_state: self.end.state.is_some() || self.end.check.is_some(),
            events: self.life.events,
            seed,
        };
        // Create the file first, so that an error does not waste a whole run.
        let file = self.end.state.as_ref().map(|path| {
            fs::File::create(path)
                .map_err(|error| Failure::usage(format!("can't write {}: {error}", path.display())))
        });
        let file = file.transpose()?;
        settings.network.connect().await.map_err(Failure::usage)?;
        if let Some(network) = &settings.check {
            check::prepare(network, self.delivery.timeout).await?;
        }

        let outcome = engine::run(&settings, deliveries).await;
        summary::say_all(&settings, &outcome);
        let mut code = ExitCode::from(if outcome.is_complete() { 0 } else { NO });
        if let Some(state) = &outcome.state {
            let snapshot = state.snapshot();
            if let (Some(mut file), Some(path)) = (file, &self.end.state) {
                let mut out = std::io::BufWriter::new(&mut file);
                let written = serde_json::to_writer_pretty(&mut out, &snapshot)
                    .map_err(std::io::Error::from)
                    .and_then(|()| out.write_all(b"\n"))
                    .and_then(|()| out.flush());
                written.map_err(|error| {
                    Failure::usage(format!("can't write {}: {error}", path.display()))
                })?;
                say(format!("state         written to {}", path.display()));
            }
            if let (Some(network), Some(log)) = (&settings.check, &outcome.log) {
                let expected = Expected { snapshot: &snapshot, plan: self.life.plan(seed), log };
                let timeout = self.delivery.timeout;
                if !check::check(network, &expected, self.end.settle, timeout).await? {
                    code = ExitCode::from(NO);
                }
            }
        }
        Ok(if outcome.interrupted { ExitCode::from(INTERRUPTED) } else { code })
    }
}

impl LifeArgs {
    fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::new(seed)
            .directories(self.directories)
            .users(self.users)
            .groups(self.groups)
            .events(self.events);
        self.start.map_or(plan, |start| plan.start(start))
    }
}

impl DeliveryArgs {
    fn order(&self, seed: u64) -> Order {
        Order::new(seed)
            .reorder(self.reorder)
            .duplicates(self.duplicates)
            .late(self.late)
            .drop(self.drop)
    }
}

fn print(deliveries: Deliveries<Life>) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for delivery in deliveries {
        // A closed pipe, for example after `head` exits, is not an error.
        if out.write_all(delivery.event().body()).and_then(|()| out.write_all(b"\n")).is_err() {
            break;
        }
    }
    let _ = out.flush();
    ExitCode::SUCCESS
}
