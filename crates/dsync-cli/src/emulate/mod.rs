//! `dsync emulate`: emulates WorkOS Directory Sync, with webhooks and the API.

mod api;
mod live;

use std::{cell::RefCell, path::PathBuf, process::ExitCode, rc::Rc, time::Duration};

use clap::Args;
use dsync_cli::directory::{Event, Life, Schedule, Share, Snapshot};
use dsync_emulator::Emulator;
use indicatif::HumanCount;
use tokio::sync::Notify;
use tower_workos::{WebhookSecret, testing::Signer};

use self::{
    api::{ApiArgs, FaultArgs},
    live::Live,
};
use crate::{
    args,
    endpoint::Endpoint,
    failure::{Failure, INTERRUPTED, NO},
    network::Network,
    output::{complain, say},
    secret::SecretArgs,
    simulate::{
        DeliveryArgs, LifeArgs, Settings, Source, StateFile,
        check::{self, Expected},
        engine::{self, interrupt},
        outcome::Outcome,
        summary,
    },
};

/// Serve the API of a simulated WorkOS, and deliver its webhooks
///
/// Simulates a few directories in real time. Each event is delivered to your endpoint as a webhook, with the faults that you
/// choose, and the API shows the world as it is at that moment. The base URL and the key are printed as commands for your shell.
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Emulate {
    /// The endpoint's URL. The simulation begins when it accepts connections; with --drop 100%, immediately
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/workos")]
    to: Endpoint,

    #[command(flatten)]
    api: ApiArgs,

    #[command(flatten)]
    life: LifeArgs,

    #[command(flatten)]
    speed: SpeedArgs,

    #[command(flatten)]
    delivery: DeliveryArgs,

    #[command(flatten)]
    faults: FaultArgs,

    #[command(flatten)]
    end: EndArgs,

    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Args)]
#[command(next_help_heading = "The life")]
struct SpeedArgs {
    /// Events per second. Each is dated when it happens, and no two happen in the same millisecond
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
}

#[derive(Args)]
#[command(next_help_heading = "The end")]
struct EndArgs {
    /// Write the state of the directories after the last event to this file, as JSON
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// After the last event, fetch the state of the application from this URL, as JSON, until it equals the state of the
    /// directories, then end. The application must be empty before the run
    #[arg(long, value_name = "URL")]
    check: Option<Endpoint>,

    /// How long the application may take, after the last event, to reach the state of the directories
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = args::duration, requires = "check")]
    settle: Duration,
}

const MANUAL: &str = "\
The API has /directories, /directory_users, /directory_groups, each with /{id}, and /events, with the documented parameters. \
Requests need the key as a bearer token. `groups` in a user is empty, as WorkOS does for new teams, except with \
--legacy-groups. Everything follows one clock, that of this machine: created_at, updated_at, the signatures and the \
header Date.

Lost webhooks (--drop, or an application that is stopped) are missing from the application until it reads them from the \
API. With --check, the run ends when the application has the whole state, including what was never delivered; until then, \
the application may be stopped and started again. Without --check, the API stays available after the last event, until \
Ctrl-C. `dsync simulate --help` describes the state.

A share is a number such as 0.05 or 5%.

Exit codes:
  0    with --check: the application has the whole state; otherwise: every event that was sent was acknowledged
  1    with --check: there is a difference, even after --settle; otherwise: an event was given up after its last attempt
  2    an invalid option, no secret, an address of --listen that can't be used, or a state of --check that can't be \
fetched or has another format than `dsync simulate --help` describes
  130  interrupted by Ctrl-C before the last event, or during --check

Examples:
  The API only, without webhooks:
    dsync emulate --drop 100%
  An application that loses a third of the webhooks, and must repair itself:
    export WORKOS_API_BASE=http://127.0.0.1:8090 WORKOS_API_KEY=sk_test_1
    dsync emulate --drop 30% --reorder 50 --retry --check http://localhost:3000/debug/state
  An API with many faults:
    dsync emulate --rate-limits --errors 5% --broken 2% --short-pages 10% --odd-items 5% --replica-lag 10s
  A provider that suddenly shows half of its users:
    dsync emulate --visible-users 50% --faults-after 800";

