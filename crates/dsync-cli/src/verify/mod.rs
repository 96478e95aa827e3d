//! `dsync verify`: is it genuine, and if not, why not?

mod header;
mod mistakes;

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::Args;
use tower_workos::{
    DirectoryEvent, SignatureHeader, Timestamp, Verifier, WebhookSecret, testing::ManualClock,
};

use self::header::{Parts, Unwrapped};
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
The header may be given as it was copied: with its name, in quotes, quoted with `> `, or within a curl command; the \
finding says what was taken off. If it can't be parsed, that is the finding, and nothing is said about the secret and \
the body.

If the signature does not fit, the mistakes that people make are tried. `what fits` is proven: the signature fits once \
the mistake is undone, or two of them.
  secret  white space or a line break at its end, quotes, `whsec_` left out, decoded as base64 or hex
  body    parsed and serialized again (compact, indented, as Python, PHP, Go or .NET write it, keys sorted), a line \
break gained or lost, CRLF, a byte order mark, base64, within a JSON string, gzip, deflate or br, Latin-1, UTF-8 \
encoded twice, URL-encoded, in a form's field
  time    `t` in other units, left out, or after the body
`possible` is not proven, since the original is lost: characters that became `?` or U+FFFD, an API key for a secret. \
Another order of keys than the alphabet's can't be found. Neither the secret nor the body is printed.

Exit codes:
  0    genuine, and in time
  1    not genuine, too old, or not an event; stdout says why (also if the header can't be parsed)
  2    a bad option, no secret, stdin that can't be read

Examples:
  dsync verify --header 't=1722443701539, v1=bd54a3…' < body.json
  A delivery from a log of last week, whatever its age:
    dsync verify --tolerance 30d --header \"$(cat header.txt)\" < body.json
  As of the time when it was rejected:
    dsync verify --at 2026-01-05T09:00:00Z --header \"$(cat header.txt)\" < body.json";

impl Verify {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret.read()?;
        let body = Bytes::from(stdin()?);
        let Unwrapped { value, taken_off } = header::unwrap(&self.header);
        let now = self.at.unwrap_or_else(|| std::time::SystemTime::now().into());
        let header = match SignatureHeader::parse(value.as_bytes()) {
            Ok(header) => header,
            Err(error) => {
                // The secret and the body are another matter: with this header, nothing about them can be known.
                say(format!("not genuine: {error}"));
                say_taken_off(&taken_off);
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
                say_taken_off(&taken_off);
                say_microseconds(&parts, now);
                return Ok(code);
            }
        }

        say("not genuine: no signature in the header fits this secret and this body");
        say_taken_off(&taken_off);
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
            say("  the body is empty: was it given on stdin?");
        } else if proven.is_none() {
            say_possible(&secret.text, &body);
        }
        say(format!("  it says that it was signed {}", age(header.issued_at(), now)));
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
                "genuine, but outside the tolerance of {:?}: signed {age}",
                self.tolerance
            ));
            say(
                "  a stored or replayed delivery, a retry with its first signature, or a clock that is wrong",
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

fn say_taken_off(taken_off: &[&str]) {
    if !taken_off.is_empty() {
        say(format!("  taken off the header: {}", taken_off.join(", ")));
    }
}

/// What no signature proves.
fn say_possible(secret: &str, body: &[u8]) {
    let suspicions = mistakes::suspicions(secret, body);
    for suspicion in &suspicions {
        say(format!("  possible: {suspicion}"));
    }
    if !suspicions.is_empty() {
        return;
    }
    say(
        "  none of the usual mistakes fits. Most likely the secret is another endpoint's, or the body is not what was signed",
    );
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        say("  possible: the body is not JSON: it may be cut off, or still compressed");
    }
}

/// Sixteen digits are a time far in the future, or microseconds.
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
