//! `dsync simulate`: delivers the events of simulated directories.

pub(crate) mod check;
pub(crate) mod engine;
mod explain;
mod feed;
mod ledger;
mod log;
mod options;
pub(crate) mod outcome;
mod progress;
mod queue;
mod retry;
mod settings;
mod state_file;
mod stats;
pub(crate) mod summary;

use std::{io::Write as _, path::PathBuf, process::ExitCode, rc::Rc, time::Duration};

use clap::Args;
use dsync_cli::directory::{Deliveries, Life};
use tower_workos::{Timestamp, testing::Signer};

use self::check::Expected;
pub(crate) use self::{
    feed::Source,
    options::{DeliveryArgs, LifeArgs},
    settings::Settings,
    state_file::StateFile,
};
use crate::{
    args,
    endpoint::Endpoint,
    failure::{Failure, INTERRUPTED, NO},
    network::Network,
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
    start: StartArgs,

    #[command(flatten)]
    delivery: DeliveryArgs,

    #[command(flatten)]
    send: SendArgs,

    #[command(flatten)]
    end: EndArgs,

    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Args)]
#[command(next_help_heading = "The life")]
struct StartArgs {
    /// The time of the first event; a fixed day by default
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    start: Option<Timestamp>,
}

#[derive(Args)]
#[command(next_help_heading = "The deliveries")]
struct SendArgs {
    /// New deliveries per second, not counting retries; by default as many as possible
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

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
        let seed = self.life.seed();
        let plan = self.life.plan(seed);
        let plan = self.start.start.map_or(plan, |start| plan.start(start));
        let deliveries = Deliveries::new(Life::new(plan), self.delivery.order(seed));
        if self.send.print {
            return Ok(print(deliveries));
        }
        let settings = Settings {
            signer: Signer::new(self.secret.webhook_secret()?),
            network: Network::new(self.to.clone()).map_err(Failure::usage)?,
            check: self.end.check.clone().map(Network::new).transpose().map_err(Failure::usage)?,
            concurrency: self.delivery.concurrency,
            backoff: self.delivery.backoff(seed),
            keep_signature: self.delivery.keep_signature,
            timeout: self.delivery.timeout,
            keep_state: self.end.state.is_some() || self.end.check.is_some(),
            events: self.life.events,
            seed,
        };
        // Create the file first, so that an error does not waste a whole run.
        let file = self.end.state.as_deref().map(StateFile::create).transpose()?;
        settings.network.connect().await.map_err(Failure::usage)?;
        if let Some(network) = &settings.check {
            check::prepare(network, self.delivery.timeout).await?;
        }

        let outcome = engine::run(
            &settings,
            Source::simulated(deliveries, self.send.rate),
            Rc::default(),
            std::future::ready(()),
        )
        .await;
        summary::say_all(&settings, &outcome);
        let mut code = ExitCode::from(if outcome.is_complete() { 0 } else { NO });
        if let Some(state) = &outcome.state {
            let snapshot = state.snapshot();
            if let Some(file) = file {
                file.write(&snapshot)?;
            }
            if let (Some(network), Some(log)) = (&settings.check, &outcome.log) {
                let events =
                    || Life::new(plan).map(|event| (event.sequence(), event.body().clone()));
                let expected = Expected {
                    snapshot: &snapshot,
                    events: &|| Box::new(events()),
                    log,
                    is_all: false,
                };
                let timeout = self.delivery.timeout;
                if !check::check(network, &expected, self.end.settle, timeout).await? {
                    code = ExitCode::from(NO);
                }
            }
        }
        Ok(if outcome.interrupted { ExitCode::from(INTERRUPTED) } else { code })
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
