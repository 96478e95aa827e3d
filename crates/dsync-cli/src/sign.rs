//! `dsync sign`: the header for a body.

use std::process::ExitCode;

use clap::Args;
use tower_workos::{Timestamp, testing::Signer};

use crate::{
    args,
    failure::Failure,
    output::{say, stdin},
    secret::SecretArgs,
};

/// Sign the body on stdin; prints the header
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Sign {
    /// Signs as of this time: RFC 3339, Unix time, or from now as -10m or +30s
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,

    /// Signs in seconds and without a space, as WorkOS's emulator does
    #[arg(long)]
    seconds: bool,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
The body is signed byte for byte: a line break at its end counts, and curl's -d takes it away (--data-binary does not).

Exit codes:
  0    signed
  2    a bad option, no secret, stdin that can't be read

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
