//! The span of each delivery: when there is one, its fields, and what is inside it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{sleep, timeout};
use tower::{Layer as _, ServiceBuilder, ServiceExt, service_fn};
use tower_workos::{
    DedupeLayer, DirectoryEvent, MemoryStore, grpc::GrpcWebhookLayer, testing::sample,
    verify::VerifiedBody,
};
use tracing::{
    Event, Id, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::support::{delivery, layer, send};

type Fields = BTreeMap<String, String>;

/// What was recorded on this thread.
#[derive(Clone, Default)]
struct Capture {
    /// The fields of each span of this crate, in the order in which the spans opened.
    spans: Arc<Mutex<Vec<Span>>>,
    /// The message of each event, and the `event_id` of the innermost span around it.
    events: Arc<Mutex<Vec<Line>>>,
}

/// The message of an event, and the `event_id` around it.
type Line = (String, Option<String>);

#[derive(Clone, Debug)]
struct Span {
    metadata: &'static Metadata<'static>,
    fields: Fields,
    is_closed: bool,
}

/// The index of a span in [`Capture::spans`].
struct Index(usize);

impl Capture {
    fn here(&self) -> DefaultGuard {
        tracing_subscriber::registry().with(self.clone()).set_default()
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The fields of the only span. It is closed.
    #[track_caller]
    fn only(&self) -> Fields {
        let spans = self.spans();
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert!(spans[0].is_closed);
        spans[0].fields.clone()
    }

    /// The `event_id` around each event with this message.
    fn around(&self, message: &str) -> Vec<Option<String>> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(of, _)| of == message).map(|(_, id)| id.clone()).collect()
    }
}

