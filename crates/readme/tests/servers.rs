//! Runs the samples of `docs/servers.md` as servers and as AWS Lambda functions.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use axum::{Router, body::Body, http::StatusCode, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Request;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use lambda_http::{Context, LambdaEvent, request::LambdaRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_http::normalize_path::NormalizePathLayer;
use tower_workos::{
    DirectoryEvent, VerifyWebhookLayer, WebhookSecret,
    testing::{Delivery, Signer, sample},
};

mod hyper_sample {
    include!(concat!(env!("OUT_DIR"), "/hyper.rs"));

    pub(super) fn service(
        secret: WebhookSecret,
    ) -> impl Service<
        Request<hyper::body::Incoming>,
        Response = Answer,
        Error = Infallible,
        Future: Send,
    > + Clone {
        app(secret)
    }
}

mod slashes {
    include!(concat!(env!("OUT_DIR"), "/slashes.rs"));

    pub(super) fn router(secret: WebhookSecret) -> Router {
        app(secret)
    }
}

fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_of_the_samples").unwrap()
}

fn delivery() -> Delivery {
    Signer::new(secret()).sign(sample::USER_CREATED)
}

/// Sends a request over a new connection and returns the status line and the body of the response.
async fn exchange(head: &str, body: &[u8]) -> (String, String) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let service = TowerToHyperService::new(hyper_sample::service(secret()));
    let server = hyper::server::conn::http1::Builder::new();
    tokio::spawn(server.serve_connection(TokioIo::new(theirs), service));
    let (mut read, mut write) = tokio::io::split(ours);
    let length = body.len();
    let head = format!("{head}host: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    write.write_all(head.as_bytes()).await.unwrap();
    write.write_all(body).await.unwrap();
    let mut response = String::new();
    read.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn only_one_path_of_a_hyper_service_is_verified() {
    let delivery = delivery();
    let signature = format!("workos-signature: {}\r\n", delivery.signature());
    let to = |path: &str, signature: &str| format!("POST {path} HTTP/1.1\r\n{signature}");
    let hooks = to("/webhooks/workos", &signature);
    assert_eq!(exchange(&hooks, delivery.body()).await, ("HTTP/1.1 200 OK".into(), String::new()));
    let (status, body) = exchange(&to("/webhooks/workos", ""), delivery.body()).await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    assert!(body.contains("MissingSignature"), "{body}");
    for request in [to("/", ""), to("/webhooks", &signature), "GET /x HTTP/1.1\r\n".to_owned()] {
        assert_eq!(exchange(&request, b"").await, ("HTTP/1.1 200 OK".into(), "as before".into()));
    }
}

async fn status(router: Router, path: &str) -> StatusCode {
    let request: Request<Body> = delivery().into_request(path).unwrap();
    router.oneshot(request).await.unwrap().status()
}

async fn on_event(_event: DirectoryEvent) -> StatusCode {
    StatusCode::OK
}

fn one_route() -> Router {
    Router::new()
        .route("/webhooks/workos", post(on_event))
        .route_layer(VerifyWebhookLayer::new(secret()))
}

#[tokio::test]
async fn a_trailing_slash_is_another_route() {
    assert_eq!(status(one_route(), "/webhooks/workos").await, StatusCode::OK);
    assert_eq!(status(one_route(), "/webhooks/workos/").await, StatusCode::NOT_FOUND);
    for path in ["/webhooks/workos", "/webhooks/workos/"] {
        assert_eq!(status(slashes::router(secret()), path).await, StatusCode::OK);
        let request: Request<Body> = delivery().into_request(path).unwrap();
        let normalized = NormalizePathLayer::trim_trailing_slash().layer(one_route());
        assert_eq!(normalized.oneshot(request).await.unwrap().status(), StatusCode::OK);
    }
    let inside = one_route().layer(NormalizePathLayer::trim_trailing_slash());
    assert_eq!(status(inside, "/webhooks/workos/").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_layer_covers_the_routes_before_it() {
    let router = one_route().route("/later", post(on_event));
    assert_eq!(status(router.clone(), "/later").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(router, "/nowhere").await, StatusCode::NOT_FOUND);
    let layered = Router::new()
        .route("/webhooks/workos", post(on_event))
        .layer(VerifyWebhookLayer::new(secret()));
    let nowhere = Request::post("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(layered.oneshot(nowhere).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// A request as each of the three gateways passes it to a function.
fn lambda_events(path: &str, signature: &str, body: &str, encoded: bool) -> [Value; 3] {
    let headers =
        json!({"host": "h", "content-type": "application/json", "WorkOS-Signature": signature});
    let rest = json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "POST", "headers": headers,
        "multiValueHeaders": {}, "requestContext": {
            "accountId": "1", "resourceId": "r", "stage": "$default", "requestId": "q", "identity": {},
            "resourcePath": "/{proxy+}", "httpMethod": "POST", "apiId": "a"
        },
        "body": body, "isBase64Encoded": encoded
    });
    let http = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "h", "domainPrefix": "h", "requestId": "q",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "u"},
            "routeKey": "$default", "stage": "$default", "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1
        },
        "body": body, "isBase64Encoded": encoded
    });
    let balancer = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": "POST", "path": path,
        "queryStringParameters": {}, "headers": headers, "body": body, "isBase64Encoded": encoded
    });
    [rest, http, balancer]
}

/// The response of `lambda_http::run`.
async fn invoke(event: &Value) -> Value {
    let request: LambdaRequest = serde_json::from_value(event.clone()).unwrap();
    let mut function = lambda_http::Adapter::from(one_route());
    let function = function.ready().await.unwrap();
    let response = function.call(LambdaEvent::new(request, Context::default())).await.unwrap();
    serde_json::to_value(response).unwrap()
}

#[tokio::test]
async fn a_function_accepts_deliveries_from_all_three_gateways() {
    let delivery = delivery();
    let text = std::str::from_utf8(delivery.body()).unwrap();
    let encoded = STANDARD.encode(delivery.body());
    let forged = text.replacen("created", "deleted", 1);
    for (body, encoded, expected) in
        [(text, false, 200), (&encoded, true, 200), (&forged, false, 401)]
    {
        for event in lambda_events("/webhooks/workos", delivery.signature(), body, encoded) {
            let response = invoke(&event).await;
            assert_eq!(response["statusCode"], expected, "{event} {response}");
        }
    }
    for event in lambda_events("/elsewhere", delivery.signature(), text, false) {
        assert_eq!(invoke(&event).await["statusCode"], 404);
    }
    // The gateway prefixes the path with the stage.
    let [mut rest, ..] = lambda_events("/webhooks/workos", delivery.signature(), text, false);
    *rest.pointer_mut("/requestContext/stage").unwrap() = json!("prod");
    assert_eq!(invoke(&rest).await["statusCode"], 404);
}