impl Emulate {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let seed = self.life.seed();
        // Without webhooks, nothing is signed.
        let secret = match self.sends_webhooks() {
            true => self.secret.webhook_secret()?,
            false => {
                WebhookSecret::new("unused").map_err(|error| Failure::usage(error.to_string()))?
            }
        };
        let settings = Settings {
            signer: Signer::new(secret),
            network: Network::new(self.to.clone()).map_err(Failure::usage)?,
            check: self.end.check.clone().map(Network::new).transpose().map_err(Failure::usage)?,
            concurrency: self.delivery.concurrency,
            backoff: self.delivery.backoff(seed),
            keep_signature: self.delivery.keep_signature,
            timeout: self.delivery.timeout,
            // The state is that of the emulator.
            keep_state: false,
            events: self.life.events,
            seed,
        };
        let file = self.end.state.as_deref().map(StateFile::create).transpose()?;
        let (builder, made_up) = self.api.emulator(seed, &self.faults)?;
        let emulator = builder.start().await.map_err(|error| {
            Failure::usage(format!("can't listen at {}: {error}", self.api.listen()))
        })?;
        say(format!("export WORKOS_API_BASE={}", emulator.url()));
        if let Some(key) = made_up {
            say(format!("export WORKOS_API_KEY={key}"));
        }
        let began = tokio::select! {
            ready = self.prepare(&settings) => ready.map(|()| true),
            () = interrupt() => Ok(false),
        };
        if !began? {
            return Ok(ExitCode::from(INTERRUPTED));
        }

        let events = RefCell::new(Vec::new());
        let outcome = self.live(&settings, &emulator, &events).await;
        summary::say_all(&settings, &outcome);
        let truth = emulator.snapshot();
        if let Some(file) = file {
            file.write(&truth)?;
        }
        let events = events.into_inner();
        let code = match &settings.check {
            _ if outcome.interrupted => Ok(ExitCode::from(INTERRUPTED)),
            Some(network) => self.check(network, &outcome, &truth, &events).await,
            None => {
                complain("the API stays available until Ctrl-C");
                interrupt().await;
                Ok(ExitCode::from(if outcome.is_complete() { 0 } else { NO }))
            }
        };
        say_requests(&emulator);
        code
    }

    fn sends_webhooks(&self) -> bool {
        self.delivery.drop != Share::ALL
    }

    /// Waits for the application.
    async fn prepare(&self, settings: &Settings) -> Result<(), Failure> {
        if self.sends_webhooks() {
            let on_wait = || complain(format!("waiting for your application at {}", self.to));
            settings.network.wait(on_wait).await.map_err(Failure::usage)?;
        }
        match &settings.check {
            Some(network) => check::prepare(network, self.delivery.timeout).await,
            None => Ok(()),
        }
    }

    async fn live(
        &self,
        settings: &Settings,
        emulator: &Emulator,
        events: &RefCell<Vec<Event>>,
    ) -> Outcome {
        let schedule = Schedule::new(self.delivery.order(settings.seed));
        let schedule = Rc::new(RefCell::new(schedule));
        let changed = Rc::new(Notify::new());
        let live = Live {
            life: Life::new(self.life.plan(settings.seed)),
            rate: self.speed.rate,
            emulator,
            schedule: Rc::clone(&schedule),
            changed: Rc::clone(&changed),
            faults: (self.faults.begin(), self.faults.faults()),
            events,
        };
        engine::run(settings, Source::Live(schedule), changed, live.run()).await
    }

    async fn check(
        &self,
        network: &Network,
        outcome: &Outcome,
        truth: &Snapshot,
        events: &[Event],
    ) -> Result<ExitCode, Failure> {
        let Some(log) = &outcome.log else { return Ok(ExitCode::SUCCESS) };
        complain(format!("waiting until the state at {} is as expected", network.endpoint()));
        let numbered = || events.iter().map(|event| (event.sequence(), event.body().clone()));
        let expected =
            Expected { snapshot: truth, events: &|| Box::new(numbered()), log, is_all: true };
        tokio::select! {
            right = check::check(network, &expected, self.end.settle, self.delivery.timeout) => {
                Ok(ExitCode::from(if right? { 0 } else { NO }))
            }
            () = interrupt() => Ok(ExitCode::from(INTERRUPTED)),
        }
    }
}

fn say_requests(emulator: &Emulator) {
    let requests = emulator.requests();
    let statuses: Vec<_> = requests
        .by_status
        .iter()
        .map(|(status, &count)| format!("{status}: {}", HumanCount(count)))
        .collect();
    let unanswered = match requests.unanswered {
        0 => String::new(),
        count => format!(", unanswered: {}", HumanCount(count)),
    };
    say(format!(
        "API requests  {} ({}{unanswered}), at most {} in one second",
        HumanCount(requests.total),
        statuses.join(", "),
        HumanCount(requests.peak)
    ));
}
