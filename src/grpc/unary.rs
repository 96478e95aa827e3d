use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use http_body_util::Full;
use tonic::{Code, body::Body, codegen::StdError, metadata::MetadataMap};
use tower_service::Service;

use crate::{
    dedupe::service::GrpcCall,
    grpc::{
        generated::{DeliverRequest, directory_events_client::DirectoryEventsClient},
        status::http_status,
    },
    signature::SIGNATURE_HEADER,
    verify::body::VerifiedBody,
};

/// Calls `DirectoryEvents::deliver` for a verified request. [`GrpcWebhookLayer`](crate::grpc::GrpcWebhookLayer) wraps it with
/// the verification and the deduplication; applications don't create it.
#[derive(Clone, Debug)]
pub struct Unary<S> {
    pub(super) inner: S,
}

impl<S, ResBody> Service<Request<VerifiedBody>> for Unary<S>
where
    S: Service<Request<Body>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<StdError>,
    S::Future: Send,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError> + Send,
{
    type Response = Response<Body>;
    // An error of the server becomes the status of the call.
    type Error = Infallible;
    // The client's method is an `async fn`, whose future has no name.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        let clone = self.inner.clone();
        let mut client = DirectoryEventsClient::new(mem::replace(&mut self.inner, clone));
        let (mut parts, _) = request.into_parts();
        parts.extensions.insert(GrpcCall);
        let metadata = MetadataMap::from_headers(call_headers(parts.headers));
        let request = tonic::Request::from_parts(metadata, parts.extensions, DeliverRequest {});
        Box::pin(async move {
            let code =
                client.deliver(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
            Ok(respond(code).map(Body::new))
        })
    }
}

/// The headers of the delivery without those about its body, its connection or gRPC.
fn call_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TRANSFER_ENCODING,
        SIGNATURE_HEADER,
    ] {
        headers.remove(name);
    }
    let grpc: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("grpc-")).cloned().collect();
    for name in grpc {
        headers.remove(name);
    }
    headers
}

/// The response to the sender. It omits the message of the status, because the application may quote the event in it.
fn respond(code: Code) -> Response<Full<Bytes>> {
    let status = http_status(code);
    if code == Code::Ok {
        return Response::new(Full::default());
    }
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_workos::grpc",
        code = ?code,
        status = status.as_u16(),
        "DirectoryEvents/Deliver failed; WorkOS will deliver the event again"
    );
    problem(status)
}

pub(super) fn problem(status: StatusCode) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or("Client Closed Request");
    let problem =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{}}}"#, status.as_u16());
    let mut response = Response::new(Full::from(problem));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("WorkOS-Signature"));
    }
    response
}
