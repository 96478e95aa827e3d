//! Requests from an attacker who does not have the secret, but may have seen a delivery.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    cases::{Case, Expect, Forge},
    request::{RawRequest, mac, mac_of},
};
use crate::json::{Layout, Style, restyle};

pub(super) fn cases(forge: &Forge<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, status, request| {
        cases.push(Case { name, expect: Expect::Forged(status), request });
    };
    body_cases(forge, &mut add);
    key_cases(forge, &mut add);
    time_cases(forge, &mut add);
    form_cases(forge, &mut add);
    cases
}

type Add<'a> = &'a mut dyn FnMut(&'static str, u16, RawRequest);

/// The body differs from the signed one.
fn body_cases(forge: &Forge<'_>, add: Add<'_>) {
    let body = forge.body();
    let header = forge.header(&body);
    let text = String::from_utf8_lossy(&body).into_owned();
    let with = |other: &[u8]| RawRequest::new(&header, other);

    add(
        "one byte of the body changed",
        401,
        with(text.replace("\"active\"", "\"activf\"").as_bytes()),
    );
    add("a line break after the body", 401, with(&[&body, &b"\n"[..]].concat()));
    add("a byte order mark before the body", 401, with(&[&b"\xef\xbb\xbf"[..], &body].concat()));
    add(
        "the last byte of the body missing",
        401,
        with(body.get(..body.len() - 1).unwrap_or_default()),
    );
    add("no body", 401, with(b""));
    let pretty = restyle(&text, Style { layout: Layout::Indented("  "), ..Style::default() })
        .unwrap_or_default();
    add("the same JSON, indented", 401, with(pretty.as_bytes()));
    let doubled = text.replacen('{', r#"{"event":"dsync.deleted","#, 1);
    add("a second `event` before the first", 401, with(doubled.as_bytes()));
}

/// The key is not the secret, or the signature is not a MAC.
fn key_cases(forge: &Forge<'_>, add: Add<'_>) {
    let body = forge.body();
    let time = forge.time();
    let with = |v1: &str| RawRequest::new(format!("t={time}, v1={v1}"), body.clone());

    add("signed with another secret", 401, with(&mac(b"whsec_of_somebody_else", &time, &body)));
    add("signed with an empty secret", 401, with(&mac(b"", &time, &body)));
    add(
        "signed without a secret (SHA-256)",
        401,
        with(&hex::encode(Sha256::digest([time.as_bytes(), b".", &body].concat()))),
    );
    let genuine = forge.mac(&time, &body);
    let flipped = if genuine.ends_with('0') { "1" } else { "0" };
    let but_one = genuine.get(..63).unwrap_or_default();
    add("the last hex digit changed", 401, with(&format!("{but_one}{flipped}")));
    add("the signature all zeros", 401, with(&"0".repeat(64)));
    add("the first 8 digits of the signature", 400, with(genuine.get(..8).unwrap_or_default()));
    add("the signature without its last digit", 400, with(but_one));
    add("an empty signature", 400, with(""));
    add("a signature that is not hex", 400, with(&"zz".repeat(32)));
    add("eight signatures, all wrong", 401, with(&vec!["0".repeat(64); 8].join(", v1=")));
    add("the signature of the body alone", 401, with(&hex::encode(mac_of(forge.secret, &[&body]))));
    add("SHA-1 instead of SHA-256", 400, with(&hex::encode(Sha1::digest(&body))));
}

/// A recorded delivery that is sent again later, or one from the future.
fn time_cases(forge: &Forge<'_>, add: Add<'_>) {
    let body = forge.body();
    let (now, stale) = (forge.time(), forge.stale());
    let old = forge.mac(&stale, &body);
    let with = |header: String| RawRequest::new(header, body.clone());

    add("stale: signed before the tolerance", 401, with(forge.header_at(&stale, &body)));
    add("signed in the future", 401, with(forge.header_at(&forge.future(), &body)));
    add("an old signature with a new time", 401, with(format!("t={now}, v1={old}")));
    add("two times, the old one first", 400, with(format!("t={stale}, t={now}, v1={old}")));
    add("two times, the new one first", 400, with(format!("t={now}, t={stale}, v1={old}")));
    add("an old signature, the time is not a number", 400, with(format!("t=NaN, v1={old}")));
    add("an old signature, no time", 400, with(format!("v1={old}")));
    add("an old signature, an empty time", 400, with(format!("t=, v1={old}")));
    add(
        "an old signature, a time beyond 64 bits",
        400,
        with(format!("t=99999999999999999999, v1={old}")),
    );
    add("an old signature, a zero before the time", 401, with(format!("t=0{now}, v1={old}")));
}

/// The header is missing or malformed.
fn form_cases(forge: &Forge<'_>, add: Add<'_>) {
    let body = forge.body();
    let time = forge.time();
    let mac = forge.mac(&time, &body);
    let wrong = "0".repeat(64);
    let with = |header: &str| RawRequest::new(header, body.clone());

    add("no signature header", 401, RawRequest::unsigned(body.clone()));
    add("an empty signature header", 400, with(""));
    add("arbitrary text as signature header", 400, with("genuine, I promise"));
    add(
        "bytes in the header that are not text",
        400,
        RawRequest::new(b"t=1, v1=\xff\xfe", body.clone()),
    );
    add("only another version's signature (v2)", 400, with(&format!("t={time}, v2={mac}")));
    add("a signature without `v1=`", 400, with(&format!("t={time}, {mac}")));
    add(
        "two headers, both forged",
        400,
        with(&format!("t={time}, v1={wrong}"))
            .header("workos-signature", format!("t={time}, v1={wrong}")),
    );
    add(
        "the header under another name",
        401,
        RawRequest::unsigned(body.clone()).header("x-workos-signature", forge.header(&body)),
    );
    add(
        "a forged header of 2 KiB",
        400,
        with(&format!("t={time}, {}v1={wrong}", "v0=aaaaaaaa, ".repeat(160))),
    );
}
