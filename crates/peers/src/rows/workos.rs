//! The official `workos` crate.

use std::hint::black_box;

use bytes::Bytes;
use serde_json::Value;
use workos::{
    WebhookVerifier,
    models::{DsyncUserUpdated, DsyncUserUpdatedData},
};

use crate::{
    row::Row,
    sign::{SECRET, workos as sign},
};

pub(super) fn all(body: &Bytes) -> [Row; 4] {
    let delivery = sign(body);
    let text = String::from_utf8(body.to_vec()).unwrap();
    let parts = || (WebhookVerifier::new(SECRET), delivery.signature().to_owned(), text.clone());

    let (verifier, signature, body) = parts();
    let verify = move || verifier.verify_payload(black_box(&signature), &body).unwrap();
    assert_eq!(verify(), text);

    let (verifier, signature, body) = parts();
    let construct = move || verifier.construct_event(black_box(&signature), &body).unwrap();
    assert_eq!(construct().data["state"], "active");

    let (verifier, signature, body) = parts();
    let typed = move || {
        let body = verifier.verify_payload(black_box(&signature), &body).unwrap();
        serde_json::from_str::<DsyncUserUpdated>(&body).unwrap()
    };
    assert_eq!(typed().data.custom_attributes["badge_level"], 4);

    let (verifier, signature, body) = parts();
    let construct_typed = move || {
        let event = verifier.construct_event(black_box(&signature), &body).unwrap();
        let data = Value::Object(event.data.into_iter().collect());
        serde_json::from_value::<DsyncUserUpdatedData>(data).unwrap()
    };
    assert_eq!(construct_typed().custom_attributes["badge_level"], 4);

    [
        Row::new("workos_verify", "workos 3.5.0: verify_payload", verify),
        Row::new("workos_typed", "workos 3.5.0: verify_payload + typed parse", typed),
        Row::new("workos_construct", "workos 3.5.0: construct_event (a map of Value)", construct),
        Row::new(
            "workos_construct_typed",
            "workos 3.5.0: construct_event + from_value to its type",
            construct_typed,
        ),
    ]
}
