//! Reads times without a date library.

use tower_workos::Timestamp;

/// A time as Unix time in nanoseconds. The formats that WorkOS writes are computed here. For others, which RFC 3339 and its
/// extensions allow, the result of `tower-workos` is used.
pub(crate) fn moment(text: &str) -> Option<i128> {
    usual_moment(text).unwrap_or_else(|| text.parse::<Timestamp>().ok().map(nanoseconds))
}

/// A time of `tower-workos` as Unix time in nanoseconds.
#[must_use]
pub(crate) fn nanoseconds(time: Timestamp) -> i128 {
    let since =
        |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match std::time::SystemTime::from(time).duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    }
}

/// The time at the start of the ULID after the last `_`.
pub(crate) fn moment_in_id(id: &str) -> Option<i128> {
    let place = id.rfind('_')?;
    let (time, rest) = id.get(place + 1..)?.split_at_checked(10)?;
    // Rust's radix 32 has other letters than Crockford's: each is replaced by the one with the same value.
    let usual = |char: char| {
        let place = "ABCDEFGHJKMNPQRSTVWXYZ".find(char.to_ascii_uppercase());
        match place {
            Some(place) => "abcdefghijklmnopqrstuv".get(place..).and_then(|it| it.chars().next()),
            None => char.is_ascii_digit().then_some(char),
        }
    };
    if rest.chars().count() != 16 || !rest.chars().all(|char| usual(char).is_some()) {
        return None;
    }
    let time: String = time.chars().map(usual).collect::<Option<_>>()?;
    let millis = i64::from_str_radix(&time, 32).ok()?;
    // From 2015 to the latest time of `tower-workos`.
    let plausible = 1_420_070_400_000..=Timestamp::MAX.as_unix_millis();
    (millis < 1 << 48 && plausible.contains(&millis)).then(|| i128::from(millis) * 1_000_000)
}

/// `None` if the text has another format, `Some(None)` if there is no such time.
fn usual_moment(text: &str) -> Option<Option<i128>> {
    let shape: String =
        text.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i128>().ok();
    let rest = shape
        .strip_prefix("0000-00-00T00:00:00")
        .or_else(|| shape.strip_prefix("0000-00-00 00:00:00"))?;
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| digits.find(|char| char != '0').unwrap_or(digits.len()));
    if rest.starts_with('.') && !(1..=9).contains(&fraction) {
        return None;
    }
    let end = if fraction == 0 { 19 } else { 20 + fraction };
    let nanos = match fraction {
        0 => 0,
        _ => number(20, end)? * 10_i128.pow(9 - u32::try_from(fraction).ok()?),
    };
    let offset = match shape.get(end..)? {
        "" | "Z" => 0,
        "+00:00" | "-00:00" => {
            let minutes = number(end + 1, end + 3)? * 60 + number(end + 4, end + 6)?;
            if number(end + 1, end + 3)? > 23 || number(end + 4, end + 6)? > 59 {
                return None;
            }
            if text.get(end..)?.starts_with('-') { -minutes } else { minutes }
        }
        _ => return None,
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second has no Unix time, and the first and last days of RFC 3339 are not representable everywhere.
    if second == 60 || !(1..9999).contains(&year) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months = lengths.get(..usize::try_from(month).ok()?.saturating_sub(1));
    let length = usize::try_from(month - 1).ok().and_then(|month| lengths.get(month));
    let (Some(months), Some(length)) = (months, length) else { return Some(None) };
    if !(1..=*length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return Some(None);
    }
    let years_before = |year: i128| {
        let before = year - 1;
        before * 365 + before / 4 - before / 100 + before / 400
    };
    let days = years_before(year) - years_before(1970) + months.iter().sum::<i128>() + day - 1;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    Some(Some((minutes * 60 + second) * 1_000_000_000 + nanos))
}
