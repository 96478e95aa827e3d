//! What fits once a mistake is undone, and what is only possible.

use std::io::Read as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use flate2::{
    Compression,
    read::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use sha2::{Digest as _, Sha256};

use crate::{BODY, NOT_GENUINE, TIME, header, header_of, hex, mac, support::SECRET, verify};

const AGE: &str = "  the header says that it was signed 30 seconds ago, at 2026-01-05T09:00:00Z";

/// Returns the proven mistakes.
fn found(header: &str, body: impl AsRef<[u8]>, secret: &str) -> Vec<String> {
    let run = verify(header, body, secret);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with(NOT_GENUINE), "{run:?}");
    assert!(!run.stdout.contains("possible: ") && !run.stdout.contains("no common"), "{run:?}");
    let lines = run.stdout.lines().filter_map(|line| line.strip_prefix("  what fits: "));
    lines.map(str::to_owned).collect()
}

/// Returns all lines about an unexplained signature, without the first line and the age.
fn said(header: &str, body: impl AsRef<[u8]>, secret: &str) -> Vec<String> {
    let run = verify(header, body, secret);
    assert_eq!(run.code, Some(1), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().map(str::to_owned).collect();
    assert_eq!((lines[0].as_str(), lines[lines.len() - 1].as_str()), (NOT_GENUINE, AGE));
    lines[1..lines.len() - 1].to_vec()
}

#[test]
fn mistakes_with_the_secret() {
    let with = |key: &str| header_of(key.as_bytes(), TIME, BODY.as_bytes());
    let decoded = STANDARD.decode("c2VjcmV0LW9mLXRlc3Rz").unwrap();
    for (header, secret, expected) in [
        (with(&format!("{SECRET}\n")), SECRET, "the signer's secret ends with a line break"),
        (with(&format!("{SECRET} ")), SECRET, "the signer's secret ends with a space"),
        (with(&format!(" {SECRET}")), SECRET, "the signer's secret begins with a space"),
        (with(&format!("{SECRET}\r\n")), SECRET, "the signer's secret ends with CR and LF"),
        (
            with(SECRET),
            &format!(" {SECRET}"),
            "your secret has white space at its beginning or end",
        ),
        (
            header_of(&decoded, TIME, BODY.as_bytes()),
            "c2VjcmV0LW9mLXRlc3Rz",
            "the signer decoded the secret as base64; WorkOS uses its text",
        ),
        (with(SECRET), &format!("\"{SECRET}\""), "your secret is in quotes"),
        (with(SECRET), &format!("'{SECRET}'"), "your secret is in quotes"),
        (with(&format!("\"{SECRET}\"")), SECRET, "the signer's secret is in quotes"),
        (with(&format!("'{SECRET}'")), SECRET, "the signer's secret is in quotes"),
        (with("of_the_tests"), SECRET, "the signer left out `whsec_`"),
        (with(SECRET), "of_the_tests", "your secret lacks `whsec_`"),
        (
            header_of(&decoded, TIME, BODY.as_bytes()),
            "whsec_c2VjcmV0LW9mLXRlc3Rz",
            "the signer decoded the secret as base64, as Standard Webhooks",
        ),
        (
            header_of(b"\x01\xab", TIME, BODY.as_bytes()),
            "01ab",
            "the signer decoded the secret as hex",
        ),
        (with(""), SECRET, "the signer's secret is EMPTY"),
    ] {
        let found = found(&header, BODY, secret);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn mistakes_with_the_body() {
    let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let sorted = serde_json::to_string(&value).unwrap();
    let pretty = BODY.replace("\":", "\": ").replace(",\"", ",\n\"");
    let python = BODY
        .replace("\":", "\": ")
        .replace(",\"", ", \"")
        .replace('ë', "\\u00eb")
        .replace('Ω', "\\u03a9");
    let php = BODY.replace('/', "\\/").replace('ë', "\\u00eb").replace('Ω', "\\u03a9");
    let spaced = BODY.replace("\":", "\": ").replace(",\"", ", \"");
    let indented = BODY
        .replace("\":", "\": ")
        .replace("{\"id\": \"event", "{\n  \"id\": \"event")
        .replace(",\"data", ",\n  \"data")
        .replace("{\"id\": \"dir", "{\n    \"id\": \"dir")
        .replace(",\"n", ",\n    \"n")
        .replace("},\"event\"", "\n  },\n  \"event\"")
        .replace("created\"}", "created\"\n}");
    for (signed, given, expected) in [
        (
            BODY.to_owned(),
            format!(" {BODY}\t"),
            "the body has gained white space at its beginning or end",
        ),
        (
            indented.clone(),
            BODY.to_owned(),
            "the body was serialized again without its indentation (2 spaces)",
        ),
        (
            indented.replace("  ", "    "),
            BODY.to_owned(),
            "the body was serialized again without its indentation (4 spaces)",
        ),
        (spaced, BODY.to_owned(), "the body was signed with spaces after colons and commas"),
        (
            BODY.replace('/', "\\/"),
            BODY.to_owned(),
            "the body was signed with \\/ for slashes: sign the bytes that are sent",
        ),
        (
            indented.replace('\n', "\r\n"),
            indented,
            "the body's line breaks were CRLF and became LF",
        ),
        (BODY.to_owned(), format!("{BODY}\n"), "the body has gained a line break"),
        (format!("{BODY}\n"), BODY.to_owned(), "the body has lost the line break"),
        (
            BODY.to_owned(),
            pretty.clone(),
            "the body was parsed and serialized again, and the signature fits its compact form",
        ),
        (python, BODY.to_owned(), "the body was signed as json.dumps of Python"),
        (php, BODY.to_owned(), "the body was signed as json_encode of PHP"),
        (
            BODY.replace('ë', "\\u00eb").replace('Ω', "\\u03a9"),
            BODY.to_owned(),
            "the body's \\u escapes became characters",
        ),
        (sorted, BODY.to_owned(), "the body was signed in its compact form with sorted keys"),
        (pretty.clone(), pretty.replace('\n', "\r\n"), "the body's line breaks became CRLF"),
        (BODY.to_owned(), format!("\u{feff}{BODY}"), "the body has gained a byte order mark"),
    ] {
        let found = found(&header(&signed), &given, SECRET);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

/// The body was changed before it was verified. The signature fits after the change is undone.
#[test]
fn bodies_that_were_encoded() {
    let compress = |kind: &str| {
        let mut bytes = Vec::new();
        let body = BODY.as_bytes();
        match kind {
            "gzip" => GzEncoder::new(body, Compression::best()).read_to_end(&mut bytes),
            "zlib" => ZlibEncoder::new(body, Compression::best()).read_to_end(&mut bytes),
            _ => DeflateEncoder::new(body, Compression::best()).read_to_end(&mut bytes),
        }
        .unwrap();
        bytes
    };
    // A stream with one uncompressed block and an empty last one (RFC 7932, section 9.2).
    let length = u32::try_from(BODY.len() - 1).unwrap();
    let head = (length << 4 | 1 << 20).to_le_bytes();
    let brotli = [&head[..3], BODY.as_bytes(), b"\x03"].concat();
    let json = serde_json::to_string(BODY).unwrap();
    let url = |text: &str| -> String {
        let encode = |byte: u8| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    };
    let base64 =
        "the body is in base64, as API Gateway forwards it: decode it before you verify it";
    let gzip = "the body is still compressed (gzip): decompress it before you verify it";
    let deflate = "the body is still compressed (deflate): decompress it before you verify it";
    let url_encoded = "the body is URL-encoded: verify the bytes received, before any encoding";
    let form = "the body is a form with the JSON in a field, such as `payload=…`: verify the decoded text of the field";
    let in_json = "the body is inside a JSON string: verify the text in the string";
    for (given, expected) in [
        (STANDARD.encode(BODY).into_bytes(), &[base64][..]),
        (STANDARD_NO_PAD.encode(BODY).into_bytes(), &[base64]),
        (URL_SAFE.encode(BODY).into_bytes(), &[base64]),
        (json.clone().into_bytes(), &[in_json]),
        (compress("gzip"), &[gzip]),
        (compress("zlib"), &[deflate]),
        (compress("deflate"), &[deflate]),
        (brotli, &["the body is still compressed (br): decompress it before you verify it"]),
        (url(BODY).into_bytes(), &[url_encoded]),
        (format!("payload={}", url(BODY)).into_bytes(), &[form]),
        (format!("payload={BODY}").into_bytes(), &[form]),
        (STANDARD.encode(compress("gzip")).into_bytes(), &[base64, gzip]),
        (format!("payload={}", url(&json)).into_bytes(), &[form, in_json]),
    ] {
        assert_eq!(found(&header(BODY), &given, SECRET), expected, "{}", given.escape_ascii());
    }
    // Spaces as `+`, as in a form.
    let spaced = BODY.replace("Zoë/Ω", "Zoë van Ω");
    let given = format!("payload={}", url(&spaced).replace("%20", "+"));
    assert_eq!(found(&header(&spaced), given, SECRET), [form]);
    for (signed, expected) in [
        (STANDARD.encode(BODY), "the body was signed as base64: sign the bytes that are sent"),
        (json, "the body was signed inside a JSON string: sign the bytes that are sent"),
    ] {
        assert_eq!(found(&header(&signed), BODY, SECRET), [expected]);
    }
}

#[test]
fn bodies_with_other_characters() {
    let latin = BODY.replace('Ω', "ü");
    let latin_bytes =
        |text: &str| -> Vec<u8> { text.chars().map(|c| u8::try_from(c).unwrap()).collect() };
    let mojibake = |text: &str| -> String { text.bytes().map(char::from).collect() };
    let windows = BODY.replace('Ω', "€");
    let windows_bytes =
        windows.chars().map(|c| if c == '€' { 0x80 } else { u8::try_from(c).unwrap() });
    let signed = |bytes: &[u8]| header_of(SECRET.as_bytes(), TIME, bytes);
    let became_latin = "the body became Latin-1 (ISO 8859-1 or Windows-1252): verify the bytes received, before any decoding";
    let again = "the body's UTF-8 was read as Latin-1 or Windows-1252 and encoded again: verify the bytes received";
    for (header, given, expected) in [
        (header(&latin), latin_bytes(&latin), became_latin),
        (header(&windows), windows_bytes.collect(), became_latin),
        (
            signed(&latin_bytes(&latin)),
            latin.clone().into_bytes(),
            "the body was signed as Latin-1 (ISO 8859-1 or Windows-1252): sign the bytes that are sent",
        ),
        (header(BODY), mojibake(BODY).into_bytes(), again),
        (
            header(&windows),
            // The bytes of the euro sign, E2 82 AC, are three other characters in Windows-1252.
            windows.replace('€', "â‚¬").replace('ë', "Ã«").into_bytes(),
            again,
        ),
        (
            header(&mojibake(BODY)),
            BODY.into(),
            "the body was signed with its UTF-8 read as Latin-1 or Windows-1252 and encoded again: sign the bytes that are sent",
        ),
        (
            header(&BODY.replace(['ë', 'Ω'], "?")),
            BODY.into(),
            "the body was signed with `?` for each character beyond ASCII: sign the bytes that are sent",
        ),
        (
            header(&BODY.replace(['ë', 'Ω'], "\u{fffd}")),
            BODY.into(),
            "the body was signed with U+FFFD for each character beyond ASCII: sign the bytes that are sent",
        ),
    ] {
        assert_eq!(found(&header, &given, SECRET), [expected], "{}", given.escape_ascii());
    }
}

#[test]
fn bodies_with_other_escapes() {
    let body = BODY.replace("Zoë/Ω", "Zoë <a&b> 'Ω' 1+1");
    let go = body.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let dot_net = body
        .replace('<', "\\u003C")
        .replace('>', "\\u003E")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027")
        .replace('+', "\\u002B")
        .replace('ë', "\\u00EB")
        .replace('Ω', "\\u03A9");
    let became = "characters of the body became escapes such as \\u003c: verify the bytes received, before any parsing";
    let lost = "the body's escapes such as \\u003c became characters: verify the bytes received, before any parsing";
    for (signed, given, expected) in [
        (&body, &go, became),
        (&body, &dot_net, became),
        (&go, &body, lost),
        (&dot_net, &body, lost),
    ] {
        assert_eq!(found(&header(signed), given, SECRET), [expected], "{given}");
    }
}

/// The original is lost, so nothing is proven.
#[test]
fn what_is_only_possible() {
    let replaced = "  possible: the body contains U+FFFD, which replaces bytes that could not be decoded; the original is lost";
    let question = "  possible: the body contains `?` instead of letters and nothing beyond ASCII: other characters may have been replaced, and the original is lost";
    let key = "  possible: your secret begins with `sk_`, so it is an API key; use the endpoint's secret, which begins with `whsec_`, from its page in the dashboard";
    let lost = BODY.replace(['ë', 'Ω'], "\u{fffd}");
    assert_eq!(said(&header(BODY), &lost, SECRET), [replaced]);
    let lost = BODY.replace(['ë', 'Ω'], "?");
    assert_eq!(said(&header(BODY), &lost, SECRET), [question]);
    assert_eq!(said(&header(BODY), BODY, "sk_test_of_the_tests"), [key]);
    assert_eq!(said(&header(BODY), BODY, "'sk_test_of_the_tests'"), [key]);
    let ascii = BODY.replace("Zoë/Ω", "Really? https://h.example/?a=b");
    let usual = "  no common mistake fits. Most likely the secret belongs to another endpoint, or the body was changed";
    assert_eq!(said(&header(BODY), ascii, SECRET), [usual]);
    let mut gzip = Vec::new();
    GzEncoder::new(BODY.as_bytes(), Compression::best()).read_to_end(&mut gzip).unwrap();
    gzip.truncate(60);
    let cut_off = "  possible: the body begins like gzip, and is truncated, damaged or very large";
    assert_eq!(said(&header(BODY), gzip, SECRET), [cut_off]);
    let other = "  possible: the body is not UTF-8: it may be compressed or in another encoding";
    assert_eq!(said(&header(BODY), b"\xff\xfe\xfd", SECRET), [other]);
}

#[test]
fn times_in_other_units() {
    let micros = format!("{TIME}000");
    let unit = "  `t` is in microseconds; WorkOS sends milliseconds. As microseconds, it was signed 30 seconds ago, at 2026-01-05T09:00:00Z";
    let run = verify(&header_of(SECRET.as_bytes(), &micros, BODY.as_bytes()), BODY, SECRET);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("genuine, but outside the tolerance of 3m: signed "), "{run:?}");
    assert_eq!(run.stdout.lines().last(), Some(unit), "{run:?}");
    for (shown, expected) in [
        (&micros[..], "the header's `t` is in microseconds, but milliseconds were signed"),
        (TIME, "the header's `t` is in seconds, but milliseconds were signed"),
    ] {
        let shown = if shown == TIME { &TIME[..10] } else { shown };
        let header = header(BODY).replace(TIME, shown);
        assert_eq!(found(&header, BODY, SECRET), [expected]);
    }
    for (signed, expected) in [
        (&TIME[..10], "the header's `t` is in milliseconds, but seconds were signed"),
        (&micros, "the header's `t` is in milliseconds, but microseconds were signed"),
        (
            &format!("{TIME}000000"),
            "the header's `t` is in milliseconds, but nanoseconds were signed",
        ),
    ] {
        let header = header_of(SECRET.as_bytes(), signed, BODY.as_bytes())
            .replace(&format!("t={signed},"), &format!("t={TIME},"));
        assert_eq!(found(&header, BODY, SECRET), [expected]);
    }
    let header = header_of(SECRET.as_bytes(), &TIME[..10], BODY.as_bytes())
        .replace("t=1767603600,", &format!("t={micros},"));
    assert_eq!(
        found(&header, BODY, SECRET),
        ["the header's `t` is in microseconds, but seconds were signed"]
    );
}

#[test]
fn mistakes_with_what_is_signed() {
    let key = SECRET.as_bytes();
    let body = BODY.as_bytes();
    let v1 = |bytes: Vec<u8>| format!("t={TIME}, v1={}", hex(bytes));
    let time = TIME.as_bytes();
    for (header, expected) in [
        (v1(mac(key, &[body])), "the body alone was signed; WorkOS signs `t`, a dot and the body"),
        (v1(mac(key, &[time, body])), "`t` and the body were signed without the dot between them"),
        (
            v1(mac(key, &[body, b".", time])),
            "the body was signed before `t`; WorkOS signs `t`, a dot and the body",
        ),
        (
            v1(Sha256::digest(format!("{TIME}.{BODY}")).to_vec()),
            "a plain SHA-256 without the secret was used; WorkOS uses HMAC-SHA256",
        ),
        (
            v1(Sha256::digest(format!("{SECRET}{TIME}.{BODY}")).to_vec()),
            "a plain SHA-256 of secret and message was used; WorkOS uses HMAC-SHA256",
        ),
    ] {
        assert_eq!(found(&header, BODY, SECRET), [expected]);
    }
}

#[test]
fn two_mistakes_at_once() {
    let key = format!("{SECRET}\n");
    let header = header_of(key.as_bytes(), TIME, BODY.as_bytes());
    let found = found(&header, format!("{BODY}\n"), SECRET);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("the body has gained a line break"), "{found:?}");
    assert!(found[1].starts_with("the signer's secret ends with a line break"), "{found:?}");
}

#[test]
fn nothing_fits() {
    let run = verify(&header(BODY), BODY, "whsec_another");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("no common mistake fits"), "{run:?}");
    let run = verify(&header(BODY), "", SECRET);
    assert!(run.stdout.contains("the body is empty"), "{run:?}");
    let run = verify(&header(BODY), &BODY[..50], SECRET);
    assert!(run.stdout.contains("the body is not JSON"), "{run:?}");
}
