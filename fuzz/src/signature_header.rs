//! Compares the parsing of the `workos-signature` header with a model.

use http::{HeaderMap, HeaderValue};
use tower_workos::{SIGNATURE_HEADER, SignatureHeader, SignatureHeaderError, Timestamp};

/// The reasons for which a header can be malformed.
const REASONS: [&str; 7] = [
    "longer than 1024 bytes",
    "`t` occurs more than once",
    "`t` is not 1 to 16 digits",
    "an element contains a control character",
    "an element is not `key=value`",
    "no `t` element",
    "no `v1` element of 64 hex digits",
];

/// The contents of a header, as the model reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// The digits of `t`.
    pub digits: String,
    /// Those of the first eight `v1` that are 64 hex digits, in lower case.
    pub signatures: Vec<String>,
}

impl Header {
    /// Reads a header value by the documented rules; `None` if it is malformed.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        if value.len() > 1024 {
            return None;
        }
        // Maps each byte to a character, so that string functions work on any bytes.
        let value: String = value.iter().copied().map(char::from).collect();
        let mut times = Vec::new();
        let mut candidates = Vec::new();
        for element in value.split(',') {
            let element = element.trim_matches([' ', '\t']);
            if element.contains(|c: char| c.is_ascii_control()) {
                return None;
            }
            match element.split_once('=')? {
                ("", _) => return None,
                ("t", digits) => times.push(digits.to_owned()),
                ("v1", hex) => candidates.push(hex.to_ascii_lowercase()),
                _ => {}
            }
        }
        candidates.truncate(8);
        candidates
            .retain(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match times.as_slice() {
            [digits]
                if (1..=16).contains(&digits.len())
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && !candidates.is_empty() =>
            {
                Some(Self { digits: digits.clone(), signatures: candidates })
            }
            _ => None,
        }
    }

    /// The time of the signature, as Unix time in milliseconds.
    #[must_use]
    pub fn millis(&self) -> i64 {
        match self.digits.parse().unwrap_or(i64::MAX) {
            seconds @ ..100_000_000_000 => seconds * 1000,
            millis => millis,
        }
    }

    fn print(&self) -> String {
        let signatures: String = self.signatures.iter().map(|hex| format!(", v1={hex}")).collect();
        format!("t={}{signatures}", self.digits)
    }
}

/// Checks that the library parses a header value as the model does, through all its functions, and prints what it parsed.
///
/// # Panics
///
/// If it doesn't.
pub fn check(value: &[u8]) {
    let expected = Header::read(value);
    let parsed = SignatureHeader::parse(value);
    match (&parsed, &expected) {
        (Ok(header), Some(expected)) => {
            let printed = header.to_string();
            assert_eq!(printed, expected.print());
            assert_eq!(
                header.issued_at(),
                Timestamp::from_unix_millis_saturating(expected.millis())
            );
            assert_eq!(printed.parse().as_ref(), Ok(header), "parse, print, parse");
            let debug = format!("{header:?}");
            assert!(expected.signatures.iter().all(|hex| !debug.contains(hex)), "{debug}");
        }
        (Err(error), None) => {
            let text = error.to_string();
            let (_, reason) = text.rsplit_once(": ").unwrap_or_default();
            assert!(REASONS.contains(&reason), "{text}");
        }
        _ => panic!("{parsed:?}, but the model says {expected:?}: {}", value.escape_ascii()),
    }
    if let Ok(text) = std::str::from_utf8(value) {
        assert_eq!(text.parse(), parsed);
    }
    let mut headers = HeaderMap::new();
    let missing = SignatureHeader::from_headers(&headers);
    assert_eq!(missing, Err(SignatureHeaderError::Missing));
    if let Ok(line) = HeaderValue::from_bytes(value) {
        assert_eq!(SignatureHeader::try_from(&line), parsed);
        headers.append(SIGNATURE_HEADER, line.clone());
        assert_eq!(SignatureHeader::from_headers(&headers), parsed);
        headers.append(SIGNATURE_HEADER, line);
        let twice = SignatureHeader::from_headers(&headers);
        assert_eq!(twice, Err(SignatureHeaderError::DuplicateHeader));
    }
}
