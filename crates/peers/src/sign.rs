//! One body, signed as each peer's sender signs it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use tower_workos::{
    WebhookSecret,
    testing::{Delivery, Signer},
};

/// The secret of all senders but those that want base64.
pub(crate) const SECRET: &str = "whsec_of_the_peers";
/// The same for those: the base64 of 24 bytes that are no secret either.
pub(crate) const BASE64_SECRET: &str = "whsec_bm90IGEgc2VjcmV0LCAyNCBieXRlcy4u";
const ID: &str = "msg_2u1Xk9bQ4fC7";

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

pub(crate) fn now_in_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// As WorkOS does.
pub(crate) fn workos(body: &Bytes) -> Delivery {
    Signer::new(secret()).sign(body.clone())
}

/// The same header with another last digit.
pub(crate) fn forged(signature: &str) -> String {
    let (start, digit) = signature.split_at(signature.len() - 1);
    format!("{start}{}", if digit == "0" { "1" } else { "0" })
}

/// As Stripe does: the value of `stripe-signature`.
pub(crate) fn stripe(body: &str) -> String {
    let time = now_in_seconds().to_string();
    format!("t={time},v1={}", hex_mac(&[time.as_bytes(), b".", body.as_bytes()]))
}

/// As Slack does: the values of `x-slack-signature` and `x-slack-request-timestamp`.
pub(crate) fn slack(body: &str) -> (String, String) {
    let time = now_in_seconds().to_string();
    (format!("v0={}", hex_mac(&[b"v0:", time.as_bytes(), b":", body.as_bytes()])), time)
}

/// As Standard Webhooks says, with the signature made by the peer itself.
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
