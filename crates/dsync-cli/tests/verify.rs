//! `dsync sign` and `dsync verify`: every mistake by its name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use support::{Run, SECRET, run_with};

/// In milliseconds: 2026-01-05T09:00:00Z.
const TIME: &str = "1767603600000";
const AT: &str = "2026-01-05T09:00:30Z";
const BODY: &str = r#"{"id":"event_1","data":{"id":"directory_user_1","name":"Zoë/Ω","n":1.50},"event":"dsync.user.created"}"#;

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header_of(key: &[u8], time: &str, body: &[u8]) -> String {
    format!("t={time}, v1={}", hex(mac(key, &[time.as_bytes(), b".", body])))
}

fn header(body: &str) -> String {
    header_of(SECRET.as_bytes(), TIME, body.as_bytes())
}

fn verify(header: &str, body: &str, secret: &str) -> Run {
    let run = run_with(&["verify", "--at", AT, "--header", header], body.as_bytes(), secret);
    assert!(!run.stdout.contains("Zoë") && !run.stdout.contains("whsec_of"), "{run:?}");
    run
}

/// What fits, line by line.
fn found(header: &str, body: &str, secret: &str) -> Vec<String> {
    let run = verify(header, body, secret);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("not genuine"), "{run:?}");
    let lines = run.stdout.lines().filter_map(|line| line.strip_prefix("  what fits: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_signed_verifies() {
    for arguments in [&["sign"][..], &["sign", "--seconds"], &["sign", "--at", "-2m"]] {
        let signed = run_with(arguments, BODY.as_bytes(), SECRET);
        assert_eq!((signed.code, signed.stderr.as_str()), (Some(0), ""));
        let run = run_with(&["verify", "--header", signed.stdout.trim()], BODY.as_bytes(), SECRET);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.starts_with("genuine: dsync.user.created event_1, signed "), "{run:?}");
    }
}

#[test]
fn signs_as_the_known_vector() {
    let run = run_with(&["sign", "--at", "1700000000000"], b"body", "secret");
    let expected = "workos-signature: t=1700000000000, v1=32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn an_event_id_cannot_forge_a_line() {
    let body = BODY.replace("event_1", "event_1\\n  what fits: everything\\u009b");
    let run = verify(&header(&body), &body, SECRET);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        run.stdout,
        "genuine: dsync.user.created event_1\\n  what fits: everything\\u{9b}, signed 30.0 s ago, at 2026-01-05T09:00:00Z\n"
    );
}

#[test]
fn the_age_is_told() {
    let stale = |at: &str, tolerance: &str| {
        let arguments = ["verify", "--at", at, "--tolerance", tolerance, "--header", &header(BODY)];
        let run = run_with(&arguments, BODY.as_bytes(), SECRET);
        (run.code, run.stdout)
    };
    let (code, text) = stale("2026-01-05T09:03:00Z", "3m");
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = stale("2026-01-05T09:03:00.001Z", "3m");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.starts_with("genuine, but outside of the tolerance of 180s: signed 3 min ago"),
        "{text}"
    );
    let (code, text) = stale("2026-01-05T08:00:00Z", "3m");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("signed 60 min ahead of now"), "{text}");
    assert_eq!(stale("2026-01-12T08:00:00Z", "30d").0, Some(0));
}

#[test]
fn genuine_but_no_event() {
    let run = verify(&header("[]"), "[]", SECRET);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.starts_with("genuine, signed 30.0 s ago"), "{run:?}");
    assert!(run.stdout.contains("but "), "{run:?}");
}

