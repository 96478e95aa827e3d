//! The layer on a tonic server, over real sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tonic::{Code, Response, Status, transport::Server};
use tower_workos::{
    DirectoryEvent,
    grpc::{
        DeliverRequest, DeliverResponse, GrpcWebhookLayer, directory_event,
        directory_events_client::DirectoryEventsClient,
        directory_events_server::{DirectoryEvents, DirectoryEventsServer},
        http_status,
    },
    testing::sample,
};

use crate::support::{delivery, layer};

/// Returns a code that the test sets.
#[derive(Clone, Default)]
struct Directory {
    code: Arc<AtomicI32>,
    last: Arc<Mutex<Option<Delivered>>>,
}

/// An event, and the `traceparent` of its request.
type Delivered = (DirectoryEvent, Option<String>);

#[tonic::async_trait]
impl DirectoryEvents for Directory {
    async fn deliver(
        &self,
        request: tonic::Request<DeliverRequest>,
    ) -> Result<Response<DeliverResponse>, Status> {
        let event = directory_event(&request)?;
        assert!(!request.metadata().contains_key("workos-signature"));
        let trace =
            request.metadata().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        *self.last.lock().unwrap() = Some((event, trace));
        match Code::from_i32(self.code.load(Ordering::SeqCst)) {
            Code::Ok => Ok(Response::new(DeliverResponse {})),
            code => Err(Status::new(code, "payload_canary stays in the server")),
        }
    }
}

/// Another service on the same server.
#[derive(Clone)]
pub struct Other;

impl tonic::server::NamedService for Other {
    const NAME: &'static str = "test.Other";
}

impl tower::Service<Request<tonic::body::Body>> for Other {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            assert_eq!(request.uri().path(), "/test.Other/Echo");
            assert!(request.extensions().get::<DirectoryEvent>().is_none());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = http::Response::new(tonic::body::Body::new(Full::new(body)));
            response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            response.headers_mut().insert("x-untouched", "yes".parse().unwrap());
            Ok(response)
        })
    }
}

async fn serve(directory: Option<Directory>, with_layer: bool) -> SocketAddr {
    let incoming =
        tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let router = Server::builder()
        .accept_http1(true)
        .layer(tower::util::option_layer(
            with_layer.then(|| GrpcWebhookLayer::new("webhooks/workos", layer())),
        ))
        .add_optional_service(directory.map(DirectoryEventsServer::new))
        .add_service(Other);
    tokio::spawn(router.serve_with_incoming(incoming));
    address
}

pub async fn post(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (u16, http::HeaderMap, String) {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("http://{address}{}", parts.uri.path()).parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(Request::from_parts(parts, body)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_11);
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_delivery_reaches_a_service_method() {
    let directory = Directory::default();
    let address = serve(Some(directory.clone()), true).await;
    for &sample in sample::ALL {
        let mut request = delivery::<Full<Bytes>>(sample);
        request.headers_mut().insert("traceparent", "00-1-2-01".parse().unwrap());
        request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        let (status, _, body) = post(address, request).await;
        assert_eq!((status, body.as_str()), (200, ""));
        let (event, trace) = directory.last.lock().unwrap().take().unwrap();
        assert_eq!(event.raw(), sample.body());
        assert_eq!(trace.as_deref(), Some("00-1-2-01"));
    }
}

#[tokio::test]
async fn the_status_of_the_call_becomes_the_status_of_the_response() {
    let directory = Directory::default();
    let address = serve(Some(directory.clone()), true).await;
    for (code, status) in [
        (Code::Ok, 200),
        (Code::Cancelled, 499),
        (Code::Unknown, 500),
        (Code::InvalidArgument, 400),
        (Code::DeadlineExceeded, 504),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::PermissionDenied, 403),
        (Code::ResourceExhausted, 429),
        (Code::FailedPrecondition, 400),
        (Code::Aborted, 409),
        (Code::OutOfRange, 400),
        (Code::Unimplemented, 501),
        (Code::Internal, 500),
        (Code::Unavailable, 503),
        (Code::DataLoss, 500),
        (Code::Unauthenticated, 401),
    ] {
        assert_eq!(http_status(code).as_u16(), status);
        directory.code.store(code.into(), Ordering::SeqCst);
        let (answered, headers, body) = post(address, delivery(sample::USER_CREATED)).await;
        assert_eq!(answered, status, "{code:?}");
        assert!(
            !body.contains("payload_canary") && !format!("{headers:?}").contains("payload_canary")
        );
        if status != 200 {
            assert_eq!(headers["content-type"], "application/problem+json");
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], status);
        }
    }
}

