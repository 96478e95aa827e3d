//! Signs a body as the sender that each peer verifies would.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use tower_workos::{
    WebhookSecret,
    testing::{Delivery, Signer},
};

/// The secret of all senders except those of Standard Webhooks.
pub(crate) const SECRET: &str = "whsec_of_the_peers";
/// The secret of Standard Webhooks' senders, which must be base64: that of the text "not a secret, 24 bytes..".
pub(crate) const BASE64_SECRET: &str = "whsec_bm90IGEgc2VjcmV0LCAyNCBieXRlcy4u";
const ID: &str = "msg_2u1Xk9bQ4fC7";

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

pub(crate) fn now_in_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Signs as WorkOS does.
pub(crate) fn workos(body: &Bytes) -> Delivery {
    Signer::new(secret()).sign(body.clone())
}

/// Changes the last digit of a signature header.
pub(crate) fn forged(signature: &str) -> String {
    let (start, digit) = signature.split_at(signature.len() - 1);
    format!("{start}{}", if digit == "0" { "1" } else { "0" })
}

/// Signs as Stripe does. Returns the value of `stripe-signature`.
pub(crate) fn stripe(body: &str) -> String {
    let time = now_in_seconds().to_string();
    format!("t={time},v1={}", hex_mac(&[time.as_bytes(), b".", body.as_bytes()]))
}

/// Signs as Slack does. Returns the values of `x-slack-signature` and `x-slack-request-timestamp`.
pub(crate) fn slack(body: &str) -> (String, String) {
    let time = now_in_seconds().to_string();
    (format!("v0={}", hex_mac(&[b"v0:", time.as_bytes(), b":", body.as_bytes()])), time)
}

/// The headers of Standard Webhooks, with a signature made by the peer under test.
pub(crate) fn standard(sign: impl Fn(&str, i64) -> String) -> HeaderMap {
    let time = i64::try_from(now_in_seconds()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", HeaderValue::from_static(ID));
    headers.insert("webhook-timestamp", time.into());
    headers.insert("webhook-signature", sign(ID, time).parse().unwrap());
    headers
}

fn hex_mac(pieces: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    pieces.iter().for_each(|piece| mac.update(piece));
    hex::encode(mac.finalize().into_bytes())
}
