//! `dsync tamper`: does the endpoint let forgeries in, or keep genuine deliveries out?

mod cases;
mod forged;
mod genuine;
mod malformed;
mod report;
mod request;
mod wire;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use tokio::task::JoinSet;
use tower_workos::{Timestamp, WebhookSecret};

use self::{
    cases::{Case, Forge},
    report::Report,
    wire::exchange,
};
use crate::{args, endpoint::Endpoint, failure::Failure, net::Network, secret::SecretArgs};

/// Try every forgery and malformation against an endpoint
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Tamper {
    /// The endpoint's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/workos")]
    to: Endpoint,

    /// The endpoint's tolerance: stale is a minute more than that
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = args::duration)]
    tolerance: Duration,

    /// How long to trickle a body in; 0s leaves the slow ones out
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = args::duration)]
    slow: Duration,

    /// How long to wait for an answer to the others
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration)]
    timeout: Duration,

    /// Sends the forged ones only: nothing that a right endpoint would hand to the application
    #[arg(long)]
    forged_only: bool,

    /// Expects the very statuses of tower-workos
    #[arg(long)]
    exact: bool,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
Three kinds of requests are sent, over real connections:
  genuine    what WorkOS, its emulator, or a later version of either sends. Should be answered 2xx; a rejection is a
             warning, for it loses events
  malformed  signed with the secret, but not as WorkOS does: odd times, two headers, oversized and slow bodies, wrong
             lengths, no JSON. Should be rejected (4xx, or the connection closed); to accept one is a warning
  forged     what somebody can send who does not have the secret, but has seen a delivery: changed bodies, other keys,
             stale and future times, headers that parsers disagree on. To accept one is what this command is for

`should` is what ought to come back, with the status of tower-workos in brackets. The genuine ones reach the \
application, with new event ids and invented people: use an endpoint for tests.

Exit codes:
  0    nothing forged was accepted; there may be warnings
  1    something forged was accepted, or with --exact something else came back
  2    a bad option, no secret, no connection; or every genuine delivery was rejected, so that nothing was proven

Examples:
  dsync tamper --to http://localhost:3000/webhooks/workos
  In a hurry:
    dsync tamper --slow 0s
  An endpoint of tower-workos, in CI:
    dsync tamper --exact --to http://localhost:3000/webhooks/workos";

/// Makes a group of cases.
type Cases = fn(&Forge<'_>) -> Vec<Case>;

impl Tamper {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret.read()?;
        if let Err(error) = WebhookSecret::new(secret.text.as_str()) {
            return Err(Failure::usage(format!("{}: {error}", secret.origin)));
        }
        let network = Network::new(self.to.clone()).map_err(Failure::usage)?;
        network.connect().await.map_err(Failure::usage)?;
        // The time of each case is its own: some of those before may have taken long.
        let forge = || Forge {
            secret: secret.text.as_bytes(),
            now: Timestamp::from(std::time::SystemTime::now()).as_unix_millis(),
            tolerance: self.tolerance,
        };

        let mut slow = JoinSet::new();
        if !self.slow.is_zero() && !self.forged_only {
            for case in malformed::slow_cases(&forge()) {
                let (network, patience) = (network.clone(), self.slow);
                slow.spawn(async move {
                    let reply = exchange(&network, &case.request, patience).await;
                    (case, reply)
                });
            }
        }
        let mut report = Report::new(self.exact);
        let groups: [(&str, Cases); 3] = [
            ("genuine", genuine::cases),
            ("malformed", malformed::cases),
            ("forged", forged::cases),
        ];
        for (group, cases) in groups {
            if self.forged_only && group != "forged" {
                continue;
            }
            report.group(group);
            for case in cases(&forge()) {
                let reply = exchange(&network, &case.request, self.timeout).await;
                report.row(&case, reply.map_err(Failure::usage)?);
            }
        }
        if !slow.is_empty() {
            report.group("malformed, and slow");
            while let Some(done) = slow.join_next().await {
                let (case, reply) = done.map_err(|error| Failure::usage(error.to_string()))?;
                report.row(&case, reply.map_err(Failure::usage)?);
            }
        }
        Ok(report.end())
    }
}
