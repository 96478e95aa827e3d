//! What the work costs at the least, and what the bench itself does.

use std::{collections::HashMap, time::SystemTime};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use sha2::Sha256;
use tower_workos::{DirectoryEvent, SignatureHeader, Timestamp};

use crate::{
    Row,
    rows::request as one_request,
    sign::{SECRET, workos},
};

/// One HMAC of time, dot and body, with the key's schedule done before.
fn mac(body: &Bytes) -> (impl Fn() -> [u8; 32] + Clone + use<>, String) {
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let delivery = workos(body);
    let (time, signature) =
        delivery.signature().strip_prefix("t=").unwrap().split_once(", v1=").unwrap();
    let (time, body) = (time.to_owned(), body.clone());
    let mac = move || {
        let mut mac = keyed.clone();
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(&body);
        mac.finalize().into_bytes().into()
    };
    (mac, signature.to_owned())
}

pub(super) fn hmac(body: &Bytes) -> Row {
    let (mac, signature) = mac(body);
    assert_eq!(hex::encode(mac()), signature);
    Row::new("hmac", "floor: one keyed HMAC", mac)
}

pub(super) fn request(body: &Bytes) -> Row {
    let (delivery, body) = (workos(body), body.clone());
    let make = move || one_request(delivery.signature(), &body);
    Row::new("request", "(a request made and dropped: subtracted)", make)
}

pub(super) fn hmac_and_parse(body: &Bytes) -> Row {
    let (mac, _) = mac(body);
    let body = body.clone();
    Row::new("hmac_parse", "floor: HMAC + typed parse", move || {
        (mac(), DirectoryEvent::parse(body.clone()).unwrap())
    })
}

/// The answer to a request that is turned away, as http makes it: two headers, and what it was for in the extensions.
pub(super) fn response() -> Row {
    let headers: HeaderMap = [
        (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
        (WWW_AUTHENTICATE, HeaderValue::from_static("WorkOS-Signature")),
    ]
    .into_iter()
    .collect();
    let rejection = SignatureHeader::parse(b"").unwrap_err();
    Row::new("response", "floor: a 401 made and dropped", move || {
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        *response.headers_mut() = headers.clone();
        response.extensions_mut().insert(rejection.clone());
        response
    })
}

/// Reading the machine's clock, which every verifier does once.
pub(super) fn clock() -> Row {
    Row::new("clock", "floor: the machine's clock read once", SystemTime::now)
}

/// What serde's derive makes of it: the same fields, with times read and attributes as `Value`. Attributes as
/// `RawValue` are not to be had: serde keeps what stands before the tag in a buffer of its own.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read, and dropped")]
struct User {
    id: String,
    directory_id: Option<String>,
    organization_id: Option<String>,
    idp_id: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    state: Option<State>,
    #[serde(default)]
    custom_attributes: HashMap<String, Value>,
    role: Option<Role>,
    #[serde(default)]
    roles: Vec<Role>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    #[serde(default)]
    previous_attributes: HashMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Inactive,
    Suspended,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read, and dropped")]
struct Role {
    slug: String,
}

/// `#[serde(tag)]`: the envelope as variants.
#[derive(Deserialize)]
#[serde(tag = "event")]
#[expect(dead_code, reason = "read, and dropped")]
enum Tagged {
    #[serde(rename = "dsync.user.created")]
    Created(Envelope),
    #[serde(rename = "dsync.user.deleted")]
    Deleted(Envelope),
    #[serde(rename = "dsync.user.updated")]
    Updated(Envelope),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read, and dropped")]
struct Envelope {
    id: String,
    created_at: Option<Timestamp>,
    data: User,
}

/// `#[serde(tag, content)]` flattened into the envelope.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read, and dropped")]
struct Flattened {
    id: String,
    created_at: Option<Timestamp>,
    #[serde(flatten)]
    event: Adjacent,
}

#[derive(Deserialize)]
#[serde(tag = "event", content = "data")]
#[expect(dead_code, reason = "read, and dropped")]
enum Adjacent {
    #[serde(rename = "dsync.user.created")]
    Created(User),
    #[serde(rename = "dsync.user.deleted")]
    Deleted(User),
    #[serde(rename = "dsync.user.updated")]
    Updated(User),
}

pub(super) fn parsing(body: &Bytes) -> [Row; 3] {
    let (skipped, tagged, flattened) = (body.clone(), body.clone(), body.clone());
    let skip = move || serde_json::from_slice::<IgnoredAny>(&skipped).unwrap();
    let tagged = move || serde_json::from_slice::<Tagged>(&tagged).unwrap();
    let flattened = move || serde_json::from_slice::<Flattened>(&flattened).unwrap();
    let is_read = |user: &User| {
        matches!(user.state, Some(State::Active))
            && user.roles.len() == 2
            && user.previous_attributes.len() == 2
    };
    assert!(matches!(tagged(), Tagged::Updated(envelope) if is_read(&envelope.data)));
    assert!(matches!(flattened().event, Adjacent::Updated(user) if is_read(&user)));
    [
        Row::new("skip", "floor: serde_json skips it (IgnoredAny)", skip),
        Row::new("tagged", "#[serde(tag)], attributes as Value", tagged),
        Row::new("tagged_flattened", "#[serde(tag, content)] in #[serde(flatten)]", flattened),
    ]
}
