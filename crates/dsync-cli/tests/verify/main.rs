//! `dsync sign` and `dsync verify`. `mistakes` covers the common mistakes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod mistakes;
#[path = "../support/mod.rs"]
mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
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

fn verify(header: &str, body: impl AsRef<[u8]>, secret: &str) -> Run {
    let run = run_with(&["verify", "--at", AT, "--header", header], body.as_ref(), secret);
    assert!(!run.stdout.contains("Zoë") && !run.stdout.contains("whsec_of"), "{run:?}");
    run
}

const NOT_GENUINE: &str = "not genuine: no signature in the header fits this secret and this body";

#[test]
fn a_signed_body_verifies() {
    for arguments in [&["sign"][..], &["sign", "--seconds"], &["sign", "--at", "-2m"]] {
        let signed = run_with(arguments, BODY.as_bytes(), SECRET);
        assert_eq!((signed.code, signed.stderr.as_str()), (Some(0), ""));
        let run = run_with(&["verify", "--header", signed.stdout.trim()], BODY.as_bytes(), SECRET);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.starts_with("genuine: dsync.user.created event_1, signed "), "{run:?}");
    }
}

#[test]
fn a_known_vector_is_signed() {
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
        "genuine: dsync.user.created event_1\\n  what fits: everything\\u{9b}, signed 30 seconds ago, at 2026-01-05T09:00:00Z\n"
    );
}

#[test]
fn the_age_is_printed() {
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
        text.starts_with("genuine, but outside the tolerance of 3m: signed 3 minutes ago"),
        "{text}"
    );
    let (code, text) = stale("2026-01-05T08:00:00Z", "3m");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("signed 60 minutes in the future"), "{text}");
    assert_eq!(stale("2026-01-12T08:00:00Z", "30d").0, Some(0));
}

#[test]
fn genuine_but_no_event() {
    let run = verify(&header("[]"), "[]", SECRET);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.starts_with("genuine, signed 30 seconds ago"), "{run:?}");
    assert!(run.stdout.contains("but "), "{run:?}");
}

/// Without a readable header, nothing is known about the secret and the body.
#[test]
fn a_header_that_cannot_be_parsed_is_the_finding() {
    let right = mac(SECRET.as_bytes(), &[TIME.as_bytes(), b".", BODY.as_bytes()]);
    let v1 = format!("v1={}", hex(&right));
    let no_v1 = "no `v1` element of 64 hex digits";
    let control = "an element contains a control character";
    for (header, reason, hint) in [
        (String::new(), "an element is not `key=value`", "  it is empty"),
        ("=,=,é".into(), "an element is not `key=value`", ""),
        ("t=1, v1=00".into(), no_v1, ""),
        (format!("{}, t={TIME}", header(BODY)), "`t` occurs more than once", ""),
        (v1.clone(), "no `t` element", ""),
        (
            format!("t={TIME}, v1={}", STANDARD.encode(&right)),
            no_v1,
            "  the signature is in base64; it must be in hex",
        ),
        (
            format!("t={TIME}, v1={}", hex(&right[..16])),
            no_v1,
            "  the signature is truncated: it has fewer than 64 hex digits",
        ),
        (
            format!("t={TIME}, v1={}", "0a".repeat(20)),
            no_v1,
            "  the signature has 40 hex digits, like HMAC-SHA1; WorkOS uses HMAC-SHA256, which has 64",
        ),
        (
            format!("t={TIME}, v1={}", "0a".repeat(64)),
            no_v1,
            "  the signature has 128 hex digits, like HMAC-SHA512; WorkOS uses HMAC-SHA256, which has 64",
        ),
        (
            format!("sha256={}", hex(&right)),
            "no `t` element",
            "  `sha256=` is the form of another provider; WorkOS sends `t=…, v1=…`",
        ),
        (
            format!("t={TIME}000000, {v1}"),
            "`t` is not 1 to 16 digits",
            "  `t` is in nanoseconds; WorkOS sends milliseconds",
        ),
        (
            format!("t=1767603600.000, {v1}"),
            "`t` is not 1 to 16 digits",
            "  `t` has a fraction; WorkOS sends whole milliseconds",
        ),
        (
            format!("t=2026-01-05T09:00:00Z, {v1}"),
            "`t` is not 1 to 16 digits",
            "  `t` is a date; WorkOS sends milliseconds of Unix time",
        ),
        (
            format!("{0}\nworkos-signature: {0}", header(BODY)),
            control,
            "  it contains a line break: are these two headers, or one that was wrapped?",
        ),
        (
            format!("t={TIME},\n {v1}"),
            control,
            "  it contains a line break: are these two headers, or one that was wrapped?",
        ),
        (
            format!("t={TIME} {v1}"),
            "`t` is not 1 to 16 digits",
            "  the comma between its elements is missing",
        ),
        (SECRET.into(), "an element is not `key=value`", "  this is a secret, not a header"),
    ] {
        let run = verify(&header, BODY, "another");
        assert_eq!(run.code, Some(1), "{run:?}");
        let hint = if hint.is_empty() { String::new() } else { format!("{hint}\n") };
        let expected =
            format!("not genuine: the workos-signature header is malformed: {reason}\n{hint}");
        assert_eq!(run.stdout, expected, "{header}");
        // Even with the correct secret.
        assert_eq!(verify(&header, BODY, SECRET).stdout, expected, "{header}");
    }
}

#[test]
fn text_around_the_header_is_removed_and_reported() {
    let value = header(BODY);
    for (header, removed) in [
        (format!("> {value}"), "a quotation mark (`>`) at its start"),
        (format!("\"{value}\""), "quotes"),
        (format!("workos-signature: {value}"), "the header's name"),
        (format!("'WorkOS-Signature: {value}'"), "the header's name"),
        (
            format!("curl http://h/ -H 'workos-signature: {value}' --data-binary @b"),
            "a curl command, the header's name",
        ),
        (
            format!("curl http://h/ -H \"workos-signature: {value}\" -d '{{\"a\": 1}}'"),
            "a curl command, the header's name",
        ),
        (
            format!("> POST /hooks HTTP/1.1\n> host: h\n> workos-signature: {value}\n> a: b\n>"),
            "a quotation mark (`>`) at its start, the lines of other headers, the header's name",
        ),
    ] {
        let run = verify(&header, BODY, SECRET);
        assert_eq!(run.code, Some(0), "{run:?}");
        let removed = format!("  removed around the header: {removed}\n");
        assert_eq!(
            run.stdout,
            format!(
                "genuine: dsync.user.created event_1, signed 30 seconds ago, at 2026-01-05T09:00:00Z\n{removed}"
            ),
            "{header}"
        );
        let run = verify(&header, BODY, "whsec_another");
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stdout.starts_with(&format!("{NOT_GENUINE}\n{removed}")), "{run:?}");
    }
}
