//! Sends requests through the whole layer, with bodies in any frames, at any pace, complete or not, genuine or not.

use std::{cell::RefCell, future::poll_fn, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;
use tower_workos::{
    Rejection, RejectionKind, ResponseBody, SIGNATURE_HEADER, Timestamp, Verifier,
    VerifyWebhookLayer, WebhookSecret, WebhookSecrets,
    testing::{ManualClock, sample},
};

pub use self::input::Input;
use self::{
    body::{Polled, ScriptedBody, actions},
    drive::drive,
    handler::{Call, Failure, Handler, Shared},
    input::{Behaviour, Ending, Exchange, Header, Hint, Length, Payload, Verb},
    predict::{Prediction, predict, status},
};

mod body;
mod drive;
mod handler;
mod input;
mod predict;

/// The current time of the verifier's clock, as Unix time in milliseconds.
const NOW: i64 = 1_770_000_000_000;
const TOLERANCE_MILLIS: u64 = 180_000;
const SECRETS: [&str; 2] = ["whsec_of_the_fuzzing", "whsec_of_yesterday"];

thread_local! {
    /// Its clock is paused: it advances to the next timer when all tasks are waiting.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

type Outcome = Result<Response<ResponseBody<Full<Bytes>>>, Failure>;

/// Sends the requests one after the other, and then a plain one.
///
/// # Panics
///
/// If a response isn't the predicted one, or if the handler receives bytes other than those signed.
pub fn check(input: &Input) {
    RUNTIME.with_borrow_mut(|runtime| {
        runtime
            .get_or_insert_with(|| {
                Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .expect("a runtime")
            })
            .block_on(exchanges(input));
    });
}

async fn exchanges(input: &Input) {
    let secrets = SECRETS.map(|secret| WebhookSecret::new(secret).expect("a valid secret"));
    let secrets = WebhookSecrets::new(secrets).expect("two secrets");
    let now = ManualClock::new(Timestamp::from_unix_millis_saturating(NOW));
    let timeout = Duration::from_millis(input.timeout_millis());
    let layer = VerifyWebhookLayer::new(Verifier::new(secrets).clock(now))
        .body_limit(input.body_limit())
        .body_timeout(timeout);
    let handler = Handler::default();
    let shared = Rc::clone(&handler.shared);
    let mut service = layer.layer(handler);
    for exchange in input.exchanges.iter().take(3) {
        one(&mut service, &shared, exchange, input).await;
    }
    if input.body_limit() >= sample::USER_CREATED.body().len() {
        one(&mut service, &shared, &plain(), input).await;
        assert_eq!(shared.calls.borrow().len(), 1, "not of use any more");
    }
}

/// A genuine delivery in one frame.
fn plain() -> Exchange {
    Exchange {
        payload: Payload::Sample { index: 3, spaces: 0 },
        header: Header::Genuine { second_secret: false, seconds: false },
        length: Length::Declared(0),
        hint: Hint::Exact,
        steps: Vec::new(),
        ending: Ending::Rest,
        method: Verb::Post,
        dropped_after: None,
        behaviour: Behaviour::default(),
    }
}

async fn one(
    service: &mut impl Service<
        Request<ScriptedBody>,
        Response = Response<ResponseBody<Full<Bytes>>>,
        Error = Failure,
    >,
    shared: &Rc<Shared>,
    exchange: &Exchange,
    input: &Input,
) {
    let payload = exchange.payload.bytes();
    let planned = actions(&payload, &exchange.steps, &exchange.ending);
    let prediction = predict(exchange, &planned, input.body_limit(), input.timeout_millis());
    let polled = Rc::<Polled>::default();
    let body = ScriptedBody::new(planned, &exchange.hint, Rc::clone(&polled));
    let Some(request) = request(exchange, &payload, body) else { return };

    shared.calls.borrow_mut().clear();
    shared.behaviour.set(exchange.behaviour);
    poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
    let outcome = drive(service.call(request), exchange.dropped_after, &polled, input).await;

    if !prediction.body_is_read {
        assert_eq!(polled.polls.get(), 0, "the body was polled");
    }
    assert!(
        polled.bytes_before_last.get() <= input.body_limit(),
        "the body was read beyond the limit"
    );
    check_calls(&shared.calls.borrow(), &prediction);
    if let Some(outcome) = outcome {
        let calls = shared.calls.borrow().len();
        check_response(outcome, &prediction, exchange.behaviour, calls).await;
    }
}

/// Builds the request; `None` if the `http` crate doesn't allow its parts.
fn request(
    exchange: &Exchange,
    payload: &Bytes,
    body: ScriptedBody,
) -> Option<Request<ScriptedBody>> {
    let mut request = Request::new(body);
    *request.method_mut() = match exchange.method {
        Verb::Post => Method::POST,
        Verb::Get => Method::GET,
        Verb::Options => Method::OPTIONS,
        Verb::Other(byte) => Method::from_bytes(&[b'p', b'o', b's', byte]).ok()?,
    };
    for line in exchange.header.lines(payload) {
        request.headers_mut().append(SIGNATURE_HEADER, HeaderValue::from_bytes(&line).ok()?);
    }
    if let Some(text) = exchange.length.text(payload.len()) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_bytes(&text).ok()?);
    }
    Some(request)
}

/// Checks that the handler was called only with a signed and complete body, unchanged.
fn check_calls(calls: &[Call], prediction: &Prediction) {
    assert!(calls.len() <= 1, "the handler was called more than once");
    let Some(call) = calls.first() else { return };
    assert_eq!(call.bytes, prediction.sent, "the handler received bytes other than those sent");
    assert_eq!(call.event.raw(), &call.bytes);
    let index = call.event.signature().map(|signature| signature.secret_index());
    match prediction.outcome {
        Some(Ok(signer)) => assert_eq!(index, Some(signer)),
        Some(Err(kind)) => panic!("the handler was called instead of a rejection: {kind}"),
        None => {}
    }
}

async fn check_response(
    outcome: Outcome,
    prediction: &Prediction,
    behaviour: Behaviour,
    calls: usize,
) {
    let response = match outcome {
        Ok(response) => response,
        Err(Failure) => {
            assert!(behaviour.fails && calls == 1, "{prediction:?}");
            return;
        }
    };
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let rejected = parts.extensions.get::<Rejection>().map(Rejection::kind);
    let Some(kind) = rejected else {
        assert!(matches!(prediction.outcome, Some(Ok(_)) | None), "{prediction:?}");
        assert!(!behaviour.fails);
        assert_eq!((calls, parts.status), (1, behaviour.status()));
        assert_eq!(body, prediction.sent);
        return;
    };
    let expected = prediction.outcome.unwrap_or(Err(RejectionKind::InvalidPayload));
    assert_eq!((Err(kind), calls), (expected, 0));
    assert_eq!(parts.status.as_u16(), status(kind));
    assert_eq!(
        parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes),
        Some(&b"application/problem+json"[..])
    );
    assert_eq!(parts.headers.contains_key(ALLOW), status(kind) == 405);
    assert_eq!(parts.headers.contains_key(WWW_AUTHENTICATE), status(kind) == 401);
    let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(problem.get("status"), Some(&status(kind).into()));
}
