//! The Rust part of the interoperability check: the samples and the `Signer` of `tower-workos`, and the `workos` crate.
//!
//! Each command except `samples` reads JSON lines from stdin and writes one to stdout for each.

mod list;

use std::{
    env,
    error::Error,
    io::{BufRead as _, Write as _},
    process::ExitCode,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tower_workos::{
    Timestamp, WebhookSecret,
    testing::{Signer, sample},
};
use workos::webhook_verification::{WebhookVerifier, compute_webhook_signature};

type BoxError = Box<dyn Error>;

/// A body to sign.
#[derive(Deserialize)]
struct ToSign {
    /// Unix time, in milliseconds.
    t: i64,
    secret: String,
    /// Also signs with this secret, which adds a `v1`.
    second_secret: Option<String>,
    #[serde(default)]
    seconds: bool,
    body: String,
}

/// The same for the `workos` crate, which accepts any text as the time.
#[derive(Deserialize)]
struct ToSignAnyTime {
    t: Value,
    secret: String,
    body: String,
}

#[derive(Serialize)]
struct Signed {
    header: String,
    body: String,
}

/// A delivery to verify.
#[derive(Deserialize)]
struct ToVerify {
    secret: String,
    header: String,
    body: String,
}

fn main() -> ExitCode {
    let command = env::args().nth(1).unwrap_or_default();
    let done = match command.as_str() {
        "samples" => samples(),
        "sign" => answer(sign),
        "workos-sign" => answer(|delivery| Ok(workos_sign(delivery))),
        "workos-verify" => answer(|delivery| Ok(workos_verify(&delivery))),
        "list" => answer(list::list),
        _ => Err("usage: interop samples | sign | workos-sign | workos-verify | list".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn samples() -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
        writeln!(out, "{}", json!({ "name": sample.name(), "body": sample.body() }))?;
    }
    Ok(())
}

fn answer<Q: DeserializeOwned, A: Serialize>(
    answer: impl Fn(Q) -> Result<A, BoxError>,
) -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(serde_json::from_str(&line?)?)?;
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

fn sign(to_sign: ToSign) -> Result<Signed, BoxError> {
    let mut signer = Signer::new(WebhookSecret::new(to_sign.secret)?)
        .at(Timestamp::from_unix_millis_saturating(to_sign.t));
    if let Some(secret) = to_sign.second_secret {
        signer = signer.add_secret(WebhookSecret::new(secret)?);
    }
    if to_sign.seconds {
        signer = signer.seconds();
    }
    let delivery = signer.sign(to_sign.body.clone());
    Ok(Signed { header: delivery.signature().to_owned(), body: to_sign.body })
}

fn workos_sign(to_sign: ToSignAnyTime) -> Signed {
    let timestamp = to_sign.t.as_str().map_or_else(|| to_sign.t.to_string(), str::to_owned);
    let signature = compute_webhook_signature(&to_sign.secret, &timestamp, &to_sign.body);
    Signed { header: format!("t={timestamp}, v1={signature}"), body: to_sign.body }
}

/// The crate's results for the signature alone and for the event.
fn workos_verify(delivery: &ToVerify) -> Value {
    let verifier = WebhookVerifier::new(delivery.secret.as_str());
    let signature = match verifier.verify_payload(&delivery.header, &delivery.body) {
        Ok(body) if body == delivery.body => json!({ "ok": true }),
        Ok(_) => json!({ "rejected": "accepted, but returned another body" }),
        Err(error) => json!({ "rejected": error.to_string() }),
    };
    let construct = match verifier.construct_event(&delivery.header, &delivery.body) {
        Ok(event) => json!({ "ok": true, "name": event.event, "id": event.id }),
        Err(error) => json!({ "rejected": error.to_string() }),
    };
    json!({ "signature": signature, "event": construct })
}
