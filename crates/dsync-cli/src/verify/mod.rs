//! `dsync verify`: verifies a delivery and explains why it is not genuine.

mod header;
mod mistakes;

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::Args;
use indicatif::HumanDuration;
use tower_workos::{
    DirectoryEvent, SignatureHeader, Timestamp, Verifier, WebhookSecret, testing::ManualClock,
};

use self::header::{Parts, Unwrapped};
use crate::{
    args,
    failure::{Failure, NO},
    input::stdin,
    output::say,
    secret::SecretArgs,
};

/// Verify a body from standard input, and explain what is wrong
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Verify {
    /// The signature header, with or without its name
    #[arg(long, value_name = "HEADER", allow_hyphen_values = true)]
    header: String,

    /// Verify as of this time: RFC 3339, Unix time, or relative to now, such as -10m or +30s
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,

    /// The largest accepted difference between the time of the signature and now
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = args::duration)]
    tolerance: Duration,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
The header may be pasted as it was copied: with its name, in quotes, after `> `, or inside a curl command. The output \
says what was removed. If the header can't be parsed, the output explains only that, because nothing is known about the \
secret and the body.

If the signature does not fit, common mistakes are tried. `what fits` is proven: the signature fits after one or two \
mistakes are undone.
  secret  white space or a line break at its end, quotes, a missing `whsec_`, decoded as base64 or hex
  body    parsed and serialized again (compact, indented, as Python, PHP, Go or .NET write it, with sorted keys), a \
line break gained or lost, CRLF, a byte order mark, base64, inside a JSON string, gzip, deflate or br, Latin-1, UTF-8 \
encoded twice, URL-encoded, in a form field
  time    `t` in another unit, left out, or after the body
`possible` is not proven, because the original is lost: characters that became `?` or U+FFFD, or an API key instead of \
the secret. Keys in an arbitrary order can't be found. Neither the secret nor the body is printed.

Exit codes:
  0    genuine and within the tolerance
  1    not genuine, too old, or not an event; the output says why
  2    an invalid option, no secret, or an error while reading standard input

Examples:
  dsync verify --header 't=1722443701539, v1=bd54a3…' < body.json
  A delivery from a log of last week:
    dsync verify --tolerance 30d --header \"$(cat header.txt)\" < body.json
  As of the time when it was rejected:
    dsync verify --at 2026-01-05T09:00:00Z --header \"$(cat header.txt)\" < body.json";

impl Verify {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret.read()?;
        let body = Bytes::from(stdin()?);
        let Unwrapped { value, removed } = header::unwrap(&self.header);
        let now = self.at.unwrap_or_else(|| std::time::SystemTime::now().into());
        let header = match SignatureHeader::parse(value.as_bytes()) {
            Ok(header) => header,
            Err(error) => {
                // Without a readable header, nothing is known about the secret and the body.
                say(format!("not genuine: {error}"));
                say_removed(&removed);
                for hint in header::hints(value) {
                    say(format!("  {hint}"));
                }
                return Ok(ExitCode::from(NO));
            }
        };
        let parts = Parts::of(&header);

        if let Ok(webhook_secret) = WebhookSecret::new(secret.text.as_str()) {
            let verifier = Verifier::new(webhook_secret).clock(ManualClock::new(now));
            if verifier.clone().tolerance(Duration::MAX).verify(&header, &body).is_ok() {
                let in_time = verifier.tolerance(self.tolerance).verify(&header, &body).is_ok();
                let code = self.genuine(&header, now, in_time, body);
                say_removed(&removed);
                say_microseconds(&parts, now);
                return Ok(code);
            }
        }

        say("not genuine: no signature in the header fits this secret and this body");
        say_removed(&removed);
        let proven = mistakes::find(&secret.text, &parts, &body);
        for mistake in proven.iter().flatten() {
            say(format!("  what fits: {mistake}"));
        }
        if secret.text.trim() != secret.text.as_str() {
            say(format!(
                "  {} begins or ends with white space; tower-workos rejects such a secret",
                secret.origin
            ));
        }
        if body.is_empty() {
            say("  the body is empty: pass it on standard input");
        } else if proven.is_none() {
            say_possible(&secret.text, &body);
        }
        say(format!("  the header says that it was signed {}", age(header.issued_at(), now)));
        say_microseconds(&parts, now);
        Ok(ExitCode::from(NO))
    }

    fn genuine(
        &self,
        header: &SignatureHeader,
        now: Timestamp,
        in_time: bool,
        body: Bytes,
    ) -> ExitCode {
        let age = age(header.issued_at(), now);
        if !in_time {
            say(format!(
                "genuine, but outside the tolerance of {}: signed {age}",
                humantime::format_duration(self.tolerance)
            ));
            say(
                "  likely a stored or replayed delivery, a retry with its first signature, or a wrong clock",
            );
            return ExitCode::from(NO);
        }
        match DirectoryEvent::parse(body) {
            Ok(event) => {
                let event = format!("{} {}", event.name(), event.id());
                say(format!("genuine: {event}, signed {age}"));
                ExitCode::SUCCESS
            }
            Err(rejection) => {
                say(format!("genuine, signed {age}, but {rejection}"));
                ExitCode::from(NO)
            }
        }
    }
}

fn say_removed(removed: &[&str]) {
    if !removed.is_empty() {
        say(format!("  removed around the header: {}", removed.join(", ")));
    }
}

/// Prints causes that can't be proven.
fn say_possible(secret: &str, body: &[u8]) {
    let suspicions = mistakes::suspicions(secret, body);
    for suspicion in &suspicions {
        say(format!("  possible: {suspicion}"));
    }
    if !suspicions.is_empty() {
        return;
    }
    say(
        "  no common mistake fits. Most likely the secret belongs to another endpoint, or the body was changed",
    );
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        say("  possible: the body is not JSON: it may be truncated or compressed");
    }
}

/// A `t` of sixteen digits is either far in the future or in microseconds.
fn say_microseconds(parts: &Parts, now: Timestamp) {
    if parts.time.len() == 16
        && !parts.time.starts_with('0')
        && let Ok(micros) = parts.time.parse::<i64>()
    {
        let issued_at = Timestamp::from_unix_millis_saturating(micros / 1000);
        say(format!(
            "  `t` is in microseconds; WorkOS sends milliseconds. As microseconds, it was signed {}",
            age(issued_at, now)
        ));
    }
}

fn age(issued_at: Timestamp, now: Timestamp) -> String {
    let millis = now.as_unix_millis().saturating_sub(issued_at.as_unix_millis());
    let span = Duration::from_millis(millis.unsigned_abs());
    let relation = if millis < 0 { "in the future" } else { "ago" };
    format!("{} {relation}, at {issued_at}", HumanDuration(span))
}
