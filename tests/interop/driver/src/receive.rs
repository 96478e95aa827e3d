//! `testing::Signer` signs; the SDKs accept what is genuine, but for what is known of them.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};
use workos::helpers::webhook_verification::WebhookVerifier;

use crate::{Failure, OTHER_SECRET, SECRET, Tally, bodies, process::Sdk};

/// Where an SDK refuses what is genuine, or accepts what is not. A row that is no longer true fails the run.
struct Known {
    who: &'static str,
    /// The calls that it is true of.
    calls: &'static [&'static str],
    cases: Cases,
    why: &'static str,
}

enum Cases {
    /// Whose names begin so.
    Named(&'static [&'static str]),
    /// Whose envelope lacks `object`, as nearly all that WorkOS sends.
    WithoutObject,
}

const BOTH: &[&str] = &["verify", "construct"];
const CONSTRUCT: &[&str] = &["construct"];

const fn known(
    who: &'static str,
    calls: &'static [&'static str],
    cases: Cases,
    why: &'static str,
) -> Known {
    Known { who, calls, cases, why }
}

const KNOWN: [Known; 14] = {
    use Cases::{Named, WithoutObject};
    [
        known(
            "node SDK",
            BOTH,
            Named(&["the same as escapes", "white space", "numbers that"]),
            "it signs the body as it would write it itself",
        ),
        known(
            "node SDK",
            BOTH,
            Named(&["header: seconds"]),
            "it takes every time for milliseconds",
        ),
        known("node SDK", BOTH, Named(&["header: hex in upper"]), "it compares texts"),
        known(
            "node SDK",
            BOTH,
            Named(&["header: another secret's v1 before"]),
            "it looks at the first v1 only",
        ),
        known(
            "node SDK",
            BOTH,
            Named(&["forged: signed an hour ahead"]),
            "it looks at the past only",
        ),
        known(
            "node SDK",
            CONSTRUCT,
            Named(&["dsync.token."]),
            "it takes the data for another object",
        ),
        known(
            "python SDK",
            BOTH,
            Named(&["header: seconds", "header: no space", "header: a v2", "header: another"]),
            "it wants two elements with a space between",
        ),
        known("python SDK", BOTH, Named(&["header: hex in upper"]), "it compares texts"),
        known(
            "python SDK",
            CONSTRUCT,
            Named(&[
                "old:",
                "names",
                "the same as",
                "white space",
                "data before",
                "numbers",
                "an event of",
            ]),
            "it wants fields that recorded bodies lack",
        ),
        known(
            "workos crate",
            BOTH,
            Named(&["header: seconds"]),
            "it takes every time for milliseconds",
        ),
        known(
            "workos crate",
            BOTH,
            Named(&["header: a v2"]),
            "it refuses elements it does not know",
        ),
        known("workos crate", BOTH, Named(&["header: hex in upper"]), "it compares texts"),
        known(
            "workos crate",
            BOTH,
            Named(&["header: another secret's v1 after"]),
            "it looks at the last v1 only",
        ),
        known("workos crate", CONSTRUCT, WithoutObject, "it wants the envelope's object"),
    ]
};

