//! The `workos-signature` header.

use std::{fmt, iter, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{error::SignatureHeaderError, event::Timestamp};

/// The header that carries the signature, in lower case as HTTP/2 and `http` want it.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("workos-signature");

/// The same in one place: a constant is made anew, and dropped, wherever it is used.
static SIGNATURE_HEADER_NAME: HeaderName = SIGNATURE_HEADER;

/// Longest header value that is looked at, in bytes.
const MAX_LENGTH: usize = 1024;
/// Most `v1` elements that are looked at.
const MAX_SIGNATURES: usize = 8;
/// Digits of a timestamp in milliseconds from 2001 to 2286.
const USUAL_DIGITS: usize = 13;
/// Most digits of a timestamp.
const MAX_DIGITS: usize = 16;
/// Room for the digits and the full stop, in whole words, which are moved faster than single bytes.
const TIME_ROOM: usize = (MAX_DIGITS + 1).next_multiple_of(8);
/// A timestamp below this is in seconds: as milliseconds it would be in 1973, as seconds it is in 5138.
const SECONDS_BELOW: u64 = 100_000_000_000;

/// A parsed `workos-signature` header: a time and one or more signatures.
///
/// ```text
/// t=1722443701539, v1=bd54a3768f461461c8439c2f97ab0d646ef3976f84d5d5b132d18f2fa89cdad5
/// ```
///
/// Elements are `key=value`, separated by commas, in any order, with optional spaces and tabs around them.
/// There is exactly one `t` of 1 to 16 digits: milliseconds, or seconds where the value is below
/// 100 000 000 000. There is at least one `v1` of 64 hex digits in either case; the first eight are kept,
/// and one of another form is passed over, since it can match nothing. Unknown keys are passed over too.
/// A control character inside an element, such as the line break between two pasted headers, is malformed.
/// The source is the WorkOS Directory Sync guide and what WorkOS's SDKs and its emulator send.
///
/// A header with one signature is parsed without an allocation. `Display` prints the form above.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureHeader {
    time: Time,
    first: [u8; 32],
    rest: Vec<[u8; 32]>,
}

/// The `t` element.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Time {
    /// The digits, and the full stop that stands between them and the body where they are signed.
    text: [u8; TIME_ROOM],
    digit_count: usize,
    /// Since the Unix epoch.
    millis: i64,
}

impl SignatureHeader {
    /// Parses a header value.
    ///
    /// # Errors
    ///
    /// One for each way in which the value can be malformed.
    pub fn parse(value: &[u8]) -> Result<Self, SignatureHeaderError> {
        match Self::parse_usual(value) {
            Some(header) => Ok(header),
            None => Self::parse_any(value),
        }
    }

    /// A time of 13 digits, one signature and nothing else, in the order in which WorkOS writes them; or `None`.
    fn parse_usual(value: &[u8]) -> Option<Self> {
        let (digits, value) = value.strip_prefix(b"t=")?.split_first_chunk::<USUAL_DIGITS>()?;
        let value = value.strip_prefix(b", v1=").or_else(|| value.strip_prefix(b",v1="))?;
        let hex = value.try_into().ok()?;
        Some(Self { time: Time::parse(digits)?, first: decode_hex(hex)?, rest: Vec::new() })
    }

    fn parse_any(value: &[u8]) -> Result<Self, SignatureHeaderError> {
        if value.len() > MAX_LENGTH {
            return Err(SignatureHeaderError::TooLong);
        }
        let mut time = None;
        let mut first = None;
        let mut more = Vec::new();
        let mut looked_at = 0;
        let mut rest = Some(value);
        while let Some(element) = rest {
            let element = trim_start(element);
            rest = if let Some(value) = element.strip_prefix(b"v1=") {
                let (signature, rest) = split_signature(value)?;
                looked_at += 1;
                match signature {
                    Some(signature) if looked_at <= MAX_SIGNATURES => match first {
                        None => first = Some(signature),
                        Some(_) => more.push(signature),
                    },
                    _ => {}
                }
                rest
            } else {
                let (element, rest) = split_element(element)?;
                match element.strip_prefix(b"t=") {
                    Some(_) if time.is_some() => {
                        return Err(SignatureHeaderError::DuplicateTime);
                    }
                    Some(digits) => {
                        time = Some(Time::parse(digits).ok_or(SignatureHeaderError::InvalidTime)?);
                    }
                    None if element.iter().position(|&byte| byte == b'=') > Some(0) => {}
                    None => return Err(SignatureHeaderError::InvalidElement),
                }
                rest
            };
        }
        Ok(Self {
            time: time.ok_or(SignatureHeaderError::MissingTime)?,
            first: first.ok_or(SignatureHeaderError::MissingSignature)?,
            rest: more,
        })
    }