struct Visitor<'f>(&'f mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let again = self.0.insert(field.name().to_owned(), format!("{value:?}"));
        assert_eq!(again, None, "{} was recorded twice", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != "tower_workos::delivery" {
            return;
        }
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        let mut spans = self.spans.lock().unwrap();
        context.span(id).unwrap().extensions_mut().insert(Index(spans.len()));
        spans.push(Span { metadata: attributes.metadata(), fields, is_closed: false });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(Index(index)) = context.span(id).unwrap().extensions().get() {
            values.record(&mut Visitor(&mut self.spans.lock().unwrap()[*index].fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let span = context.event_span(event);
        let around = span.and_then(|span| {
            let extensions = span.extensions();
            let Index(index) = extensions.get()?;
            self.spans.lock().unwrap()[*index].fields.get("event_id").cloned()
        });
        self.events.lock().unwrap().push((fields.remove("message").unwrap_or_default(), around));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(Index(index)) = context.span(&id).unwrap().extensions().get() {
            self.spans.lock().unwrap()[*index].is_closed = true;
        }
    }
}

fn full(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    delivery(body)
}

fn fields<const N: usize>(fields: [(&str, &str); N]) -> Fields {
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn a_delivery_has_a_span_with_these_fields() {
    let capture = Capture::default();
    let _here = capture.here();
    let outcome = send(&layer(), full(sample::USER_CREATED)).await;
    let event = outcome.event();
    assert_eq!(event.name(), "dsync.user.created");
    let (id, directory) = (event.id().as_str(), event.directory_id().unwrap().as_str());
    assert_eq!(
        capture.only(),
        fields([
            ("directory_id", directory),
            ("event_id", id),
            ("event_name", "dsync.user.created"),
            ("http.response.status_code", "200"),
            ("messaging.destination.name", "dsync.user.created"),
            ("messaging.message.id", id),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.system", "workos"),
            ("otel.kind", "consumer"),
            ("otel.name", "process dsync.user.created"),
            ("outcome", "success"),
        ])
    );
    let metadata = capture.spans()[0].metadata;
    assert_eq!((metadata.name(), metadata.level()), ("workos_delivery", &Level::INFO));
}

/// Anybody can send a request that is rejected, so none may create a span.
#[tokio::test(start_paused = true)]
async fn a_rejected_request_has_no_span() {
    let capture = Capture::default();
    let _here = capture.here();
    let unsigned = Request::post("/").body(Full::<Bytes>::default()).unwrap();
    send(&layer(), unsigned).await.kind();
    send(&layer(), full("{}")).await.kind();
    send(&layer().body_limit(9), full(sample::USER_CREATED)).await.kind();
    assert!(capture.spans().is_empty());
    assert_eq!(capture.around("request rejected"), [None, None, None]);
}

#[tokio::test]
async fn ids_and_names_are_escaped_and_truncated_and_nothing_else_is_shown() {
    let capture = Capture::default();
    let _here = capture.here();
    let long = "x".repeat(100);
    let odd = r#"{"id":"event_1\nERROR forged","event":"x.y\u001b[2J","payload_canary":1,"data":{"directory_id":"payload_canary"}}"#;
    let user = format!(
        r#"{{"id":"{long}","event":"dsync.user.created","data":{{"id":"directory_user_1","directory_id":"d\n{long}","state":"active","first_name":"payload_canary","email":"payload_canary@x"}}}}"#
    );
    for body in [odd.to_owned(), user] {
        send(&layer(), full(body)).await.event();
    }
    let spans = capture.spans();
    assert!(!format!("{spans:?}").contains("payload_canary"), "{spans:?}");
    assert_eq!(spans[0].fields["event_id"], r"event_1\nERROR forged");
    assert_eq!(spans[0].fields["otel.name"], r"process x.y\u{1b}[2J");
    assert_eq!(spans[0].fields.get("directory_id"), None);
    assert_eq!(spans[1].fields["messaging.message.id"], format!("{}…", "x".repeat(64)));
    assert_eq!(spans[1].fields["directory_id"], format!(r"d\n{}…", "x".repeat(62)));
}

/// What the handler does.
#[derive(Clone, Copy)]
enum Handler {
    Error,
    Hang,
    Panic,
    Respond(u16),
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_that_of_the_handler() {
    for (handler, outcome, status, error) in [
        (Handler::Respond(204), "success", Some("204"), None),
        (Handler::Respond(404), "failure", Some("404"), Some("404")),
        (Handler::Error, "failure", None, Some("error")),
        (Handler::Panic, "failure", None, Some("panic")),
        (Handler::Hang, "cancelled", None, Some("cancelled")),
    ] {
        let capture = Capture::default();
        let _here = capture.here();
        let service = layer().layer(service_fn(move |_: Request<VerifiedBody>| async move {
            sleep(Duration::from_millis(1)).await;
            let mut response = Response::new(Full::<Bytes>::default());
            match handler {
                Handler::Error => return Err(io::Error::other("of the handler")),
                Handler::Hang => std::future::pending().await,
                Handler::Panic => panic!("of the handler"),
                Handler::Respond(status) => {
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                }
            }
            Ok(response)
        }));
        let response = service.oneshot(full(sample::USER_CREATED));
        // A task catches the panic. It runs on this thread.
        drop(tokio::spawn(timeout(Duration::from_secs(5), response)).await);
        let fields = capture.only();
        let field = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(field("outcome"), Some(outcome));
        assert_eq!(field("http.response.status_code"), status);
        assert_eq!(field("error.type"), error);
        assert_eq!(field("otel.status_code"), error.map(|_| "ERROR"));
    }
}

/// Logs when it is dropped.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        tracing::info!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_deliveries_have_spans_of_their_own() {
    let capture = Capture::default();
    let _here = capture.here();
    let service = layer().layer(service_fn(|request: Request<VerifiedBody>| {
        tracing::info!("called");
        async move {
            let _loud = Loud;
            let event = request.extensions().get::<DirectoryEvent>().unwrap();
            let slow = event.id() == "event_1";
            sleep(Duration::from_secs(if slow { 9 } else { 1 })).await;
            tracing::info!("handled");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    }));
    let send = |id| service.clone().oneshot(full(sample::USER_CREATED.with_id(id)));
    let both = async { tokio::join!(send("event_1"), send("event_2")) };
    // Dropped while the first one is handled.
    assert!(timeout(Duration::from_secs(5), both).await.is_err());
    tracing::info!("outside");

    let [first, second] = &capture.spans()[..] else { panic!("{:?}", capture.spans()) };
    assert!(first.is_closed && second.is_closed);
    assert_eq!(first.fields["outcome"], "cancelled");
    assert_eq!(second.fields["outcome"], "success");
    let (one, two) = (Some("event_1".to_owned()), Some("event_2".to_owned()));
    assert_eq!(capture.around("called"), [one.clone(), two.clone()]);
    assert_eq!(capture.around("dropped"), [two.clone(), one]);
    assert_eq!(capture.around("handled"), [two]);
    assert_eq!(capture.around("outside"), [None]);
    assert_eq!(capture.around("event accepted"), [None, None]);
}

#[tokio::test]
async fn the_deduplication_records_its_outcome_in_the_span() {
    let capture = Capture::default();
    let _here = capture.here();
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(DedupeLayer::new("workos", MemoryStore::default()))
        .service(service_fn(async |_: Request<VerifiedBody>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    for _ in 0..2 {
        let response = service.clone().oneshot(full(sample::USER_CREATED)).await;
        assert_eq!(response.unwrap().status(), 200);
    }
    let dedupe: Vec<_> = capture.spans().iter().map(|span| span.fields["dedupe"].clone()).collect();
    assert_eq!(dedupe, ["Completed", "Duplicate"]);
}

#[tokio::test]
async fn a_delivery_to_a_tonic_server_has_a_span() {
    let capture = Capture::default();
    let _here = capture.here();
    let grpc = GrpcWebhookLayer::new("/webhooks/workos", layer())
        .dedupe(DedupeLayer::new("workos", MemoryStore::default()));
    let service = grpc.layer(service_fn(async |_: Request<tonic::body::Body>| {
        tracing::info!("called");
        let mut response = Response::new(tonic::body::Body::empty());
        response.headers_mut().insert("grpc-status", "14".parse().unwrap());
        Ok::<_, Infallible>(response)
    }));
    let response = service.clone().oneshot(full(sample::USER_CREATED)).await.unwrap();
    assert_eq!(response.status(), 503);
    let fields = capture.only();
    assert_eq!(fields["outcome"], "failure");
    assert_eq!(fields["error.type"], "503");
    assert_eq!(fields["dedupe"], "Released");
    assert_eq!(capture.around("called"), [Some(fields["event_id"].clone())]);

    let call = Request::post("/other.Service/Call").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(service.oneshot(call).await.unwrap().status(), 200);
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(capture.around("called")[1], None);
}
