//! Decodes and encodes text, and changes escapes.

use percent_encoding::percent_decode_str;

/// The bytes 0x80 to 0x9F in Windows-1252. The five undefined ones are control characters, as in browsers. `encoding_rs`
/// would bring five packages for this table.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decodes Latin-1.
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

/// Decodes percent-encoding and, in a form, `+` as a space. `None` if there is nothing to decode.
pub(super) fn url_decode(text: &str, form: bool) -> Option<Vec<u8>> {
    let spaced = if form { text.replace('+', " ") } else { text.to_owned() };
    let decoded: Vec<u8> = percent_decode_str(&spaced).collect();
    (decoded != text.as_bytes()).then_some(decoded)
}

/// The characters that a JSON writer escapes without need, and the form of its escapes.
pub(super) trait Escapes {
    fn escapes(c: char) -> bool;
    fn write(unit: u16) -> String;
}

/// `encoding/json` of Go, and Ruby on Rails.
pub(super) enum Go {}

impl Escapes for Go {
    fn escapes(c: char) -> bool {
        matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
    }

    fn write(unit: u16) -> String {
        format!("\\u{unit:04x}")
    }
}

/// `System.Text.Json` of .NET.
pub(super) enum DotNet {}

impl Escapes for DotNet {
    fn escapes(c: char) -> bool {
        matches!(c, '<' | '>' | '&' | '\'' | '+' | '`') || !c.is_ascii()
    }

    fn write(unit: u16) -> String {
        format!("\\u{unit:04X}")
    }
}

/// Escapes characters in the strings of a JSON text.
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

/// Replaces unneeded escapes by their characters.
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
                // The next character may be an escaped backslash.
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
    fn windows_1252_round_trips() {
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
    fn escapes_are_added_and_removed() {
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
