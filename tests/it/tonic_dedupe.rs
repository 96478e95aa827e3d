//! Deduplication on a tonic server, over real sockets, in each composition that compiles.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::sync::Semaphore;
use tonic::{Code, Response, Status, service::LayerExt, transport::Server};
use tower::ServiceBuilder;
use tower_workos::{
    DedupeLayer, MemoryStore,
    grpc::{
        DeliverRequest, DeliverResponse, GrpcWebhookLayer, directory_event,
        directory_events_server::{DirectoryEvents, DirectoryEventsServer},
    },
    testing::sample,
};

use crate::{
    support::{delivery, layer},
    tonic::{Other, post},
};

/// Returns a code that the test chooses, after the gate opens.
#[derive(Clone)]
struct Directory {
    code: Arc<AtomicI32>,
    calls: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Directory {
    fn new() -> Self {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { code: Arc::default(), calls: Arc::default(), gate }
    }

    fn answer(&self, code: Code) {
        self.code.store(code.into(), Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[tonic::async_trait]
impl DirectoryEvents for Directory {
    async fn deliver(
        &self,
        request: tonic::Request<DeliverRequest>,
    ) -> Result<Response<DeliverResponse>, Status> {
        directory_event(&request)?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        match Code::from_i32(self.code.load(Ordering::SeqCst)) {
            Code::Ok => Ok(Response::new(DeliverResponse {})),
            code => Err(Status::new(code, "")),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// `GrpcWebhookLayer::dedupe`, the documented one.
    Supported,
    /// A layer of the server, inside `GrpcWebhookLayer`.
    Inside,
    /// Around the generated service.
    AroundTheService,
}

const PLACES: [Place; 3] = [Place::Supported, Place::Inside, Place::AroundTheService];

fn serve(directory: Directory, place: Place) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::bind(address).unwrap();
    let address = incoming.local_addr().unwrap();
    let grpc = GrpcWebhookLayer::new("/webhooks/workos", layer());
    let dedupe = DedupeLayer::new("workos", MemoryStore::default());
    let server = Server::builder().accept_http1(true);
    let service = DirectoryEventsServer::new(directory);
    match place {
        Place::Supported => {
            let mut server = server.layer(grpc.dedupe(dedupe));
            let router = server.add_service(service).add_service(Other);
            tokio::spawn(router.serve_with_incoming(incoming));
        }
        Place::Inside => {
            let mut server = server.layer(grpc).layer(dedupe);
            let router = server.add_service(service).add_service(Other);
            tokio::spawn(router.serve_with_incoming(incoming));
        }
        Place::AroundTheService => {
            let mut server = server.layer(grpc);
            let service = ServiceBuilder::new().layer(dedupe).named_layer(service);
            let router = server.add_service(service).add_service(Other);
            tokio::spawn(router.serve_with_incoming(incoming));
        }
    }
    address
}

async fn deliver(address: SocketAddr, id: &str) -> u16 {
    post(address, delivery(sample::USER_DEACTIVATED.with_id(id))).await.0
}

#[tokio::test]
async fn a_failure_is_retried_and_a_success_is_not() {
    for place in PLACES {
        let directory = Directory::new();
        let address = serve(directory.clone(), place);
        for (code, status) in [(Code::Unavailable, 503), (Code::Internal, 500)] {
            directory.answer(code);
            assert_eq!(deliver(address, "event_1").await, status, "{place:?}");
        }
        assert_eq!(directory.calls(), 2, "{place:?}");
        directory.answer(Code::Ok);
        for _ in 0..3 {
            assert_eq!(deliver(address, "event_1").await, 200, "{place:?}");
        }
        assert_eq!(directory.calls(), 3, "{place:?}");
        assert_eq!(deliver(address, "event_2").await, 200, "{place:?}");
        assert_eq!(directory.calls(), 4, "{place:?}");
    }
}

#[tokio::test]
async fn a_duplicate_in_progress_is_not_acknowledged() {
    for place in PLACES {
        let directory = Directory { gate: Arc::new(Semaphore::new(0)), ..Directory::new() };
        let address = serve(directory.clone(), place);
        let first = tokio::spawn(deliver_owned(address));
        while directory.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(deliver(address, "event_1").await, 503, "{place:?}");
        directory.gate.add_permits(1);
        assert_eq!(first.await.unwrap(), 200, "{place:?}");
        assert_eq!(deliver(address, "event_1").await, 200, "{place:?}");
        assert_eq!(directory.calls(), 1, "{place:?}");
    }
}

async fn deliver_owned(address: SocketAddr) -> u16 {
    deliver(address, "event_1").await
}

#[tokio::test]
async fn other_services_pass() {
    for place in PLACES {
        let address = serve(Directory::new(), place);
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let request = Request::post(format!("http://{address}/test.Other/Echo"))
            .header("content-type", "application/grpc")
            .body(Full::<bytes::Bytes>::from("any bytes"))
            .unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{place:?}");
        assert_eq!(response.headers()["x-untouched"], "yes", "{place:?}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "any bytes");
    }
}
