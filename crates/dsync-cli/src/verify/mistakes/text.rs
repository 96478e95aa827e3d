//! Encodings and escapes.

/// Of the bytes 0x80 to 0x9F in Windows-1252; the five that it does not have stay as they are, as in browsers.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads each byte as the character of its number.
pub(super) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(super) fn encode_latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

pub(super) fn decode_windows_1252(bytes: &[u8]) -> String {
    let decode = |byte: u8| match byte {
        0x80..=0x9f => {
            WINDOWS_1252.get(usize::from(byte - 0x80)).copied().unwrap_or(char::from(byte))
        }
        _ => char::from(byte),
    };
    bytes.iter().copied().map(decode).collect()
}

pub(super) fn encode_windows_1252(text: &str) -> Option<Vec<u8>> {
    let encode = |c: char| match WINDOWS_1252.iter().position(|&known| known == c) {
        Some(place) => u8::try_from(place + 0x80).ok(),
        None => u8::try_from(c).ok(),
    };
    text.chars().map(encode).collect()
}

/// Decodes `%7B`, and `+` as a space if a form is meant. `None` if there is nothing to decode, or it is wrong.
pub(super) fn url_decode(text: &str, form: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut changed = false;
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (hex, after) = rest.split_at_checked(2)?;
                let hex = std::str::from_utf8(hex).ok().filter(|it| !it.starts_with('+'))?;
                decoded.push(u8::from_str_radix(hex, 16).ok()?);
                changed = true;
                rest = after;
            }
            b'+' if form => {
                decoded.push(b' ');
                changed = true;
            }
            _ => decoded.push(byte),
        }
    }
    changed.then_some(decoded)
}

/// Which characters a JSON writer escapes although it need not, and how it writes the digits.
pub(super) trait Escapes {
    fn escapes(c: char) -> bool;
    fn write(unit: u16) -> String;
}

/// Go's encoding/json, and Ruby on Rails.
pub(super) enum Go {}

impl Escapes for Go {
    fn escapes(c: char) -> bool {
        matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
    }

    fn write(unit: u16) -> String {
        format!("\\u{unit:04x}")
    }
}

/// .NET's System.Text.Json.
pub(super) enum DotNet {}

impl Escapes for DotNet {
    fn escapes(c: char) -> bool {
        matches!(c, '<' | '>' | '&' | '\'' | '+' | '`') || !c.is_ascii()
    }

    fn write(unit: u16) -> String {
        format!("\\u{unit:04X}")
    }
}

/// Valid for JSON in which these characters are within strings. In numbers, `+` stays.
pub(super) fn escape<E: Escapes>(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    let mut in_string = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                escaped.push(c);
                escaped.extend(chars.next());
                continue;
            }
            '"' => in_string = !in_string,
            _ if in_string && E::escapes(c) => {
                for &mut unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&E::write(unit));
                }
                continue;
            }
            _ => {}
        }
        escaped.push(c);
    }
    escaped
}

/// Undoes the escapes of characters that need none, and of no others.
pub(super) fn unescape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let code = after.strip_prefix('u').and_then(|digits| digits.get(..4));
        let unescaped = code
            .and_then(|code| u32::from_str_radix(code, 16).ok().and_then(char::from_u32))
            .filter(|&c| Go::escapes(c) || DotNet::escapes(c));
        rest = match unescaped {
            Some(c) => {
                text.push(c);
                after.get(5..).unwrap_or_default()
            }
            None => {
                // What follows may be a backslash that is itself escaped.
                let next = after.chars().next();
                text.push('\\');
                text.extend(next);
                after.get(next.map_or(0, char::len_utf8)..).unwrap_or_default()
            }
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_1252_is_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(encode_windows_1252(&decode_windows_1252(&all)).unwrap(), all);
        assert_eq!(encode_latin_1(&latin_1(&all)).unwrap(), all);
        assert_eq!(decode_windows_1252(b"\x80 \x9f \xe9"), "€ Ÿ é");
        assert_eq!((encode_windows_1252("Ω"), encode_latin_1("€")), (None, None));
    }

    #[test]
    fn urls_are_decoded() {
        assert_eq!(url_decode("%7b%22a%22+%2B", true).unwrap(), b"{\"a\" +");
        assert_eq!(url_decode("%7b%22a%22+%2B", false).unwrap(), b"{\"a\"+\x2b");
        for text in ["", "abc", "100%", "%4", "%zz", "%+1"] {
            assert_eq!(url_decode(text, false), None, "{text}");
        }
    }

    #[test]
    fn escapes_are_undone_and_made() {
        let json = r#"{"<":"a&b\\u003c\"'>","n":1e+5,"é":"+"}"#;
        assert_eq!(escape::<Go>(json), r#"{"\u003c":"a\u0026b\\u003c\"'\u003e","n":1e+5,"é":"+"}"#);
        assert_eq!(
            escape::<DotNet>(json),
            r#"{"\u003C":"a\u0026b\\u003c\"\u0027\u003E","n":1e+5,"\u00E9":"\u002B"}"#
        );
        assert_eq!(unescape(&escape::<Go>(json)), json);
        assert_eq!(unescape(&escape::<DotNet>(json)), json);
        assert_eq!(unescape(r"\u0022 \ud83e\udd80 \u00 \é \"), r"\u0022 \ud83e\udd80 \u00 \é \");
    }
}
