//! `dsync simulate`: a directory's life, delivered as WorkOS delivers it.

mod check;
mod engine;
mod explain;
mod ledger;
mod log;
mod progress;
mod queue;
mod retry;
mod stats;
mod summary;

use std::{
    fs, hash::BuildHasher as _, io::Write as _, path::PathBuf, process::ExitCode, time::Duration,
};

use clap::Args;
use dsync_cli::directory::{Deliveries, Life, Order, Plan, Share};
use tower_workos::{Timestamp, testing::Signer};

use self::{check::Expected, engine::Settings, retry::Backoff};
use crate::{
    args,
    endpoint::Endpoint,
    failure::{Failure, INTERRUPTED, NO},
    net::Network,
    output::say,
    secret::SecretArgs,
};

/// Deliver a directory's life as WorkOS does: duplicates, disorder, retries and all
///
/// With --check, the application must be EMPTY before the run: no directories, users or groups, also none of an earlier
/// run. What it holds already will be a difference.
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
    /// What happens: the same number is the same life and order of deliveries, to the byte. By default made up and
    /// printed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How many events happen
    #[arg(long, value_name = "N", default_value_t = 1000)]
    events: u64,

    /// How many directories there are
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    directories: u32,

    /// About how many users there are, in all directories together
    #[arg(long, value_name = "N", default_value_t = 100)]
    users: u32,

    /// About how many groups there are, in all directories together
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    groups: u32,

    /// When the life begins; a fixed day by default
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    start: Option<Timestamp>,
}

#[derive(Args)]
#[command(next_help_heading = "The deliveries")]
struct DeliveryArgs {
    /// New deliveries a second; as fast as possible by default. Retries come on top
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Deliveries under way at once, each on a connection of its own. With 1, they arrive in order
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,

    /// The share of events that is delivered twice, as 0.05 or 5%
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    duplicates: Share,

    /// By how many events an event may arrive later than it happened
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    reorder: u32,

    /// The share of events that arrives up to 1000 events late, as an old retry after newer events does
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    late: Share,

    /// The share of events that is never delivered
    #[arg(long, value_name = "SHARE", default_value_t = Share::NONE)]
    drop: Share,

    /// Delivers again what is not answered 2xx in time: 6 attempts in all, over three days times --time-scale
    #[arg(long)]
    retry: bool,

    /// How fast the time between retries passes: 0.00001 makes 2.6 seconds of three days
    #[arg(long, value_name = "FACTOR", default_value = "0.00001", value_parser = retry::time_scale)]
    time_scale: f64,

    /// Retries carry the first attempt's signature, instead of a new one
    #[arg(long, requires = "retry")]
    keep_signature: bool,

    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration)]
    timeout: Duration,

    /// Sends nothing; prints the bodies in the order of their deliveries, a line each
    #[arg(long, conflicts_with_all = ["state", "check"])]
    print: bool,
}

#[derive(Args)]
#[command(next_help_heading = "The end")]
struct EndArgs {
    /// Writes the state that a correct application must now hold, as JSON
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Fetches the application's own state from there, as JSON, and shows the difference. It must be empty before the run
    #[arg(long, value_name = "URL")]
    check: Option<Endpoint>,

    /// How long a difference may be work that is not yet done: until then, the state is fetched again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration, requires = "check")]
    settle: Duration,
}

const MANUAL: &str = "\
First every directory is connected and synced, in a burst: the directory, its groups, its users, who is in which \
group. Then people are hired, leave (deleted, or deactivated by an update), return, marry, are promoted and move \
between groups; groups come, are renamed and go; at least one directory is deleted, with all that is in it and without \
further events, and another one is connected.

The state at the end (--state, --check) is that of the events that were acknowledged with 2xx. It is an object of \
lists:
  access       ids of the users who have access: active, in a directory that is not deleted
  directories  id, organization_id, name, type, state, updated_at
  users        id, directory_id, idp_id, email, first_name, last_name, name, state, role, job_title,
               department_name, updated_at
  groups       id, directory_id, idp_id, name, updated_at
  memberships  user_id, group_id
--check compares what the application's answer has of this, lists and fields; {\"access\": [\"directory_user_…\"]} alone \
is fine. It is fetched once before anything is sent, so that a wrong URL is found at once. Below each difference are \
the deliveries behind it, in the order in which they were sent: which one decides, which came late or again, and how \
they were answered. With --concurrency 1 that is also the order in which they arrived.

Memory does not grow with the number of events. With --state or --check it does: every object there is and every id \
that was deleted are remembered (500 MB for 200 000 users with --state, 700 MB with --check). At most 10 000 deliveries wait for a retry; while they \
do, no new ones are sent.

Exit codes:
  0    every event was acknowledged (but for --drop), and --check found no difference
  1    an event was given up, or --check found a difference
  2    a bad option, no secret, no connection to begin with; or nothing could be compared, because the state of --check \
can't be fetched (no connection, no answer in time, a status other than 2xx such as 404) or is not an object of such lists
  130  interrupted by Ctrl-C, which ends with the summary of what was done; a second one ends at once

Examples:
  A thousand events, in order:
    dsync simulate --concurrency 1
  A bad day, and is the application right after it?
    dsync simulate --duplicates 5% --reorder 50 --late 2% --retry --check http://localhost:3000/debug/state
  The same day again:
    dsync simulate --seed 1234 --duplicates 5% --reorder 50 --late 2% --retry
  A first sync of 50 000 people at 200 a second:
    dsync simulate --directories 1 --users 50000 --events 150000 --rate 200";

impl Simulate {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        // The keys of std's hash maps are the operating system's random numbers. A short one is easier to type.
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
        // A file that can't be written should not be found out at the end.
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
        // The reader has seen enough, as `head` has.
        if out.write_all(delivery.event().body()).and_then(|()| out.write_all(b"\n")).is_err() {
            break;
        }
    }
    let _ = out.flush();
    ExitCode::SUCCESS
}
