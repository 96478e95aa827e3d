//! `dsync verify`: is it genuine, and if not, why not?

mod header;
mod mistakes;

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::Args;
use tower_workos::{
    DirectoryEvent, SignatureHeader, Timestamp, Verifier, WebhookSecret, testing::ManualClock,
};

use self::header::LooseHeader;
use crate::{
    args,
    failure::{Failure, NO},
    output::{say, stdin},
    secret::SecretArgs,
};

/// Verify the body on stdin; says exactly what is wrong
#[derive(Args)]
#[command(after_long_help = MANUAL)]
pub(crate) struct Verify {
    /// The header as it was received, with or without its name
    #[arg(long, value_name = "HEADER", allow_hyphen_values = true)]
    header: String,

    /// Verifies as of this time: RFC 3339, Unix time, or from now as -10m or +30s
    #[arg(long, value_name = "TIME", value_parser = args::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,

    /// How far the signature's time may be from now
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = args::duration)]
    tolerance: Duration,

    #[command(flatten)]
    secret: SecretArgs,
}

const MANUAL: &str = "\
Where the signature does not fit, it tries the mistakes that people make and names the one that does: white space or a \
line break at the secret's end, `whsec_` taken off, the secret decoded as base64, a body that was parsed and written \
anew (compact, indented, as Python or PHP write it, keys sorted), a line break gained or lost, CRLF, `t` in other \
units or left out, base64 for hex, another hash. Two at once are found too. What it can't know is another order of \
keys than the alphabet's. Neither the secret nor the body is printed.

Exit codes:
  0    genuine, and in time
  1    not genuine, too old, or not an event; stdout says why
  2    a bad option, no secret, stdin that can't be read

Examples:
  dsync verify --header 't=1722443701539, v1=bd54a3…' < body.json
  A delivery from a log of last week, whatever its age:
    dsync verify --tolerance 30d --header \"$(cat header.txt)\" < body.json
  As of the time when it was refused:
    dsync verify --at 2026-01-05T09:00:00Z --header \"$(cat header.txt)\" < body.json";

impl Verify {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret.read()?;
        let body = Bytes::from(stdin()?);
        let value = header::value(&self.header);
        let now = self.at.unwrap_or_else(|| std::time::SystemTime::now().into());
        let strict = SignatureHeader::parse(value.as_bytes());

        if let (Ok(webhook_secret), Ok(strict)) =
            (WebhookSecret::new(secret.text.as_str()), &strict)
        {
            let verifier = Verifier::new(webhook_secret).clock(ManualClock::new(now));
            if verifier.clone().tolerance(Duration::MAX).verify(strict, &body).is_ok() {
                let in_time = verifier.tolerance(self.tolerance).verify(strict, &body).is_ok();
                return Ok(self.genuine(strict, now, in_time, body));
            }
        }

        match &strict {
            Ok(_) => say("not genuine: no signature in the header fits this secret and this body"),
            Err(rejection) => say(format!("not genuine: {rejection}")),
        }
        let loose = LooseHeader::read(value);
        let mut explained = false;
        if let Some(found) = mistakes::find(&secret.text, &loose, &body) {
            for mistake in found {
                say(format!("  what fits: {mistake}"));
                explained = true;
            }
            if !explained && strict.is_err() {
                say("  the signature itself fits; only the header's form is wrong");
                explained = true;
            }
        }
        if secret.text.trim() != secret.text.as_str() {
            say(format!(
                "  {} begins or ends with white space; tower-workos refuses such a secret",
                secret.origin
            ));
        }
        if body.is_empty() {
            say("  the body is empty: was it given on stdin?");
        } else if !explained {
            say(
                "  none of the usual mistakes fits. Most likely the secret is another endpoint's, or the body is not what was signed",
            );
            if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
                say("  the body is not JSON: it may be cut off, or still compressed");
            }
        }
        if let Ok(strict) = &strict {
            say(format!("  it says that it was signed {}", age(strict.issued_at(), now)));
        }
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
                "genuine, but outside of the tolerance of {:?}: signed {age}",
                self.tolerance
            ));
            say(
                "  a stored or replayed delivery, a retry that was not signed anew, or a clock that is wrong",
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

fn age(issued_at: Timestamp, now: Timestamp) -> String {
    let millis = now.as_unix_millis().saturating_sub(issued_at.as_unix_millis());
    let span = Duration::from_millis(millis.unsigned_abs());
    let seconds = span.as_secs();
    let text = match seconds {
        0..180 => format!("{:.1} s", span.as_secs_f64()),
        180..10_800 => format!("{} min", seconds / 60),
        10_800..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    let relation = if millis < 0 { "ahead of now" } else { "ago" };
    format!("{text} {relation}, at {issued_at}")
}
