//! Finds the value of a pasted header, and describes what is wrong with its form.

use base64::{Engine as _, engine::general_purpose};

const NAME: &str = "workos-signature";

/// A header value, and what was removed around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unwrapped<'a> {
    pub(super) value: &'a str,
    /// From the outside in, without repetitions.
    pub(super) removed: Vec<&'static str>,
}

/// Removes what surrounds a header value that was copied from a terminal, a log, an e-mail or a test.
pub(super) fn unwrap(text: &str) -> Unwrapped<'_> {
    let mut value = text.trim();
    let mut removed = Vec::new();
    // No real header is wrapped more often.
    for _ in 0..8 {
        let Some((name, inner)) = peel(value) else { break };
        value = inner.trim();
        if !removed.contains(&name) {
            removed.push(name);
        }
    }
    Unwrapped { value, removed }
}

fn peel(text: &str) -> Option<(&'static str, &str)> {
    if let Some(rest) = text.strip_prefix('>').or_else(|| text.strip_prefix('<')) {
        return Some(("a quotation mark (`>`) at its start", rest));
    }
    if let Some(inner) = in_curl(text) {
        return Some(("a curl command", inner));
    }
    if let Some(line) = only_line(text) {
        return Some(("the lines of other headers", line));
    }
    if let Some(value) = after_name(text) {
        return Some(("the header's name", value));
    }
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')].into_iter().find_map(
        |(open, close)| {
            let text = text.strip_suffix([',', ';', '\\']).unwrap_or(text);
            Some(("quotes", text.strip_prefix(open)?.strip_suffix(close)?))
        },
    )
}

/// The argument of `-H` or `--header` that contains the header name.
fn in_curl(text: &str) -> Option<&str> {
    let at = find_name(text)?;
    let (before, rest) = text.split_at_checked(at)?;
    let quote = before.chars().next_back()?;
    let option = before.strip_suffix(quote)?.trim_end_matches(['$', ' ', '\t', '=', '\n', '\\']);
    if !matches!(quote, '"' | '\'') || !(option.ends_with("-H") || option.ends_with("--header")) {
        return None;
    }
    let inner = rest.split_once(quote)?.0;
    // Two headers in one command are a separate error.
    find_name(rest.get(NAME.len()..)?).is_none().then_some(inner)
}

/// The only line with the header name, if all other lines are headers too.
fn only_line(text: &str) -> Option<&str> {
    let is_named = |line: &&str| find_name(line).is_some();
    let mut named = text.lines().filter(is_named);
    let line = named.next().filter(|_| named.next().is_none())?;
    let others = || text.lines().filter(|line| !is_named(line));
    // A line without a colon may be the second line of the value.
    let headers = others().all(|line| {
        line.trim_matches(['>', '<', ' ', '\r']).is_empty()
            || line.contains(':')
            || line.contains("HTTP/")
    });
    (others().next().is_some() && headers).then_some(line)
}

/// The value after `workos-signature:` in a header, a JSON member or a CGI variable.
fn after_name(text: &str) -> Option<&str> {
    let text = text.strip_suffix(',').unwrap_or(text);
    let bare = text.strip_prefix(['"', '\'']).unwrap_or(text);
    let cgi = bare.get(..5).is_some_and(|start| {
        start.eq_ignore_ascii_case("http_") || start.eq_ignore_ascii_case("http-")
    });
    let bare = if cgi { bare.get(5..)? } else { bare };
    let (name, rest) = bare.split_at_checked(NAME.len())?;
    if !is_name(name) {
        return None;
    }
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start();
    let value = rest.strip_prefix("=>").or_else(|| rest.strip_prefix([':', '=']))?;
    // In `"name: value"`, the closing quote is at the end.
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) if !value.trim_start().starts_with(quote) => {
            Some(value.strip_suffix(quote).unwrap_or(value))
        }
        _ => Some(value),
    }
}

fn find_name(text: &str) -> Option<usize> {
    let length = NAME.len();
    text.as_bytes().windows(length).position(|it| std::str::from_utf8(it).is_ok_and(is_name))
}

/// Accepts the name with underscores, as in CGI.
fn is_name(text: &str) -> bool {
    text.len() == NAME.len()
        && text.bytes().zip(NAME.bytes()).all(|(byte, wanted)| {
            byte.eq_ignore_ascii_case(&wanted) || (byte == b'_' && wanted == b'-')
        })
}

/// Describes likely mistakes in a header that can't be parsed.
pub(super) fn hints(value: &str) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if value.is_empty() {
        return vec!["it is empty"];
    }
    if value.starts_with("whsec_") || value.starts_with("sk_") {
        return vec!["this is a secret, not a header"];
    }
    if value.contains(['\n', '\r']) {
        hints.push("it contains a line break: are these two headers, or one that was wrapped?");
    }
    for element in value.split([',', ';']).map(str::trim) {
        // Base64 may end with `=`.
        let (key, value) = match element.split_once('=') {
            Some((key, value)) if !value.trim_matches('=').is_empty() => (key.trim(), value.trim()),
            _ => ("", element),
        };
        let hint = match key {
            "t" => hint_at_time(value),
            "v1" | "" => hint_at_signature(value),
            "sha256" | "sha1" => {
                Some("`sha256=` is the form of another provider; WorkOS sends `t=…, v1=…`")
            }
            _ => None,
        };
        hints.extend(hint.filter(|hint| !hints.contains(hint)));
    }
    if value.contains("t=") && value.contains("v1=") && !value.contains(',') {
        hints.push("the comma between its elements is missing");
    }
    hints
}

