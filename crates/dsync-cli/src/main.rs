//! The `dsync` command.

mod args;
mod client;
mod emulate;
mod endpoint;
mod failure;
mod ids;
mod input;
mod json;
mod network;
mod output;
mod secret;
mod sign;
mod simulate;
mod tamper;
mod trigger;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Test webhooks of WorkOS Directory Sync.
///
/// Sends signed webhook deliveries to an endpoint, both genuine and forged, explains what is wrong with a signature, and
/// serves the API of a simulated WorkOS. It works with any endpoint, in any language.
#[derive(Parser)]
#[command(name = "dsync", version, max_term_width = 100, after_long_help = MANUAL)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const MANUAL: &str = "\
The secret is the secret of your endpoint, from the WorkOS dashboard or invented for a test. It is read from the \
environment variable WORKOS_WEBHOOK_SECRET or from --secret-file. It is never printed.

Exit codes:
  0    success: every delivery was acknowledged with 2xx, or every check passed
  1    a delivery was rejected or a check failed; see the --help of each command
  2    the command could not run: an invalid option, no secret, or a file that can't be read
  130  interrupted

Examples:
  export WORKOS_WEBHOOK_SECRET=whsec_of_my_test_endpoint
  dsync trigger user.created --to http://localhost:3000/webhooks/workos
  dsync sign < body.json";

#[derive(Subcommand)]
enum Command {
    Trigger(Box<trigger::Trigger>),
    Simulate(Box<simulate::Simulate>),
    Emulate(Box<emulate::Emulate>),
    Tamper(tamper::Tamper),
    Sign(sign::Sign),
    Verify(verify::Verify),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return args::explain(&error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::usage(format!("can't start: {error}")).report(),
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Trigger(command) => command.run().await,
            Command::Simulate(command) => command.run().await,
            Command::Emulate(command) => command.run().await,
            Command::Tamper(command) => command.run().await,
            Command::Sign(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    });
    outcome.unwrap_or_else(|failure| failure.report())
}
