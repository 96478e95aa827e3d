//! Verifiers of other senders' webhooks. Each verifies its own sender's signature of the same body, except
//! async-stripe-webhook: it reads only Stripe's events, so it has a body of its own of the same length.

use std::hint::black_box;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use slack_morphism::{
    prelude::SlackSigningSecret, signature_verifier::SlackEventSignatureVerifier,
};
use tower::Layer;
use webhook_verify::{Provider, Secret, VerifyOptions, tower::VerifyLayer};

use crate::{
    row::Row,
    rows::service::{Nothing, call},
    sign::{BASE64_SECRET, SECRET, slack, standard, stripe},
};

pub(super) fn all(body: &Bytes) -> Vec<Row> {
    let mut rows = Vec::from(webhook_verify(body));
    rows.push(slack_morphism(body));
    rows.extend(standardwebhooks(body));
    rows.extend(svix(body));
    rows.push(async_stripe(body.len()));
    rows
}

/// Its function and its layer, both with Stripe's scheme, which differs from that of WorkOS only in the unit of time.
fn webhook_verify(body: &Bytes) -> [Row; 3] {
    let text = std::str::from_utf8(body).unwrap();
    let signature = stripe(text);
    let make = {
        let (signature, body) = (signature.clone(), body.clone());
        move || {
            Request::post("/webhooks")
                .header("stripe-signature", &signature)
                .body(Full::new(body.clone()))
                .unwrap()
        }
    };

    let mut service =
        VerifyLayer::<Bytes>::new(Provider::Stripe, Secret::new(SECRET)).layer(Nothing);
    let request = make.clone();
    let mut layer = move || call(&mut service, request());
    assert_eq!(layer(), StatusCode::OK);

    let (secret, headers, body) =
        (Secret::new(SECRET), make().into_parts().0.headers, body.clone());
    let verify = move || {
        let options = VerifyOptions::default();
        webhook_verify::verify(Provider::Stripe, black_box(&headers), &body, &secret, options)
    };
    assert!(verify().is_ok());
    [
        Row::new("webhook_verify", "webhook-verify 0.1.0: verify", verify),
        Row::new("stripe_request", "(its request created and dropped: subtracted)", make),
        Row::new("webhook_verify_layer", "webhook-verify 0.1.0: its layer (verify only)", layer)
            .subtract("stripe_request"),
    ]
}

fn slack_morphism(body: &Bytes) -> Row {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (signature, time) = slack(&body);
    let verifier = SlackEventSignatureVerifier::new(&SlackSigningSecret(SECRET.to_owned()));
    let verify = move || verifier.verify(black_box(&signature), &body, &time);
    assert!(verify().is_ok());
    Row::new("slack_morphism", "slack-morphism 2.31.1: verify", verify)
}

/// The rows of two crates that have the same interface.
macro_rules! standard_webhooks {
    ($webhook:ty, $body:expr, $key:literal, $read_key:literal, $name:literal) => {{
        let webhook = <$webhook>::new(BASE64_SECRET).unwrap();
        let headers = standard(|id, time| webhook.sign(id, time, $body).unwrap());
        let (reading, read_headers) = (<$webhook>::new(BASE64_SECRET).unwrap(), headers.clone());
        let (body, read_body) = ($body.clone(), $body.clone());
        let verify = move || webhook.verify(&body, black_box(&headers));
        let read = move || {
            reading.verify(&read_body, black_box(&read_headers)).unwrap();
            serde_json::from_slice::<Value>(&read_body).unwrap()
        };
        assert!(verify().is_ok());
        assert_eq!(read()["data"]["state"], "active");
        [
            Row::new($key, concat!($name, ": verify"), verify),
            Row::new($read_key, concat!($name, ": verify + Value"), read),
        ]
    }};
}

fn standardwebhooks(body: &Bytes) -> [Row; 2] {
    standard_webhooks!(
        standardwebhooks::Webhook,
        body,
        "standardwebhooks",
        "standardwebhooks_value",
        "standardwebhooks 1.0.1"
    )
}

fn svix(body: &Bytes) -> [Row; 2] {
    standard_webhooks!(svix::webhooks::Webhook, body, "svix", "svix_value", "svix 2.9.1")
}

/// An event about a bank account, with as much metadata as fills the length.
fn async_stripe(length: usize) -> Row {
    let start = r#"{"id":"evt_1S8kQ2","object":"event","api_version":"2026-09-30.endive","created":1770828055,"livemode":false,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"account.external_account.created","data":{"object":{"id":"ba_1S8kPz","object":"bank_account","account":"acct_1S8k","account_holder_name":"Marlowe Freight","account_holder_type":"company","account_type":null,"available_payout_methods":["standard"],"bank_name":"A BANK","country":"GB","currency":"gbp","customer":null,"default_for_currency":true,"fingerprint":"f2c7","last4":"6789","routing_number":"108800","status":"new","metadata":{"#;
    let end = "}}}}";
    let room = length - start.len() - end.len();
    let mut metadata = String::new();
    for index in 0.. {
        let member = format!(r#""attribute_{index:02}":"value {index:02} of this one","#);
        if metadata.len() + member.len() + 40 > room {
            break;
        }
        metadata.push_str(&member);
    }
    let last = "y".repeat(room - metadata.len() - r#""z":"""#.len());
    let body = format!(r#"{start}{metadata}"z":"{last}"{end}"#);
    assert_eq!(body.len(), length);
    let signature = stripe(&body);
    let construct = move || {
        stripe_webhook::Webhook::construct_event(&body, black_box(&signature), SECRET).unwrap()
    };
    assert_eq!(construct().id.as_str(), "evt_1S8kQ2");
    Row::new(
        "async_stripe",
        "async-stripe-webhook 1.0.0-rc.10: construct_event (a Stripe event)",
        construct,
    )
}