fn hint_at_time(text: &str) -> Option<&'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        18 | 19 if digits => Some("`t` is in nanoseconds; WorkOS sends milliseconds"),
        _ if text.parse::<f64>().is_ok() && text.contains('.') => {
            Some("`t` has a fraction; WorkOS sends whole milliseconds")
        }
        _ if text.parse::<tower_workos::Timestamp>().is_ok() => {
            Some("`t` is a date; WorkOS sends milliseconds of Unix time")
        }
        _ => None,
    }
}

fn hint_at_signature(text: &str) -> Option<&'static str> {
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        64 if is_hex => None,
        40 if is_hex => Some(
            "the signature has 40 hex digits, like HMAC-SHA1; WorkOS uses HMAC-SHA256, which has 64",
        ),
        128 if is_hex => Some(
            "the signature has 128 hex digits, like HMAC-SHA512; WorkOS uses HMAC-SHA256, which has 64",
        ),
        8..64 if is_hex => Some("the signature is truncated: it has fewer than 64 hex digits"),
        _ if decode_base64(text).is_some_and(|bytes| bytes.len() == 32) => {
            Some("the signature is in base64; it must be in hex")
        }
        _ => None,
    }
}

/// Decodes base64 in either alphabet, with or without padding.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let decoded = general_purpose::STANDARD_NO_PAD.decode(text);
    decoded.or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(text)).ok()
}

/// The parts of a well-formed header. The time is text, because its text is signed.
pub(super) struct Parts {
    pub(super) time: String,
    pub(super) signatures: Vec<Vec<u8>>,
}

impl Parts {
    pub(super) fn of(header: &tower_workos::SignatureHeader) -> Self {
        let text = header.to_string();
        let value = |key| text.split(", ").filter_map(move |element| element.strip_prefix(key));
        Self {
            time: value("t=").next().unwrap_or_default().to_owned(),
            signatures: value("v1=").filter_map(|it| hex::decode(it).ok()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappings_are_removed() {
        let quote = "a quotation mark (`>`) at its start";
        let (name, quotes, curl) = ("the header's name", "quotes", "a curl command");
        let others = "the lines of other headers";
        for (text, removed) in [
            (" t=1, v1=00\n", &[][..]),
            ("> t=1, v1=00", &[quote]),
            ("> > workos-signature: t=1, v1=00", &[quote, name]),
            ("< WorkOS-Signature: t=1, v1=00\r\n", &[quote, name]),
            ("\"t=1, v1=00\"", &[quotes]),
            ("'t=1, v1=00',", &[quotes]),
            ("“t=1, v1=00”", &[quotes]),
            ("Workos-Signature:t=1, v1=00", &[name]),
            ("HTTP_WORKOS_SIGNATURE=t=1, v1=00", &[name]),
            ("'workos-signature: t=1, v1=00'", &[name]),
            ("\"workos-signature\": \"t=1, v1=00\",", &[name, quotes]),
            ("'workos-signature' => 't=1, v1=00'", &[name, quotes]),
            ("-H 'workos-signature: t=1, v1=00'", &[curl, name]),
            (
                "curl -i http://h/ -H \"a: b\" -H \"Workos-Signature: t=1, v1=00\" --data-binary '{\"a\": 1}'",
                &[curl, name],
            ),
            (
                "curl http://h/ \\\n  --header 'workos-signature: t=1, v1=00' \\\n -d x",
                &[curl, name],
            ),
            ("POST / HTTP/1.1\nhost: h\nworkos-signature: t=1, v1=00\na: b", &[others, name]),
        ] {
            let expected = Unwrapped { value: "t=1, v1=00", removed: removed.to_vec() };
            assert_eq!(unwrap(text), expected, "{text:?}");
        }
    }

    #[test]
    fn two_headers_are_not_changed() {
        let two = "t=1, v1=00\nworkos-signature: t=1, v1=00";
        for (text, value) in [
            (two.to_owned(), two),
            (format!("workos-signature: {two}"), two),
            ("t=1,\n v1=00".to_owned(), "t=1,\n v1=00"),
            ("x: t=1, v1=00".to_owned(), "x: t=1, v1=00"),
        ] {
            assert_eq!(unwrap(&text).value, value);
        }
        let curl = "curl -H 'workos-signature: t=1' -H 'workos-signature: t=2'";
        assert_eq!(unwrap(curl), Unwrapped { value: curl, removed: vec![] });
    }

    #[test]
    fn any_text_can_be_unwrapped() {
        for text in [
            "",
            "'",
            "\"\"",
            "-H 'workos-signature",
            "é\"workos-signature",
            "\"workos-signature\"",
            ">>>>>>>>>>>",
        ] {
            unwrap(text);
            hints(text);
        }
    }
}
