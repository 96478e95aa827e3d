//! `dsync sign`: signs a body.

use std::process::ExitCode;

use clap::Args;
use tower_workos::{Timestamp, testing::Signer};

use crate::{args, failure::Failure, input::stdin, output::say, secret::SecretArgs};

/// Sign a body from standard input, and print the header
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Sign {
    /// Sign as of this time: RFC 3339, Unix time, or relative to now, such as -10m or +30s
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,

    /// Sign with a time in seconds and without a space, as the WorkOS emulator does
    #[arg(long)]
    seconds: bool,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
The body is signed byte for byte, including a line break at its end. curl -d removes that line break; --data-binary does \
not.

Exit codes:
  0    signed
  2    an invalid option, no secret, or an error while reading standard input

Examples:
  dsync sign < body.json
  curl http://localhost:3000/webhooks/workos -H \"$(dsync sign < body.json)\" --data-binary @body.json";

impl Sign {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut signer = Signer::new(self.secret.webhook_secret()?);
        if let Some(at) = self.at {
            signer = signer.at(at);
        }
        if self.seconds {
            signer = signer.seconds();
        }
        say(format!("workos-signature: {}", signer.sign(stdin()?).signature()));
        Ok(ExitCode::SUCCESS)
    }
}
