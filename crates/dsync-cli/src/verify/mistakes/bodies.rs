//! Bodies that the signer may have signed instead of this one.

use std::{borrow::Cow, io::Read};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::text::{
    DotNet, Go, decode_windows_1252, encode_latin_1, encode_windows_1252, escape, latin_1,
    unescape, url_decode,
};
use crate::{
    json::{Layout, Style, restyle},
    verify::header::decode_base64,
};

/// The limit of decompression. Real bodies have a few kilobytes.
const MAX_DECOMPRESSED: u64 = 8 << 20;

/// The mistake that leads to a body, and the body.
type Body<'a> = (&'static str, Cow<'a, [u8]>);

/// The first body is this one itself.
pub(super) fn bodies(body: &[u8]) -> Vec<Body<'_>> {
    let mut bodies: Vec<Body<'_>> = vec![("", Cow::Borrowed(body))];
    let mut add = |name, other: Option<Vec<u8>>| {
        if let Some(other) = other.filter(|other| other != body) {
            bodies.push((name, Cow::Owned(other)));
        }
    };
    line_ends(body, &mut add);
    compressed(body, &mut add);
    add(
        "the body was signed as base64: sign the bytes that are sent",
        Some(STANDARD.encode(body).into()),
    );
    match std::str::from_utf8(body) {
        Ok(text) => {
            wrapped(text, &mut add);
            encoded(text, &mut add);
            escaped(text, &mut add);
            serialized(text.trim_start_matches('\u{feff}'), &mut add);
        }
        Err(_) => {
            const LATIN: &str = "the body became Latin-1 (ISO 8859-1 or Windows-1252): verify the bytes received, before any decoding";
            add(LATIN, Some(latin_1(body).into()));
            add(LATIN, Some(decode_windows_1252(body).into()));
        }
    }
    bodies
}

fn line_ends(body: &[u8], add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    let trimmed = body.strip_suffix(b"\n").unwrap_or(body);
    add(
        "the body has gained a line break at its end (from an editor or `echo`)",
        Some(trimmed.strip_suffix(b"\r").unwrap_or(trimmed).to_vec()),
    );
    add(
        "the body has lost the line break at its end (curl -d removes it: use --data-binary)",
        Some([body, b"\n"].concat()),
    );
    let Ok(text) = std::str::from_utf8(body) else { return };
    add("the body has gained white space at its beginning or end", Some(text.trim().into()));
    add("the body's line breaks became CRLF", Some(text.replace("\r\n", "\n").into()));
    add(
        "the body's line breaks were CRLF and became LF",
        Some(text.replace("\r\n", "\n").replace('\n', "\r\n").into()),
    );
    add("the body has gained a byte order mark", Some(text.trim_start_matches('\u{feff}').into()));
}

fn compressed(body: &[u8], add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    add(
        "the body is still compressed (gzip): decompress it before you verify it",
        body.starts_with(&[0x1f, 0x8b]).then(|| read(MultiGzDecoder::new(body))).flatten(),
    );
    const DEFLATE: &str =
        "the body is still compressed (deflate): decompress it before you verify it";
    add(DEFLATE, read(ZlibDecoder::new(body)));
    add(DEFLATE, read(DeflateDecoder::new(body)));
    add(
        "the body is still compressed (br): decompress it before you verify it",
        read(Decompressor::new(body, 4096)),
    );
}

/// Decompresses up to the limit.
fn read(decompressor: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    decompressor.take(MAX_DECOMPRESSED + 1).read_to_end(&mut bytes).ok()?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_DECOMPRESSED);
    (fits && !bytes.is_empty()).then_some(bytes)
}

fn wrapped(text: &str, add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    add(
        "the body is in base64, as API Gateway forwards it: decode it before you verify it",
        decode_base64(&text.split_ascii_whitespace().collect::<String>()),
    );
    add(
        "the body is inside a JSON string: verify the text in the string",
        serde_json::from_str::<String>(text).ok().map(Into::into),
    );
    add(
        "the body was signed inside a JSON string: sign the bytes that are sent",
        serde_json::to_vec(text).ok(),
    );
    const URL: &str = "the body is URL-encoded: verify the bytes received, before any encoding";
    add(URL, url_decode(text, true));
    add(URL, url_decode(text, false));
    if let Some((name, value)) = text.trim_end().split_once('=')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        const FORM: &str = "the body is a form with the JSON in a field, such as `payload=…`: verify the decoded text of the field";
        add(FORM, url_decode(value, true));
        add(FORM, url_decode(value, false));
        add(FORM, Some(value.into()));
    }
}