impl Known {
    fn applies(&self, who: &str, call: &str, case: &Case) -> bool {
        let of_case = match self.cases {
            Cases::Named(names) => names.iter().any(|name| case.name.starts_with(name)),
            Cases::WithoutObject => !case.body.contains(r#""object":"event""#),
        };
        of_case && self.who == who && self.calls.contains(&call)
    }
}

struct Case {
    name: String,
    header: String,
    body: String,
    genuine: bool,
}

pub fn all(node: &mut Sdk, python: &mut Sdk, tally: &mut Tally) -> Result<(), Failure> {
    let cases = cases()?;
    for who in ["node SDK", "python SDK", "workos crate"] {
        for call in BOTH {
            for case in &cases {
                let Case { name, header, body, genuine } = case;
                let request =
                    json!({"action": call, "secret": SECRET, "header": header, "body": body});
                let answer = match who {
                    "node SDK" => node.ask(&request)?,
                    "python SDK" => python.ask(&request)?,
                    _ => workos_crate(call, header, body),
                };
                let accepted = answer["ok"] == Value::Bool(true);
                let result = if accepted { "accepted" } else { "refused" };
                let right = accepted == *genuine;
                let kind = if *genuine { "genuine" } else { "forged" };
                let (expected, result) = match KNOWN.iter().find(|it| it.applies(who, call, case)) {
                    None if right => (true, result.to_owned()),
                    None => (false, format!("{result}: {}", answer["error"])),
                    Some(Known { why, .. }) if !right => {
                        (true, format!("{result}, though {kind}: {why}"))
                    }
                    Some(_) => {
                        (false, format!("{result}, against its row in KNOWN: take that out"))
                    }
                };
                tally.check(&format!("{who}, {call}"), name, expected, &result);
            }
        }
    }
    Ok(())
}

fn cases() -> Result<Vec<Case>, Failure> {
    let signer = Signer::new(WebhookSecret::new(SECRET)?);
    let other = WebhookSecret::new(OTHER_SECRET)?;
    let mut cases = Vec::new();
    for body in bodies::all() {
        let delivery = signer.sign(body.text.clone());
        cases.push(Case {
            name: body.name,
            header: delivery.signature().to_owned(),
            body: body.text,
            genuine: true,
        });
    }
    let now = SystemTime::now();
    let body =
        String::from(sample::DIRECTORY_DELETED.body()).replacen('{', r#"{"object":"event","#, 1);
    let mut push = |name: &str, signer: &Signer, genuine, change: &dyn Fn(&str) -> String| {
        let header = change(signer.sign(body.clone()).signature());
        cases.push(Case { name: name.to_owned(), header, body: body.clone(), genuine });
    };
    let same = |header: &str| header.to_owned();
    push("header: seconds, no space", &signer.clone().seconds(), true, &same);
    push("header: no space", &signer, true, &|header| header.replace(", ", ","));
    push("header: a v2 element more", &signer, true, &|header| format!("{header}, v2=00"));
    push("header: hex in upper case", &signer, true, &|header| {
        let (time, hex) = header.split_once("v1=").unwrap_or_default();
        format!("{time}v1={}", hex.to_uppercase())
    });
    push(
        "header: another secret's v1 after it",
        &signer.clone().add_secret(other.clone()),
        true,
        &same,
    );
    push(
        "header: another secret's v1 before it",
        &Signer::new(other.clone()).add_secret(WebhookSecret::new(SECRET)?),
        true,
        &same,
    );
    push("forged: another secret", &Signer::new(other), false, &same);
    push(
        "forged: signed 181 s ago",
        &signer.clone().at(now - Duration::from_secs(181)),
        false,
        &same,
    );
    push(
        "forged: signed an hour ahead",
        &signer.clone().at(now + Duration::from_secs(3600)),
        false,
        &same,
    );
    push("forged: no number as time", &signer, false, &|header| {
        format!("t=soon, {}", header.split_once(", ").unwrap_or_default().1)
    });
    push("forged: no signature", &signer, false, &|header| {
        format!("{}, v1=", header.split_once(',').unwrap_or_default().0)
    });
    let delivery = signer.sign(body.clone());
    cases.push(Case {
        name: "forged: a byte of the body changed".to_owned(),
        header: delivery.signature().to_owned(),
        body: body.replacen("directory_", "directorX_", 1),
        genuine: false,
    });
    Ok(cases)
}

fn workos_crate(what: &str, header: &str, body: &str) -> Value {
    let verifier = WebhookVerifier::new(SECRET);
    let outcome = match what {
        "verify" => verifier.verify_payload(header, body).map(drop),
        _ => verifier.construct_event(header, body).map(drop),
    };
    match outcome {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"ok": false, "error": error.to_string()}),
    }
}
