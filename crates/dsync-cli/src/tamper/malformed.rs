//! Requests that are signed with the secret, but that WorkOS would not send. An endpoint that accepts one is not deceived,
//! but careless.

use tower_workos::testing::sample;

use super::{
    cases::{Case, Expect, Forge},
    request::{Framing, Pace, RawRequest},
};

/// Larger than any event, and larger than the limit of tower-workos.
const OVERSIZED: usize = 2 << 20;

pub(super) fn cases(forge: &Forge<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, status, request| {
        cases.push(Case { name, expect: Expect::Malformed(status), request });
    };
    header_cases(forge, &mut add);
    request_cases(forge, &mut add);
    body_cases(forge, &mut add);
    cases
}

/// The cases that take long.
pub(super) fn slow_cases(forge: &Forge<'_>) -> Vec<Case> {
    let case = |name, request: RawRequest| Case {
        name,
        expect: Expect::Malformed(408),
        request: request.pace(Pace::Slow),
    };
    vec![
        case("slow: one byte of the body at a time", forge.genuine(forge.body())),
        case("slow: the same in chunks", forge.genuine(forge.body()).framing(Framing::Chunks(64))),
    ]
}

type Add<'a> = &'a mut dyn FnMut(&'static str, u16, RawRequest);

fn header_cases(forge: &Forge<'_>, add: Add<'_>) {
    let body = forge.body();
    let genuine = forge.header(&body);
    let wrong = format!("t={}, v1={}", forge.time(), "0".repeat(64));
    let with = |header: &str| RawRequest::new(header, body.clone());

    add(
        "two headers, a genuine and a forged one",
        400,
        with(&genuine).header("workos-signature", &wrong),
    );
    add(
        "two headers, a forged and a genuine one",
        400,
        with(&wrong).header("workos-signature", &genuine),
    );
    add("the genuine header twice", 400, with(&genuine).header("workos-signature", &genuine));
    add("the genuine time twice", 400, with(&format!("t={}, {genuine}", forge.time())));
    for (name, time) in [
        ("signed over a time that is not a number", "NaN".to_owned()),
        ("signed over an empty time", String::new()),
        ("signed over a negative time", format!("-{}", forge.time())),
        ("signed over a time with a plus", format!("+{}", forge.time())),
        ("signed over a time with a fraction", format!("{}.5", forge.seconds())),
        ("signed over a time beyond 64 bits", "99999999999999999999".to_owned()),
        ("signed over the smallest 64-bit number", i64::MIN.to_string()),
        ("signed over a date", "2026-01-05T09:00:00Z".to_owned()),
    ] {
        add(name, 400, with(&forge.header_at(&time, &body)));
    }
    add("a header of 2 KiB", 400, with(&format!("{genuine}{}", ", v0=aaaaaaaa".repeat(160))));
}

fn request_cases(forge: &Forge<'_>, add: Add<'_>) {
    let genuine = || forge.genuine(forge.body());

    add("GET", 405, genuine().method("GET"));
    add("PUT", 405, genuine().method("PUT"));
    add("half of the body, then the end", 400, genuine().pace(Pace::Half));
    add(
        "a length that is too large, then the end",
        400,
        genuine().framing(Framing::Longer(1000)).pace(Pace::Half),
    );
    add("a length that is too small", 401, genuine().framing(Framing::Shorter(10)));
    add("two different lengths", 400, genuine().framing(Framing::TwoLengths));
    let oversized = || {
        let text = String::from_utf8(forge.body()).unwrap_or_default();
        let padding = "x".repeat(OVERSIZED);
        forge.genuine(text.replacen('{', &format!(r#"{{"padding":"{padding}","#), 1))
    };
    add("oversized: 2 MiB", 413, oversized());
    add("oversized: 2 MiB in chunks", 413, oversized().framing(Framing::Chunks(8192)));
}

fn body_cases(forge: &Forge<'_>, add: Add<'_>) {
    for (name, body) in [
        ("an empty body", ""),
        ("a body that is not JSON", "hello"),
        ("a truncated body", r#"{"id":"event_1","event":"dsync.user.created","data":{"id":"#),
        ("a body that is a list", "[]"),
        ("a body that is null", "null"),
        ("no id", r#"{"event":"dsync.activated","data":{"id":"directory_1"}}"#),
        ("no event name", r#"{"id":"event_1","data":{"id":"directory_1"}}"#),
        ("no data", r#"{"id":"event_1","event":"dsync.user.created"}"#),
        ("data without an id", r#"{"id":"event_1","event":"dsync.user.created","data":{}}"#),
        ("data that is a list", r#"{"id":"event_1","event":"dsync.user.created","data":[]}"#),
    ] {
        add(name, 422, forge.genuine(body));
    }
    let text = String::from_utf8(forge.body_of(sample::USER_CREATED)).unwrap_or_default();
    let mut broken = text.replace("Rosalind Okafor", "Rosalind \u{1}").into_bytes();
    for byte in &mut broken {
        if *byte == 1 {
            *byte = 0xff;
        }
    }
    add("a body that is not UTF-8", 422, forge.genuine(broken));
}