fn encoded(text: &str, add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    if text.is_ascii() {
        return;
    }
    const AGAIN: &str = "the body's UTF-8 was read as Latin-1 or Windows-1252 and encoded again: verify the bytes received";
    // Text that was not encoded twice is hardly ever valid UTF-8 here.
    let is_utf8 = |bytes: &Vec<u8>| std::str::from_utf8(bytes).is_ok();
    add(AGAIN, encode_latin_1(text).filter(is_utf8));
    add(AGAIN, encode_windows_1252(text).filter(is_utf8));
    const SIGNED_AGAIN: &str = "the body was signed with its UTF-8 read as Latin-1 or Windows-1252 and encoded again: sign the bytes that are sent";
    add(SIGNED_AGAIN, Some(latin_1(text.as_bytes()).into()));
    add(SIGNED_AGAIN, Some(decode_windows_1252(text.as_bytes()).into()));
    const LATIN: &str =
        "the body was signed as Latin-1 (ISO 8859-1 or Windows-1252): sign the bytes that are sent";
    add(LATIN, encode_latin_1(text));
    add(LATIN, encode_windows_1252(text));
    let replaced = |by: &str| {
        text.chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { by.to_owned() })
            .collect::<String>()
    };
    add(
        "the body was signed with `?` for each character beyond ASCII: sign the bytes that are sent",
        Some(replaced("?").into()),
    );
    add(
        "the body was signed with U+FFFD for each character beyond ASCII: sign the bytes that are sent",
        Some(replaced("\u{fffd}").into()),
    );
}

fn escaped(text: &str, add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    add(
        "characters of the body became escapes such as \\u003c: verify the bytes received, before any parsing",
        Some(unescape(text).into()),
    );
    const LOST: &str = "the body's escapes such as \\u003c became characters: verify the bytes received, before any parsing";
    add(LOST, Some(escape::<Go>(text).into()));
    add(LOST, Some(escape::<DotNet>(text).into()));
}

fn serialized(json: &str, add: &mut impl FnMut(&'static str, Option<Vec<u8>>)) {
    let style = Style::default();
    let styles = [
        (
            "the body was parsed and serialized again, and the signature fits its compact form: verify the bytes received, before any parsing",
            style,
        ),
        (
            "the body was serialized again without its indentation (2 spaces): verify the bytes received, before any parsing",
            Style { layout: Layout::Indented("  "), ..style },
        ),
        (
            "the body was serialized again without its indentation (4 spaces): verify the bytes received, before any parsing",
            Style { layout: Layout::Indented("    "), ..style },
        ),
        (
            "the body was signed as json.dumps of Python writes it, with spaces and \\u escapes: sign the bytes that are sent",
            Style { layout: Layout::Spaced, ascii: true, ..style },
        ),
        (
            "the body was signed with spaces after colons and commas: sign the bytes that are sent",
            Style { layout: Layout::Spaced, ..style },
        ),
        ("the body's \\u escapes became characters", Style { ascii: true, ..style }),
        (
            "the body was signed as json_encode of PHP writes it, with \\/ and \\u escapes: sign the bytes that are sent",
            Style { ascii: true, slashes: true, ..style },
        ),
        (
            "the body was signed with \\/ for slashes: sign the bytes that are sent",
            Style { slashes: true, ..style },
        ),
    ];
    for (name, style) in styles {
        add(name, restyle(json, style).map(Into::into));
    }
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(json) {
        add(
            "the body was signed in its compact form with sorted keys: sign the bytes that are sent",
            serde_json::to_vec(&value).ok(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn no_more_is_decompressed_than_allowed() {
        let zeros = |length: u64| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let length = usize::try_from(length).unwrap();
            encoder.write_all(&vec![0; length]).unwrap();
            encoder.finish().unwrap()
        };
        let length = |bytes: &[u8]| read(MultiGzDecoder::new(bytes)).map(|it| it.len());
        assert_eq!(length(&zeros(MAX_DECOMPRESSED)), Some(8 << 20));
        assert_eq!(length(&zeros(MAX_DECOMPRESSED + 1)), None);
        // Many small members are a bomb too.
        assert_eq!(length(&zeros(1 << 20).repeat(9)), None);
    }
}
