//! Reads the secret.

use std::{env, fs, path::PathBuf};

use clap::Args;
use tower_workos::WebhookSecret;
use zeroize::Zeroizing;

use crate::{failure::Failure, output};

const VARIABLE: &str = "WORKOS_WEBHOOK_SECRET";

#[derive(Args)]
#[command(next_help_heading = "Secret (or the environment variable WORKOS_WEBHOOK_SECRET)")]
pub(crate) struct SecretArgs {
    /// Read the endpoint's secret from a file; a line break at its end is ignored
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,

    /// The endpoint's secret; other users of this machine can see it in the list of processes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    secret: Option<String>,
}

impl SecretArgs {
    /// Reads a secret that is valid for signing.
    pub(crate) fn webhook_secret(&self) -> Result<WebhookSecret, Failure> {
        let Secret { text, origin } = self.read()?;
        WebhookSecret::new(text.as_str())
            .map_err(|error| Failure::usage(format!("{origin}: {error}")))
    }

    /// Reads the secret without checking it.
    pub(crate) fn read(&self) -> Result<Secret, Failure> {
        if let Some(text) = &self.secret {
            output::complain(format!(
                "warning: others can see --secret in the list of processes and in the shell's history; \
                 use {VARIABLE} or --secret-file"
            ));
            return Ok(Secret { text: Zeroizing::new(text.clone()), origin: "--secret".into() });
        }
        if let Some(path) = &self.secret_file {
            // The path is not shown, because it may be the secret itself.
            let origin = "the file of --secret-file".to_owned();
            let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
                Failure::usage(format!("can't read the secret from {origin}: {error}"))
            })?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            return Ok(Secret { text: Zeroizing::new(line.to_owned()), origin });
        }
        match env::var(VARIABLE) {
            Ok(text) => Ok(Secret { text: Zeroizing::new(text), origin: VARIABLE.into() }),
            Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!(
                "{VARIABLE} is not valid UTF-8: set it to the endpoint's secret"
            ))),
            Err(env::VarError::NotPresent) => Err(Failure::usage(format!(
                "no secret: set {VARIABLE} to the endpoint's secret, or pass --secret-file"
            ))),
        }
    }
}

/// The text of a secret. It is zeroed when it is dropped.
pub(crate) struct Secret {
    pub(crate) text: Zeroizing<String>,
    /// Where the secret came from, for messages.
    pub(crate) origin: String,
}
