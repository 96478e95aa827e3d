//! `dsync tamper`: tests whether an endpoint accepts forgeries or rejects genuine deliveries.

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
use crate::{args, endpoint::Endpoint, failure::Failure, network::Network, secret::SecretArgs};

/// Send forged and malformed deliveries to an endpoint
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Tamper {
    /// The endpoint's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/workos")]
    to: Endpoint,

    /// The endpoint's tolerance; stale deliveries exceed it by one minute
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = args::duration)]
    tolerance: Duration,

    /// How long to send a slow body; 0s skips the slow requests
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = args::duration)]
    slow: Duration,

    /// How long to wait for the response to any other request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration)]
    timeout: Duration,

    /// Send only forged requests, none of which a correct endpoint passes to the application
    #[arg(long)]
    forged_only: bool,

    /// Expect exactly the statuses of tower-workos
    #[arg(long)]
    exact: bool,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
Three kinds of requests are sent, over real connections:
  genuine    deliveries that WorkOS, its emulator, or a later version of either may send. They should be accepted with \
2xx. A rejection is a warning, because it loses events
  malformed  requests that are signed with the secret, but not as WorkOS would: unusual times, two headers, oversized and \
slow bodies, wrong lengths, bodies that are not JSON. They should be rejected (4xx, or a closed connection). Accepting \
one is a warning
  forged     requests from an attacker who does not have the secret, but has seen a delivery: changed bodies, other keys, \
stale and future times, headers that parsers read differently. Accepting one is an error

`expected` shows the status of tower-workos in parentheses. The genuine deliveries reach the application, with new event \
ids and invented people: use an endpoint for tests.

Exit codes:
  0    no forged request was accepted; there may be warnings
  1    a forged request was accepted, or with --exact a response was different
  2    an invalid option, no secret, or no connection; or every genuine delivery was rejected, so that nothing was proven

Examples:
  dsync tamper --to http://localhost:3000/webhooks/workos
  Without the slow requests:
    dsync tamper --slow 0s
  An endpoint with tower-workos, in CI:
    dsync tamper --exact --to http://localhost:3000/webhooks/workos";

/// Makes the cases of a group.
type Cases = fn(&Forge<'_>) -> Vec<Case>;

impl Tamper {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret.read()?;
        if let Err(error) = WebhookSecret::new(secret.text.as_str()) {
            return Err(Failure::usage(format!("{}: {error}", secret.origin)));
        }
        let network = Network::new(self.to.clone()).map_err(Failure::usage)?;
        network.connect().await.map_err(Failure::usage)?;
        // Each group gets a new time, because the groups before it may have taken long.
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
