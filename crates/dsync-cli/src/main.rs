//! The `dsync` command.

mod args;
mod client;
mod endpoint;
mod failure;
mod ids;
mod json;
mod net;
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

/// WorkOS Directory Sync at your fingertips.
///
/// Sends signed webhook deliveries to an endpoint, as WorkOS does and as attackers do, and tells what is wrong with a
/// signature. It works on any endpoint, in any language.
#[derive(Parser)]
#[command(name = "dsync", version, max_term_width = 100, after_long_help = MANUAL)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const MANUAL: &str = "\
The secret is the endpoint's, from the WorkOS dashboard or made up for a test. It is taken from the environment \
variable WORKOS_WEBHOOK_SECRET, or from --secret-file. It is never printed.

Exit codes:
  0    all is well: what was sent was answered 2xx, what was checked is right
  1    it is not: see each command's --help
  2    the command could not be carried out: a bad option, no secret, a file that can't be read
  130  interrupted

Examples:
  export WORKOS_WEBHOOK_SECRET=whsec_of_my_test_endpoint
  dsync trigger user.created --to http://localhost:3000/webhooks/workos
  dsync sign < body.json";

#[derive(Subcommand)]
enum Command {
    Trigger(Box<trigger::Trigger>),
    Simulate(Box<simulate::Simulate>),
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
            Command::Tamper(command) => command.run().await,
            Command::Sign(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    });
    outcome.unwrap_or_else(|failure| failure.report())
}