#[test]
fn mistakes_with_the_secret() {
    let with = |key: &str| header_of(key.as_bytes(), TIME, BODY.as_bytes());
    let decoded = STANDARD.decode("c2VjcmV0LW9mLXRlc3Rz").unwrap();
    for (header, secret, expected) in [
        (with(&format!("{SECRET}\n")), SECRET, "the signer's secret ends with a line break"),
        (with(&format!("{SECRET} ")), SECRET, "the signer's secret ends with a space"),
        (with(SECRET), &format!(" {SECRET}"), "the secret given here has white space at an end"),
        (with(SECRET), &format!("\"{SECRET}\""), "the secret given here is in quotes"),
        (with("of_the_tests"), SECRET, "the signer left out `whsec_`"),
        (with(SECRET), "of_the_tests", "the secret given here lacks `whsec_`"),
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
    for (signed, given, expected) in [
        (BODY.to_owned(), format!("{BODY}\n"), "the body has gained a line break"),
        (format!("{BODY}\n"), BODY.to_owned(), "the body has lost the line break"),
        (BODY.to_owned(), pretty.clone(), "the body was parsed and written anew; compact, it fits"),
        (python, BODY.to_owned(), "the body was signed as Python's json.dumps"),
        (php, BODY.to_owned(), "the body was signed as PHP's json_encode"),
        (
            BODY.replace('ë', "\\u00eb").replace('Ω', "\\u03a9"),
            BODY.to_owned(),
            "the body's \\u escapes became characters",
        ),
        (sorted, BODY.to_owned(), "the body was signed compact with its keys sorted"),
        (pretty.clone(), pretty.replace('\n', "\r\n"), "the body's line breaks became CRLF"),
        (BODY.to_owned(), format!("\u{feff}{BODY}"), "the body has gained a byte order mark"),
    ] {
        let found = found(&header(&signed), &given, SECRET);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn mistakes_with_what_is_signed() {
    let key = SECRET.as_bytes();
    let body = BODY.as_bytes();
    let v1 = |bytes: Vec<u8>| format!("t={TIME}, v1={}", hex(bytes));
    let right = mac(key, &[TIME.as_bytes(), b".", body]);
    let mut sha512 = Hmac::<Sha512>::new_from_slice(key).unwrap();
    sha512.update(format!("{TIME}.{BODY}").as_bytes());
    for (header, expected) in [
        (v1(mac(key, &[body])), "the body alone was signed"),
        (v1(mac(key, &[TIME.as_bytes(), body])), "`t` and the body were signed without the dot"),
        (
            v1(mac(key, &[b"1767603600.", body])),
            "the header's `t` is in milliseconds, but in seconds",
        ),
        (
            header_of(key, TIME, body).replace("000,", ","),
            "the header's `t` is in seconds, but in milliseconds",
        ),
        (v1(sha512.finalize().into_bytes().to_vec()), "HMAC-SHA512 was used"),
        (
            v1(Sha256::digest(format!("{TIME}.{BODY}")).to_vec()),
            "a plain SHA-256 without the secret",
        ),
        (format!("t={TIME}, v1={}", STANDARD.encode(&right)), "the signature is written in base64"),
        (format!("t={TIME}, v1={}", hex(&right[..16])), "the signature is cut short"),
        (format!("sha256={}", hex(mac(key, &[body]))), "the body alone was signed"),
    ] {
        let found = found(&header, BODY, SECRET);
        assert_eq!(found.len(), 1, "{header}: {found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn two_mistakes_at_once() {
    let key = format!("{SECRET}\n");
    let header = header_of(key.as_bytes(), TIME, BODY.as_bytes());
    let found = found(&header, &format!("{BODY}\n"), SECRET);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("the body has gained a line break"), "{found:?}");
    assert!(found[1].starts_with("the signer's secret ends with a line break"), "{found:?}");
}

#[test]
fn only_the_form_is_wrong() {
    let run = verify(&format!("{}, t={TIME}", header(BODY)), BODY, SECRET);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("`t` stands more than once"), "{run:?}");
    assert!(run.stdout.contains("the signature itself fits"), "{run:?}");
}

#[test]
fn nothing_fits() {
    for (header, secret) in [
        (header(BODY), "whsec_another"),
        ("t=1, v1=00".into(), SECRET),
        ("".into(), SECRET),
        ("=,=,é".into(), SECRET),
    ] {
        let run = verify(&header, BODY, secret);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stdout.contains("none of the usual mistakes fits"), "{run:?}");
    }
    let run = verify(&header(BODY), "", SECRET);
    assert!(run.stdout.contains("the body is empty"), "{run:?}");
    let run = verify(&header(BODY), &BODY[..50], SECRET);
    assert!(run.stdout.contains("the body is not JSON"), "{run:?}");
}
