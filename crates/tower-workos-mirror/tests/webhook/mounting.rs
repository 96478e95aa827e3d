//! The endpoint in the servers of axum, hyper and tonic.

use axum::{Router, body::Body, routing::post_service};
use bytes::Bytes;
use http::{Request, StatusCode, header::HOST};
use http_body_util::Full;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;
use tower_workos::{VerifyWebhookLayer, testing::Signer};

use crate::{
    database::Database,
    requests::{created, request, secret, webhook},
};

/// Sends a delivery over a connection.
async fn deliver(stream: TcpStream, body: Bytes) -> StatusCode {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request: Request<Full<Bytes>> = request(body);
    request.headers_mut().insert(HOST, "localhost".parse().unwrap());
    sender.send_request(request).await.unwrap().status()
}

#[tokio::test]
async fn axum() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let app: Router = Router::new()
            .route_service("/webhooks/workos", webhook(&mirror))
            .route("/other", post_service(webhook(&mirror)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(deliver(stream, created("user_0")).await, StatusCode::OK);
        assert_eq!(database.users().await, 1);
        server.abort();
        database.drop().await;
    }
}

#[tokio::test]
async fn hyper_server() {
    let database = Database::sqlite();
    let mirror = database.mirror().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TowerToHyperService::new(webhook(&mirror));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let server = hyper::server::conn::http1::Builder::new();
        server.serve_connection(TokioIo::new(stream), service).await
    });
    let stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(deliver(stream, created("user_0")).await, StatusCode::OK);
    assert_eq!(database.users().await, 1);
}

#[tokio::test]
async fn tonic_router() {
    let database = Database::sqlite();
    let mirror = database.mirror().await;
    let routes = tonic::service::Routes::default();
    let app = routes.into_axum_router().route_service("/webhooks/workos", webhook(&mirror));
    let delivery = Signer::new(secret()).sign(created("user_0"));
    let request: Request<Body> = delivery.into_request("/webhooks/workos").unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::OK);
    assert_eq!(database.users().await, 1);
}

#[tokio::test]
async fn the_settings_of_a_layer() {
    let database = Database::sqlite();
    let mirror = database.mirror().await;
    let webhook = mirror.webhook_with(VerifyWebhookLayer::new(secret()).body_limit(10));
    let response = webhook.oneshot(request(created("user_0"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(database.users().await, 0);
}
