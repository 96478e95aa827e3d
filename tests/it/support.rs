//! Helpers that the tests share.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write},
    pin::Pin,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_workos::{
    DirectoryEvent, Rejection, RejectionKind, Timestamp, Verifier, VerifyWebhookLayer,
    WebhookSecret,
    testing::{ManualClock, Signer},
    verify::VerifiedBody,
};

/// Must not occur in a log, an error or a `Debug`: the secrets of these tests, and parts of the samples and the hostile
/// bodies.
const CANARIES: [&str; 6] =
    ["whsec_canary", "northwind", "Northwind", "Rosalind", "Okafor", "payload_canary"];

pub const SECRET: &str = "whsec_canary_5f1c9e";
pub const OTHER_SECRET: &str = "whsec_canary_other";
/// The time of the tests' clock.
pub const NOW: i64 = 1_770_000_000_000;

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis_saturating(millis)
}

pub fn secret() -> WebhookSecret {
    watch_log();
    WebhookSecret::new(SECRET).unwrap()
}

pub fn other_secret() -> WebhookSecret {
    watch_log();
    WebhookSecret::new(OTHER_SECRET).unwrap()
}

pub fn verifier() -> Verifier {
    Verifier::new(secret()).clock(ManualClock::new(at(NOW)))
}

pub fn layer() -> VerifyWebhookLayer {
    VerifyWebhookLayer::new(verifier())
}

pub fn signer() -> Signer {
    Signer::new(secret()).at(at(NOW))
}

/// A delivery of this body, signed now.
pub fn delivery<B: From<Bytes>>(body: impl Into<Bytes>) -> Request<B> {
    signer().sign(body).into_request("/webhooks/workos").unwrap()
}

/// The same with a body of any type, but the signature of `signed`.
pub fn delivery_of<B>(signed: &[u8], body: B) -> Request<B> {
    let (mut parts, _) = delivery::<Bytes>(signed.to_vec()).into_parts();
    parts.headers.remove("content-length");
    Request::from_parts(parts, body)
}

/// A handler that keeps its requests.
#[derive(Clone, Default)]
pub struct Handler {
    calls: Arc<AtomicUsize>,
}

impl Handler {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The layer around it.
    pub fn wrap<B>(
        &self,
        layer: &VerifyWebhookLayer,
    ) -> impl Service<Request<B>, Response = Response<Answer>, Error = Infallible> + use<B>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let calls = Arc::clone(&self.calls);
        layer.layer(service_fn(move |request: Request<VerifiedBody>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                let event = request.extensions().get::<DirectoryEvent>().cloned();
                let body = request.into_body().collect().await?;
                assert!(body.trailers().is_none());
                let mut response = Response::new(Full::new(body.to_bytes()));
                response.extensions_mut().insert(event.unwrap());
                Ok::<_, Infallible>(response)
            }
        }))
    }
}

pub type Answer = tower_workos::ResponseBody<Full<Bytes>>;

/// Sends one request through the layer to a handler that echoes it.
pub async fn send<B>(layer: &VerifyWebhookLayer, request: Request<B>) -> Outcome
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = Handler::default();
    let response = handler.wrap(layer).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Outcome {
        status: parts.status.as_u16(),
        headers: parts.headers,
        rejection: parts.extensions.get::<Rejection>().cloned(),
        event: parts.extensions.get::<DirectoryEvent>().cloned(),
        body: body.collect().await.unwrap().to_bytes(),
        handled: handler.calls(),
    }
}

pub struct Outcome {
    pub status: u16,
    pub headers: HeaderMap,
    pub rejection: Option<Rejection>,
    pub event: Option<DirectoryEvent>,
    pub body: Bytes,
    pub handled: usize,
}

impl Outcome {
    /// The kind of a rejection. Also checks what must be true of every rejection.
    #[track_caller]
    pub fn kind(&self) -> RejectionKind {
        let rejection = self.rejection.as_ref().expect("a rejection in the response's extensions");
        assert_eq!(self.handled, 0, "the handler was called for a rejected request");
        assert_eq!(self.status, rejection.status().as_u16());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let texts = format!("{rejection} {rejection:?} {}", String::from_utf8_lossy(&self.body));
        assert!(!leaks(&texts), "{texts}");
        rejection.kind()
    }

    /// The event of a request that passed.
    #[track_caller]
    pub fn event(&self) -> &DirectoryEvent {
        assert_eq!((self.status, self.handled), (200, 1), "{:?}", self.rejection);
        let event = self.event.as_ref().unwrap();
        assert_eq!(event.raw(), &self.body, "the handler's body is not the event's bytes");
        event
    }
}

/// What a [`ScriptBody`] does when polled.
#[derive(Clone, Debug)]
pub enum Step {
    Data(Bytes),
    Trailers,
    Error,
    /// Not ready, but woken immediately.
    Wait,
    /// Not ready for this long.
    Sleep(std::time::Duration),
    /// Never ready again.
    Hang,
    /// Empty frames without end.
    EmptyForever,
    /// Panics, for bodies that must not be polled.
    Untouchable,
}

/// A body that follows a script, frame by frame.
pub struct ScriptBody {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    hint: Option<u64>,
    pub polls: Arc<AtomicUsize>,
}

impl ScriptBody {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), sleep: None, hint: None, polls: Arc::default() }
    }

    /// In frames of this many bytes.
    pub fn chunks(body: &[u8], length: usize) -> Self {
        Self::new(body.chunks(length).map(|chunk| Step::Data(Bytes::copy_from_slice(chunk))))
    }

    pub fn hint(mut self, length: u64) -> Self {
        self.hint = Some(length);
        self
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        if let Some(sleep) = self.sleep.as_mut() {
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-trailer", http::HeaderValue::from_static("unsigned"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Step::Error) => {
                Poll::Ready(Some(Err(io::Error::other("broke off near payload_canary"))))
            }
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Sleep(duration)) => {
                self.sleep = Some(Box::pin(tokio::time::sleep(duration)));
                self.poll_frame(cx)
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                Poll::Pending
            }
            Some(Step::EmptyForever) => {
                self.steps.push_front(Step::EmptyForever);
                Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
            }
            Some(Step::Untouchable) => panic!("the body was polled"),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// Ends the test run at the first log line, of any level and crate, that contains a secret or a payload.
pub fn watch_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Watch)
            .init();
    });
}

fn leaks(text: &str) -> bool {
    CANARIES.iter().any(|canary| text.contains(canary))
}

#[test]
fn the_watch_finds_secrets_and_payloads() {
    assert!(leaks(&format!("secret={SECRET}")) && leaks(&format!("{OTHER_SECRET:?}")));
    for &sample in tower_workos::testing::sample::ALL {
        let personal = sample.name().contains("user");
        assert!(leaks(sample.body()) || !personal, "{}", sample.name());
    }
    assert!(!leaks("kind=SignatureMismatch"));
}

struct Watch;

impl Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if leaks(&text) {
            // A panic would at most fail the test that happens to log.
            let _ = writeln!(io::stderr(), "a secret or a payload is in the log: {text}");
            std::process::abort();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
