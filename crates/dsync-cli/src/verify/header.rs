//! A header read as kindly as possible, to find out what somebody meant.

use base64::{Engine as _, engine::general_purpose};

/// The value without the header's name before it.
pub(super) fn value(header: &str) -> &str {
    let value = match header.split_once(':') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("workos-signature") => value,
        _ => header,
    };
    value.trim()
}

/// What could be a time and signatures.
pub(super) struct LooseHeader {
    /// As text, since text is signed.
    pub(super) time: Option<String>,
    pub(super) signatures: Vec<Signature>,
}

pub(super) struct Signature {
    pub(super) bytes: Vec<u8>,
    pub(super) base64: bool,
}

impl LooseHeader {
    pub(super) fn read(value: &str) -> Self {
        let mut time = None;
        let mut signatures = Vec::new();
        for element in value.split([',', ' ', ';']).map(str::trim).filter(|it| !it.is_empty()) {
            // Base64 may end with `=`.
            let (key, value) = match element.split_once('=') {
                Some((key, value)) if key.len() < 12 && !value.trim_matches('=').is_empty() => {
                    (key, value)
                }
                _ => ("", element),
            };
            let value = value.trim_matches('"');
            let number = !value.is_empty()
                && value.len() < 20
                && value.bytes().all(|it| it.is_ascii_digit());
            if number && (key == "t" || time.is_none()) {
                time = Some(value.to_owned());
            } else {
                signatures.extend(Signature::read(value));
            }
        }
        Self { time, signatures }
    }
}

impl Signature {
    /// The bytes that this may stand for: hex and base64 can look alike.
    fn read(text: &str) -> impl Iterator<Item = Self> {
        let hex = unhex(text).map(|bytes| Self { bytes, base64: false });
        let unpadded = text.trim_end_matches('=');
        let base64 = general_purpose::STANDARD_NO_PAD
            .decode(unpadded)
            .or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(unpadded))
            .ok()
            .map(|bytes| Self { bytes, base64: true });
        // Fewer bytes are found by chance in anything.
        [hex, base64].into_iter().flatten().filter(|it| it.bytes.len() >= 4)
    }
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}
