//! Lower bounds: the unavoidable work alone, other ways to parse, and the benchmark's own work.

use std::{collections::HashMap, hint::black_box, time::SystemTime};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use sha2::Sha256;
use tower_workos::{DirectoryEvent, Rejection, SignatureHeader, Timestamp};

use crate::{
    row::Row,
    rows::service::request as one_request,
    sign::{SECRET, workos},
};

/// Returns a function that computes the HMAC of time, dot and body with a prepared key, and the expected digest.
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
    Row::new("request", "(a request created and dropped: subtracted)", make)
}

pub(super) fn hmac_and_parse(body: &Bytes) -> Row {
    let (mac, _) = mac(body);
    let body = body.clone();
    Row::new("hmac_parse", "floor: HMAC + typed parse", move || {
        (mac(), DirectoryEvent::parse(body.clone()).unwrap())
    })
}

/// The response to a rejected request, built with the `http` crate: two headers, and the reason in the extensions.
pub(super) fn response() -> Row {
    let headers: HeaderMap = [
        (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
        (WWW_AUTHENTICATE, HeaderValue::from_static("WorkOS-Signature")),
    ]
    .into_iter()
    .collect();
    let rejection = Rejection::from(SignatureHeader::parse(b"").unwrap_err());
    Row::new("response", "floor: a 401 response created and dropped", move || {
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        *response.headers_mut() = headers.clone();
        response.extensions_mut().insert(rejection.clone());
        response
    })
}

/// Reading the system clock, which every verifier does once.
pub(super) fn clock() -> Row {
    Row::new("clock", "floor: the system clock read once", SystemTime::now)
}

/// The user as serde's derive reads it. `A` is the type of the attributes: `RawValue` doesn't work inside a tagged enum,
/// because serde buffers what precedes the tag.
#[derive(Deserialize)]
#[expect(dead_code, reason = "deserialized and dropped")]
struct User<A> {
    id: String,
    directory_id: Option<String>,
    organization_id: Option<String>,
    idp_id: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    state: Option<State>,
    custom_attributes: Option<A>,
    role: Option<Role>,
    #[serde(default)]
    roles: Vec<Role>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    previous_attributes: Option<A>,
}

type Values = HashMap<String, Value>;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Inactive,
    Suspended,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "deserialized and dropped")]
struct Role {
    slug: String,
}

/// The envelope as an enum, `#[serde(tag)]`.
#[derive(Deserialize)]
#[serde(tag = "event")]
#[expect(dead_code, reason = "deserialized and dropped")]
enum Tagged {
    #[serde(rename = "dsync.user.created")]
    Created(Envelope),
    #[serde(rename = "dsync.user.deleted")]
    Deleted(Envelope),
    #[serde(rename = "dsync.user.updated")]
    Updated(Envelope),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "deserialized and dropped")]
struct Envelope {
    id: String,
    created_at: Option<Timestamp>,
    data: User<Values>,
}

/// `#[serde(tag, content)]`, flattened into the envelope.
#[derive(Deserialize)]
#[expect(dead_code, reason = "deserialized and dropped")]
struct Flattened {
    id: String,
    created_at: Option<Timestamp>,
    #[serde(flatten)]
    event: Adjacent,
}

#[derive(Deserialize)]
#[serde(tag = "event", content = "data")]
#[expect(dead_code, reason = "deserialized and dropped")]
enum Adjacent {
    #[serde(rename = "dsync.user.created")]
    Created(User<Values>),
    #[serde(rename = "dsync.user.deleted")]
    Deleted(User<Values>),
    #[serde(rename = "dsync.user.updated")]
    Updated(User<Values>),
}

/// The envelope with its data as text, which is parsed once the event's name is known.
#[derive(Deserialize)]
#[expect(dead_code, reason = "deserialized and dropped")]
struct RawEnvelope<'a> {
    id: String,
    event: &'a str,
    created_at: Option<Timestamp>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Parses in two steps: first the envelope, then its data.
fn two_steps(body: &[u8]) -> User<Box<RawValue>> {
    let envelope: RawEnvelope<'_> =
        serde_json::from_str(std::str::from_utf8(body).unwrap()).unwrap();
    match black_box(&envelope).event {
        "dsync.user.created" | "dsync.user.deleted" | "dsync.user.updated" => {
            serde_json::from_str(envelope.data.get()).unwrap()
        }
        other => panic!("unexpected event {other}"),
    }
}

pub(super) fn parsing(body: &Bytes) -> [Row; 4] {
    let (skipped, tagged, flattened, stepwise) =
        (body.clone(), body.clone(), body.clone(), body.clone());
    let stepwise = move || two_steps(&stepwise);
    let skip = move || serde_json::from_slice::<IgnoredAny>(&skipped).unwrap();
    let tagged = move || serde_json::from_slice::<Tagged>(&tagged).unwrap();
    let flattened = move || serde_json::from_slice::<Flattened>(&flattened).unwrap();
    let is_read = |user: &User<Values>| {
        matches!(user.state, Some(State::Active))
            && user.roles.len() == 2
            && user.previous_attributes.as_ref().is_some_and(|previous| previous.len() == 2)
    };
    assert!(matches!(tagged(), Tagged::Updated(envelope) if is_read(&envelope.data)));
    assert!(matches!(flattened().event, Adjacent::Updated(user) if is_read(&user)));
    assert!(stepwise().previous_attributes.is_some_and(|raw| raw.get().starts_with('{')));
    [
        Row::new("skip", "floor: serde_json skips the body (IgnoredAny)", skip),
        Row::new("two_steps", "serde derive in two steps, attributes as RawValue", stepwise),
        Row::new("tagged", "#[serde(tag)], attributes as Value", tagged),
        Row::new("tagged_flattened", "#[serde(tag, content)] in #[serde(flatten)]", flattened),
    ]
}