    /// Takes the header out of a request's headers.
    ///
    /// # Errors
    ///
    /// [`Missing`](SignatureHeaderError::Missing) if there is none, [`DuplicateHeader`](SignatureHeaderError::DuplicateHeader)
    /// if there are several, and the errors of [`parse`](Self::parse).
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, SignatureHeaderError> {
        let mut values = headers.get_all(&SIGNATURE_HEADER_NAME).into_iter();
        let Some(value) = values.next() else {
            return Err(SignatureHeaderError::Missing);
        };
        if values.next().is_some() {
            return Err(SignatureHeaderError::DuplicateHeader);
        }
        Self::parse(value.as_bytes())
    }

    /// When the signature was made.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_unix_millis_saturating(self.time.millis)
    }

    /// The same in milliseconds since the Unix epoch, without a limit.
    pub(crate) fn issued_at_millis(&self) -> i64 {
        self.time.millis
    }

    /// The timestamp's digits as received.
    fn digits(&self) -> &[u8] {
        self.time.text.get(..self.time.digit_count).unwrap_or_default()
    }

    /// What is signed before the body: the digits and a full stop.
    pub(crate) fn signed_prefix(&self) -> &[u8] {
        self.time.text.get(..=self.time.digit_count).unwrap_or_default()
    }

    pub(crate) fn signatures(&self) -> impl Iterator<Item = &[u8; 32]> {
        iter::once(&self.first).chain(&self.rest)
    }
}

impl Time {
    fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text.len() > MAX_DIGITS {
            return None;
        }
        let mut number: u64 = 0;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            // Sixteen digits are below 2^54.
            number = number * 10 + u64::from(digit);
        }
        let millis = if number < SECONDS_BELOW { number * 1000 } else { number };
        let mut signed = [0; TIME_ROOM];
        signed.get_mut(..text.len())?.copy_from_slice(text);
        *signed.get_mut(text.len())? = b'.';
        Some(Self {
            text: signed,
            digit_count: text.len(),
            millis: i64::try_from(millis).unwrap_or(i64::MAX),
        })
    }
}

impl FromStr for SignatureHeader {
    type Err = SignatureHeaderError;

    fn from_str(value: &str) -> Result<Self, SignatureHeaderError> {
        Self::parse(value.as_bytes())
    }
}

impl TryFrom<&HeaderValue> for SignatureHeader {
    type Error = SignatureHeaderError;

    fn try_from(value: &HeaderValue) -> Result<Self, SignatureHeaderError> {
        Self::parse(value.as_bytes())
    }
}

impl fmt::Display for SignatureHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("t=")?;
        for digit in self.digits() {
            write!(f, "{}", digit.wrapping_sub(b'0'))?;
        }
        for signature in self.signatures() {
            f.write_str(", v1=")?;
            for byte in signature {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// With a body at hand a signature can be replayed within the tolerance, so `Debug` only counts them.
impl fmt::Debug for SignatureHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureHeader")
            .field("issued_at", &self.issued_at())
            .field("signatures", &self.signatures().count())
            .finish()
    }
}

/// What follows an element's comma; `None` if there is no comma.
type Rest<'a> = Option<&'a [u8]>;

/// Takes one `v1` value off the front: its bytes where it is 64 hex digits, and what follows its comma.
fn split_signature(value: &[u8]) -> Result<(Option<[u8; 32]>, Rest<'_>), SignatureHeaderError> {
    // The usual case needs no search for the comma: 64 digits, then the end or a comma. Anything else among
    // the 64 may itself be a comma, so that case is cut first.
    if let Some((hex, rest)) = value.split_first_chunk() {
        let rest = match rest {
            [] => Some(None),
            [b',', rest @ ..] => Some(Some(rest)),
            _ => None,
        };
        if let (Some(signature), Some(rest)) = (decode_hex(hex), rest) {
            return Ok((Some(signature), rest));
        }
    }
    let (value, rest) = split_element(value)?;
    Ok((<&[u8; 64]>::try_from(value).ok().and_then(decode_hex), rest))
}

