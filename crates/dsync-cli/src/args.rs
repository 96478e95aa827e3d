//! Options that commands share, and how their values are read.

use std::{error::Error as _, process::ExitCode, time::Duration};

use clap::error::{ContextKind, ErrorKind};
use tower_workos::Timestamp;

use crate::{failure::USAGE, output};

/// Prints what clap has to say: help in full, an error as one line without what was typed.
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

/// What is wrong, in words of the program only. What was typed is never repeated: a secret without its option's name is
/// an unexpected argument, or the value of another one.
fn describe(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if context(ContextKind::InvalidArg).starts_with('-') => {
            "an option that does not exist (it is not shown: it may be a secret)".to_owned()
        }
        ErrorKind::UnknownArgument => {
            "unexpected argument (it is not shown: it may be a secret, which \
            belongs in WORKOS_WEBHOOK_SECRET or --secret-file)"
                .to_owned()
        }
        ErrorKind::InvalidSubcommand => "no such command; `dsync --help` lists them".to_owned(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let option = context(ContextKind::InvalidArg);
            let value = context(ContextKind::InvalidValue);
            if value.is_empty() && error.source().is_none() {
                return format!("a value is required for '{option}'");
            }
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            // The parsers here don't repeat what they were given. clap's repeats a number.
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
        // Their texts have names of options and numbers only.
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
        kind => kind.as_str().unwrap_or("the command line can't be read").to_owned(),
    }
}

/// A span of time: a number and a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let error = || "give a number and a unit: 500ms, 10s, 3m, 2h, 3d".to_owned();
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(error)?;
    let (number, unit) = text.split_at(unit);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(error()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(error());
    }
    let whole: u64 = whole.parse().map_err(|_| error())?;
    let thousandths: u64 = format!("{fraction:0<3}").parse().map_err(|_| error())?;
    let total =
        whole.checked_mul(millis).and_then(|it| it.checked_add(thousandths * millis / 1000));
    // Longer than any time that can be asked for; and sums of it can't overflow.
    total.filter(|&total| total <= 366 * 86_400_000).map(Duration::from_millis).ok_or_else(error)
}

/// A moment: RFC 3339, Unix time in seconds or milliseconds, or from now (`-10m`, `+30s`).
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
        // As in the header: a smaller number is in seconds.
        if number < 100_000_000_000 { number.saturating_mul(1000) } else { number }
    } else {
        return text.parse().map_err(|_| {
            "give a time such as 2026-01-05T09:00:00Z, Unix time in seconds or milliseconds, or -10m or +30s from now"
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
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1w",
            "1.s",
            ".5s",
            "1e3s",
            "1.2345s",
            "367d",
            "99999999999999999999s",
            "１s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_read_in_every_form() {
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
