//! Deliveries that WorkOS, its emulator or a later version of either may send. Rejecting one loses an event.

use tower_workos::testing::sample;

use super::{
    cases::{Case, Expect, Forge},
    request::{Framing, Pace, RawRequest},
};
use crate::json::{Layout, Style, restyle};

/// The first case is an ordinary delivery. If it is rejected, the other cases say little.
pub(super) fn cases(forge: &Forge<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, request| cases.push(Case { name, expect: Expect::Genuine, request });
    add("a delivery", forge.genuine(forge.body()));
    let twice = forge.genuine(forge.body());
    add("another delivery", twice.clone());
    add("the same delivery again: a duplicate", twice);
    for &sample in sample::ALL {
        add(sample.name(), forge.genuine(forge.body_of(sample)));
    }
    add(
        "dsync.user.updated: a deactivated user",
        forge.genuine(forge.body_of(sample::USER_DEACTIVATED)),
    );
    header_cases(forge, &mut add);
    body_cases(forge, &mut add);
    request_cases(forge, &mut add);
    cases
}

type Add<'a> = &'a mut dyn FnMut(&'static str, RawRequest);

fn header_cases(forge: &Forge<'_>, add: Add<'_>) {
    let wrong = "0".repeat(64);
    let mut header = |name, form: &dyn Fn(&str, &str) -> String| {
        let body = forge.body();
        let time = forge.time();
        add(name, RawRequest::new(form(&time, &forge.mac(&time, &body)), body));
    };
    header("no space after the comma", &|t, v1| format!("t={t},v1={v1}"));
    header("spaces and tabs around the elements", &|t, v1| format!("  t={t} ,\t v1={v1} "));
    header("the signature before the time", &|t, v1| format!("v1={v1}, t={t}"));
    header("an unknown v2 at the end", &|t, v1| format!("t={t}, v1={v1}, v2=abc"));
    header("an unknown v0 at the beginning", &|t, v1| format!("v0={wrong}, t={t}, v1={v1}"));
    header("two signatures, the first correct", &|t, v1| format!("t={t}, v1={v1}, v1={wrong}"));
    header("two signatures, the second correct", &|t, v1| format!("t={t}, v1={wrong}, v1={v1}"));
    header("upper-case hex", &|t, v1| format!("t={t}, v1={}", v1.to_uppercase()));
    let body = forge.body();
    let seconds = forge.seconds();
    let header = format!("t={seconds},v1={}", forge.mac(&seconds, &body));
    add("a time in seconds, as in the emulator", RawRequest::new(header, body));
    let body = forge.body();
    let header = forge.header(&body);
    add(
        "the header name with capital letters",
        RawRequest::unsigned(body).header("WorkOS-Signature", header),
    );
}

fn body_cases(forge: &Forge<'_>, add: Add<'_>) {
    let text = || String::from_utf8(forge.body()).unwrap_or_default();
    let edit = |from: &str, to: &str| forge.genuine(text().replacen(from, to, 1));
    add(
        "with \"object\": \"event\"",
        edit(r#","context":{}"#, r#","context":{},"object":"event""#),
    );
    add("without context", edit(r#","context":{}"#, ""));
    add("an unknown field", edit(r#""context""#, r#""new":[{"a":1}],"context""#));
    add("an unknown user state", edit(r#""state":"active""#, r#""state":"on_leave""#));
    let pretty = restyle(&text(), Style { layout: Layout::Indented("  "), ..Style::default() });
    add("an indented body", forge.genuine(pretty.unwrap_or_default()));
    let ascii =
        restyle(&text().replace("Rosalind", "Zoë 山田"), Style { ascii: true, ..Style::default() });
    add("a body with \\u escapes", forge.genuine(ascii.unwrap_or_default()));
    add("a body with a line break at its end", forge.genuine(text() + "\n"));
    let id = || format!("event_{}", crate::ids::fresh_id(forge.now));
    let body = format!(
        r#"{{"id":"wh_{}","event":"dsync.user.created","data":{{"id":"directory_user_1","state":"active"}}}}"#,
        id()
    );
    add("as before 2023: no created_at, a wh_ id", forge.genuine(body));
    let body = format!(
        r#"{{"event":"dsync.activated","id":"{}","created_at":"2023-04-28 20:05:31.093","data":{{"id":"directory_1"}}}}"#,
        id()
    );
    add("a time with a space, `event` first", forge.genuine(body));
    for (name, event) in [
        ("an unknown dsync event", "dsync.user.something_new"),
        ("an event of another product", "connection.activated"),
    ] {
        let body = format!(
            r#"{{"id":"{}","event":"{event}","data":{{"id":"x_1"}},"created_at":"2026-01-05T09:00:00.000Z"}}"#,
            id()
        );
        add(name, forge.genuine(body));
    }
    add(
        "a body of 200 KB",
        forge.genuine(text().replacen(
            '{',
            &format!(r#"{{"padding":"{}","#, "x".repeat(200_000)),
            1,
        )),
    );
}

fn request_cases(forge: &Forge<'_>, add: Add<'_>) {
    let genuine = || forge.genuine(forge.body());
    add("in chunks", genuine().framing(Framing::Chunks(512)));
    add("in chunks of one byte", genuine().framing(Framing::Chunks(1)));
    add("in many small writes", genuine().pace(Pace::Pieces(200)));
    let charset = genuine().without("content-type");
    add(
        "a content type with a charset",
        charset.header("content-type", "application/json; charset=utf-8"),
    );
    add("without a content type", genuine().without("content-type"));
}