/// Splits at the first comma and trims white space from the element's end. What remains has no control character.
fn split_element(bytes: &[u8]) -> Result<(&[u8], Rest<'_>), SignatureHeaderError> {
    let mut parts = bytes.splitn(2, |&byte| byte == b',');
    let element = trim_end(parts.next().unwrap_or_default());
    if element.iter().any(u8::is_ascii_control) {
        return Err(SignatureHeaderError::ControlCharacter);
    }
    Ok((element, parts.next()))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Decodes 64 hex digits of either case. No branch in its loops, so that they become vector instructions.
fn decode_hex(hex: &[u8; 64]) -> Option<[u8; 32]> {
    let mut nibbles = [0; 64];
    let mut valid = true;
    for (nibble, byte) in nibbles.iter_mut().zip(hex) {
        let digit = byte.wrapping_sub(b'0');
        let letter = (byte | 0x20).wrapping_sub(b'a');
        valid &= (digit < 10) | (letter < 6);
        *nibble = if digit < 10 { digit } else { letter.wrapping_add(10) };
    }
    let mut bytes = [0; 32];
    let (pairs, _) = nibbles.as_chunks();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (high << 4) | low;
    }
    valid.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "bd54a3768f461461c8439c2f97ab0d646ef3976f84d5d5b132d18f2fa89cdad5";
    const OTHER: &str = "32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea";

    fn parse(value: impl AsRef<str>) -> Result<SignatureHeader, SignatureHeaderError> {
        value.as_ref().parse()
    }

    fn reason(value: impl AsRef<str>) -> String {
        parse(value)
            .unwrap_err()
            .to_string()
            .replace("the workos-signature header is malformed: ", "")
    }

    #[test]
    fn milliseconds_as_workos_sends_them() {
        let header = parse(format!("t=1722443701539, v1={HEX}")).unwrap();
        assert_eq!(header.issued_at(), Timestamp::from_unix_millis_saturating(1_722_443_701_539));
        assert_eq!(header.digits(), b"1722443701539");
        assert_eq!(header.signatures().count(), 1);
        assert_eq!(header.signatures().next().unwrap()[..3], [0xbd, 0x54, 0xa3]);
    }

    #[test]
    fn seconds_and_no_space_as_the_emulator_sends_them() {
        let header = parse(format!("t=1722443701,v1={HEX}")).unwrap();
        assert_eq!(header.issued_at(), Timestamp::from_unix_millis_saturating(1_722_443_701_000));
        assert_eq!(header.digits(), b"1722443701");
    }

    /// Guards the fast path; a fallback would be correct but slower.
    #[test]
    fn the_fast_path_reads_the_usual_form() {
        for separator in [", ", ","] {
            let value = format!("t=1722443701539{separator}v1={HEX}");
            assert!(SignatureHeader::parse_usual(value.as_bytes()).is_some(), "{value}");
        }
    }

    #[test]
    fn any_number_of_digits_up_to_the_limit() {
        for count in 1..=MAX_DIGITS {
            let header = parse(format!("t={},v1={HEX}", "7".repeat(count))).unwrap();
            assert_eq!(header.digits().len(), count);
        }
        assert!(parse(format!("t={},v1={HEX}", "7".repeat(MAX_DIGITS + 1))).is_err());
    }

    #[test]
    fn the_unit_changes_at_100_billion() {
        for (digits, millis) in [
            ("99999999999", 99_999_999_999_000),
            ("100000000000", 100_000_000_000),
            ("100000000001", 100_000_000_001),
            ("0", 0),
            ("0000000000000001", 1000),
            ("0001722443701539", 1_722_443_701_539),
        ] {
            let header = parse(format!("t={digits},v1={HEX}")).unwrap();
            assert_eq!(
                header.issued_at(),
                Timestamp::from_unix_millis_saturating(millis),
                "{digits}"
            );
            assert_eq!(header.digits(), digits.as_bytes());
        }
    }

    #[test]
    fn the_largest_timestamp_saturates() {
        let header = parse(format!("t=9999999999999999,v1={HEX}")).unwrap();
        assert_eq!(header.issued_at(), Timestamp::MAX);
    }

    #[test]
    fn order_white_space_and_unknown_keys_do_not_matter() {
        let plain = parse(format!("t=1722443701539, v1={HEX}")).unwrap();
        for value in [
            format!("v1={HEX},t=1722443701539"),
            format!(" \tt=1722443701539 ,\t v1={HEX}\t "),
            format!("v2=whatever, t=1722443701539, v1={HEX}, V1=no, T=no, t2=1, x==,y="),
            format!("t=1722443701539, v1={}", HEX.to_uppercase()),
            format!("t=1722443701539, v1=bad, v1={HEX}, v1={HEX}0, v1={}", HEX.replace('b', "g")),
        ] {
            assert_eq!(parse(&value).unwrap(), plain, "{value}");
        }
    }

    #[test]
    fn several_signatures_are_kept_in_order_up_to_eight() {
        let header = parse(format!("t=1,v1={HEX},v1={OTHER}")).unwrap();
        assert_eq!(header.signatures().count(), 2);
        assert_eq!(header.signatures().nth(1).unwrap()[0], 0x32);
        for (count, kept) in [(7, 7), (8, 8), (9, 8)] {
            let header = parse(format!("t=1{}", format!(",v1={HEX}").repeat(count))).unwrap();
            assert_eq!(header.signatures().count(), kept);
        }
        // What is passed over was looked at as well: the ninth is not reached.
        let header = format!("t=1{},v1={HEX},v1={OTHER}", ",v1=bad".repeat(7));
        assert_eq!(parse(header).unwrap().signatures().count(), 1);
    }

    #[test]
    fn malformed_headers_say_why() {
        let v1 = format!("v1={HEX}");
        for digits in ["", "12345678901234567", "-1", "+1", "1.5", "0x10", "1e3", "NaN", "1 2", "١"]
        {
            assert_eq!(reason(format!("t={digits},{v1}")), "`t` is not 1 to 16 digits", "{digits}");
        }
        assert_eq!(reason(format!("t=1,t=1,{v1}")), "`t` occurs more than once");
        assert_eq!(reason(&v1), "no `t` element");
        for value in ["t=1", "t=1,v2=00", "t=1,v1=", "t=1,v1=00", "t=1,v1=zz"] {
            assert_eq!(reason(value), "no `v1` element of 64 hex digits", "{value}");
        }
        for junk in ["", HEX, "=x", "t"] {
            let value = format!("{v1},t=1,{junk}");
            assert_eq!(reason(value), "an element is not `key=value`", "{junk:?}");
        }
        assert_eq!(reason(""), "an element is not `key=value`");
    }

    #[test]
    fn control_characters_are_malformed_inside_elements() {
        let value = format!("t=1722443701539, v1={HEX}");
        // All of them take Miri minutes.
        let step = if cfg!(miri) { 9 } else { 1 };
        for control in (0..=0x1f).chain([0x7f]).map(char::from).step_by(step) {
            for (at, _) in value.char_indices().chain([(value.len(), ' ')]) {
                let mut changed = value.clone();
                changed.insert(at, control);
                let around = [0, 15, 16, 17, value.len()].contains(&at);
                if control == '\t' && around {
                    assert!(parse(&changed).is_ok(), "{changed:?}");
                } else {
                    assert_eq!(
                        reason(&changed),
                        "an element contains a control character",
                        "{changed:?}"
                    );
                }
            }
            let unknown = format!("{value}, note=a{control}b");
            assert_eq!(reason(&unknown), "an element contains a control character", "{unknown:?}");
        }
    }

    #[test]
    fn two_pasted_lines_are_malformed() {
        let line = format!("workos-signature: t=1722443701539, v1={HEX}");
        let value = line.strip_prefix("workos-signature: ").unwrap();
        for end in ["\n", "\r\n", "\r"] {
            let pasted = format!("{value}{end}{line}");
            assert_eq!(reason(&pasted), "an element contains a control character");
            assert_eq!(reason(format!("{value}{end}")), "an element contains a control character");
        }
    }

    #[test]
    fn elements_are_cut_at_commas_wherever_they_stand() {
        // 64 bytes after `v1=`, and a comma after them; but other elements among them.
        let swallowed = format!("t=1,v1=x,t=1,k={},v1={HEX}", "y".repeat(56));
        assert_eq!(reason(swallowed), "`t` occurs more than once");
        let time = "t=1722443701539";
        let hidden = format!("v1={HEX},v1=x,{time},k={},x=y", "y".repeat(64 - 2 - time.len() - 3));
        assert_eq!(parse(hidden).unwrap().digits(), b"1722443701539");
    }

    #[test]
    fn every_digit_of_the_signature_is_checked() {
        // All of them take Miri minutes.
        for at in (0..64).step_by(if cfg!(miri) { 37 } else { 1 }) {
            for byte in (0..=u8::MAX).step_by(if cfg!(miri) { 7 } else { 1 }) {
                let mut hex = HEX.as_bytes().to_vec();
                hex[at] = byte;
                let value = [b"t=1722443701539,v1=".as_slice(), &hex].concat();
                let parsed = SignatureHeader::parse(&value).ok().map(|header| header.first[at / 2]);
                let pair = str::from_utf8(&hex[at / 2 * 2..at / 2 * 2 + 2]).ok();
                let expected = pair.filter(|_| byte.is_ascii_hexdigit());
                let expected = expected.map(|pair| u8::from_str_radix(pair, 16).unwrap());
                assert_eq!(parsed, expected, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn length_at_the_limit() {
        for (length, ok) in [(1023, true), (1024, true), (1025, false)] {
            let value = format!("t=1,v1={HEX},x=");
            let value = format!("{value}{}", "y".repeat(length - value.len()));
            assert_eq!(value.len(), length);
            assert_eq!(parse(&value).is_ok(), ok, "{length}");
            if !ok {
                assert_eq!(reason(value), "longer than 1024 bytes");
            }
        }
    }

    #[test]
    fn one_header_line_only() {
        let value = HeaderValue::from_str(&format!("t=1,v1={HEX}")).unwrap();
        let mut headers = HeaderMap::new();
        let missing = SignatureHeader::from_headers(&headers).unwrap_err();
        assert_eq!(missing, SignatureHeaderError::Missing);
        headers.append(SIGNATURE_HEADER, value.clone());
        assert!(SignatureHeader::from_headers(&headers).is_ok());
        headers.append(SIGNATURE_HEADER, value);
        let twice = SignatureHeader::from_headers(&headers).unwrap_err();
        assert_eq!(twice, SignatureHeaderError::DuplicateHeader);
    }

    #[test]
    fn debug_shows_no_signature() {
        let header = parse(format!("t=1722443701,v1={HEX}")).unwrap();
        assert_eq!(
            format!("{header:?}"),
            "SignatureHeader { issued_at: 2024-07-31T16:35:01Z, signatures: 1 }"
        );
    }

    /// The rules once more, the slow and plain way.
    fn oracle(value: &[u8]) -> Option<(String, Vec<Vec<u8>>)> {
        if value.len() > 1024 {
            return None;
        }
        let mut time = None;
        let mut signatures = Vec::new();
        let mut looked_at = 0;
        for element in value.split(|&byte| byte == b',') {
            let element: String = element.iter().copied().map(char::from).collect();
            let element = element.trim_matches([' ', '\t']);
            if element.contains(|c: char| c.is_ascii_control()) {
                return None;
            }
            let (key, value) = element.split_once('=')?;
            match key {
                "" => return None,
                "t" if time.is_some() => return None,
                "t" if (1..=16).contains(&value.len())
                    && value.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    time = Some(value.to_owned());
                }
                "t" => return None,
                "v1" => {
                    looked_at += 1;
                    let hex = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
                    if hex && looked_at <= 8 {
                        signatures.push(
                            (0..64)
                                .step_by(2)
                                .map(|at| u8::from_str_radix(&value[at..at + 2], 16).unwrap())
                                .collect(),
                        );
                    }
                }
                _ => {}
            }
        }
        (!signatures.is_empty()).then_some((time?, signatures))
    }

    fn assert_equals_oracle(value: &[u8]) {
        let parsed = SignatureHeader::parse(value).ok().map(|header| {
            let again = parse(header.to_string()).unwrap();
            assert_eq!(again, header, "parse, print, parse");
            let digits = String::from_utf8(header.digits().to_vec()).unwrap();
            (digits, header.signatures().map(|bytes| bytes.to_vec()).collect())
        });
        assert_eq!(parsed, oracle(value), "{}", value.escape_ascii());
    }

    fn element() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[ \t]{0,2}t=[0-9]{1,17}[ \t]{0,2}",
            4 => "[ \t]{0,2}v1=[0-9a-fA-F]{64}[ \t]{0,2}",
            1 => "v1=[0-9a-gA-G]{62,66}",
            1 => "v1=[0-9a-f,t=]{0,70}",
            1 => "[ a-z0-9=]{0,8}",
            1 => "(t|v1|x)=[0-9\t\n\r]{1,8}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // Miri takes a second for each.
            cases: if cfg!(miri) { 16 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        #[cfg_attr(miri, ignore = "texts made from regular expressions take Miri minutes")]
        fn equals_the_plain_rules(elements in prop::collection::vec(element(), 0..12)) {
            assert_equals_oracle(elements.join(",").as_bytes());
        }

        #[test]
        fn equals_the_plain_rules_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            assert_equals_oracle(&bytes);
        }
    }
}