#[tokio::test]
async fn forged_deliveries_do_not_reach_it() {
    let directory = Directory::default();
    let address = serve(Some(directory.clone()), true).await;
    let forged = delivery::<Full<Bytes>>(sample::USER_CREATED).map(|_| Full::from("forged"));
    let (status, headers, body) = post(address, forged).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (401, &"application/problem+json".parse().unwrap())
    );
    assert!(body.contains("SignatureMismatch"));
    assert!(directory.last.lock().unwrap().is_none());
}

#[tokio::test]
async fn without_the_service_or_at_another_path_nothing_is_acknowledged() {
    let address = serve(None, true).await;
    assert_eq!(post(address, delivery(sample::USER_CREATED)).await.0, 501);
    // A delivery to another path: tonic would respond with 200.
    let mut request = delivery::<Full<Bytes>>(sample::USER_CREATED);
    *request.uri_mut() = "/webhooks/other".parse().unwrap();
    let (status, headers, _) = post(address, request).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );
    // The path of the method, which is not the endpoint's either.
    let mut request = delivery::<Full<Bytes>>(sample::USER_CREATED);
    *request.uri_mut() = "/tower_workos.v1.DirectoryEvents/Deliver".parse().unwrap();
    assert_eq!(post(address, request).await.0, 404);
}

#[tokio::test]
async fn the_method_cannot_be_called_from_outside() {
    let directory = Directory::default();
    for (with_layer, code) in [(true, Code::PermissionDenied), (false, Code::Internal)] {
        let address = serve(Some(directory.clone()), with_layer).await;
        let channel = tonic::transport::Endpoint::new(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let status =
            DirectoryEventsClient::new(channel).deliver(DeliverRequest {}).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        if !with_layer {
            assert!(status.message().contains("GrpcWebhookLayer"), "{status}");
        }
        assert!(directory.last.lock().unwrap().is_none());
    }
}

#[tokio::test]
async fn other_services_are_not_affected() {
    let address = serve(Some(Directory::default()), true).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{address}/test.Other/Echo"))
        .header("content-type", "application/grpc")
        .header("workos-signature", "of no meaning here")
        .body(Full::from("any bytes"))
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-untouched"]),
        (200, &"yes".parse().unwrap())
    );
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "any bytes");
    // A path that only begins like ours.
    let request =
        Request::post(format!("http://{address}/tower_workos.v1.DirectoryEventsX/Deliver"))
            .header("content-type", "application/grpc")
            .body(Full::default())
            .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12");
}

/// An inner limit panics if it is called without having been polled ready.
#[tokio::test]
async fn the_ready_service_is_called() {
    use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};

    let inner = ConcurrencyLimit::new(DirectoryEventsServer::new(Directory::default()), 1);
    let mut service = GrpcWebhookLayer::new("/webhooks/workos", layer()).layer(inner);
    let other = || Request::post("/test.Other/Echo").body(Full::<Bytes>::default()).unwrap();
    let mut stray = delivery::<Full<Bytes>>(sample::USER_CREATED);
    *stray.uri_mut() = "/elsewhere".parse().unwrap();
    for (request, status) in [
        (other(), 200),
        (stray, 404),
        (delivery(sample::USER_CREATED), 200),
        (delivery::<Full<Bytes>>("{}"), 422),
        (delivery(sample::USER_CREATED), 200),
    ] {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
        assert_eq!(ready.call(request).await.unwrap().status(), status);
        // The permit is free again, whatever the response was.
        let mut other = service.clone();
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut other);
        let ready = tokio::time::timeout(std::time::Duration::from_secs(5), ready).await;
        assert!(ready.is_ok(), "the place was not given back after {status}");
    }
}
