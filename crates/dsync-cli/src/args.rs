//! Parses the values of options, and describes errors of the command line.

use std::{error::Error as _, process::ExitCode, time::Duration};

use clap::error::{ContextKind, ErrorKind};
use tower_workos::Timestamp;

use crate::{failure::USAGE, output};

const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

/// Prints clap's help in full, or an error as one line that does not repeat the user's input.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if matches!(
        kind,
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let _ = error.print();
        let shown = !matches!(kind, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        return if shown { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
    }
    let mut line = format!("error: {}", describe(error));
    if let Some(similar) =
        error.get(ContextKind::SuggestedArg).or_else(|| error.get(ContextKind::SuggestedSubcommand))
    {
        line.push_str(&format!("; did you mean `{similar}`?"));
    }
    output::complain(line);
    ExitCode::from(USAGE)
}

/// Describes an error without repeating the user's input: a secret that was typed without its option is an unexpected
/// argument, or the value of another option.
fn describe(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if context(ContextKind::InvalidArg).starts_with('-') => {
            "unknown option (not shown, because it may be a secret); `--help` lists the options"
                .to_owned()
        }
        ErrorKind::UnknownArgument => {
            "unexpected argument (not shown, because it may be a secret; pass the secret in \
            WORKOS_WEBHOOK_SECRET or with --secret-file)"
                .to_owned()
        }
        ErrorKind::InvalidSubcommand => {
            "unknown command; `dsync --help` lists the commands".to_owned()
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let option = context(ContextKind::InvalidArg);
            let value = context(ContextKind::InvalidValue);
            if value.is_empty() && error.source().is_none() {
                return format!("a value is required for '{option}'");
            }
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            // clap repeats a number. The parsers of this program don't repeat their input.
            let reason = match reason.split_once(" is not in ") {
                Some((_, range)) => format!("it is not in {range}"),
                None => reason,
            };
            if reason.is_empty() {
                format!("invalid value for '{option}'")
            } else {
                format!("invalid value for '{option}': {reason}")
            }
        }
        // clap's texts for these contain only names of options and numbers.
        ErrorKind::ArgumentConflict
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::NoEquals
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues => {
            let text = error.render().to_string();
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            line.strip_prefix("error: ").unwrap_or(&line).to_owned()
        }
        kind => kind.as_str().unwrap_or("invalid command line; see `dsync --help`").to_owned(),
    }
}

/// Parses a duration such as `500ms`, `1.5h` or `2h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    // humantime's own errors would repeat the input, which may be a secret.
    humantime::parse_duration(text)
        .ok()
        // The limit keeps sums of times from overflowing.
        .filter(|&duration| duration <= MAX_DURATION)
        .ok_or_else(|| "give a number and a unit: 500ms, 10s, 3m, 2h, 3d (at most 366d)".to_owned())
}

/// Parses a time: RFC 3339, Unix time in seconds or milliseconds, or relative to now (`-10m`, `+30s`).
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let now = || Timestamp::from(std::time::SystemTime::now()).as_unix_millis();
    let millis =
        |span: &str| duration(span).map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let at = if let Some(span) = text.strip_prefix('-') {
        now().saturating_sub(millis(span)?)
    } else if let Some(span) = text.strip_prefix('+') {
        now().saturating_add(millis(span)?)
    } else if text == "now" {
        now()
    } else if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().map_err(|_| "the number is too large".to_owned())?;
        // A smaller number is in seconds, as in the signature header.
        if number < 100_000_000_000 { number.saturating_mul(1000) } else { number }
    } else {
        return text.parse().map_err(|_| {
            "give a time such as 2026-01-05T09:00:00Z, a Unix time in seconds or milliseconds, or a difference from now such as -10m or +30s"
                .to_owned()
        });
    };
    Ok(Timestamp::from_unix_millis_saturating(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5m", 90_000),
            ("2h", 7_200_000),
            ("3d", 259_200_000),
            ("2h 30m", 9_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "5", "s", "-1s", "1.s", ".5s", "1e3s", "367d", "99999999999999999999s", "１s"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_parsed_in_every_form() {
        let millis = |text| moment(text).map(Timestamp::as_unix_millis);
        assert_eq!(millis("2026-01-05T09:00:00Z"), Ok(1_767_603_600_000));
        assert_eq!(millis("1767603600"), Ok(1_767_603_600_000));
        assert_eq!(millis("1767603600000"), Ok(1_767_603_600_000));
        let now = millis("now").unwrap();
        assert!((millis("-10m").unwrap() - now + 600_000).abs() < 5_000);
        assert!((millis("+30s").unwrap() - now - 30_000).abs() < 5_000);
        for text in ["", "yesterday", "-", "-5", "99999999999999999999"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
