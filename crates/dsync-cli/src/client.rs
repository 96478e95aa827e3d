//! Sends deliveries with hyper's client.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::capture_connection},
    rt::TokioExecutor,
};
use tower_workos::{SIGNATURE_HEADER, testing::Delivery};

use crate::network::{Connector, Network};

/// A longer response is not read to its end.
const MAX_RESPONSE: usize = 1 << 20;
/// A longer state of an application is not read to its end.
const MAX_STATE: usize = 1 << 30;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("dsync/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client that keeps one connection open between its requests.
pub(crate) struct Client {
    network: Network,
    client: legacy::Client<Connector, Full<Bytes>>,
    timeout: Duration,
    keep_text: bool,
}

impl Client {
    /// `timeout` limits each request, connecting included.
    pub(crate) fn new(network: Network, timeout: Duration) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1)
            .build(network.connector().clone());
        Self { network, client, timeout, keep_text: false }
    }

    /// Keeps the text of the responses.
    pub(crate) fn keep_text(mut self) -> Self {
        self.keep_text = true;
        self
    }

    pub(crate) async fn deliver(&self, delivery: &Delivery) -> Result<Answer, SendError> {
        let signature = HeaderValue::from_str(delivery.signature())
            .map_err(|_| SendError::not_sent("the signature is not a valid header value"))?;
        let mut request = self.request(Method::POST, delivery.body().clone());
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(SIGNATURE_HEADER, signature);
        self.send(request, MAX_RESPONSE).await
    }

    pub(crate) async fn fetch(&self) -> Result<Answer, SendError> {
        self.send(self.request(Method::GET, Bytes::new()), MAX_STATE).await
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.network.endpoint().uri().clone();
        request.headers_mut().insert(USER_AGENT, AGENT);
        request
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        max_length: usize,
    ) -> Result<Answer, SendError> {
        let begin = Instant::now();
        let connection = capture_connection(&mut request);
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| self.explain(&error))?;
            Ok(self.read(response, max_length).await)
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok((status, text))) => Ok(Answer { status, text, elapsed: begin.elapsed() }),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let sent = connection.connection_metadata().is_some();
                let what = if sent { "response" } else { "connection" };
                let timeout = humantime::format_duration(self.timeout);
                Err(SendError { text: format!("no {what} within {timeout}"), sent, timeout: true })
            }
        }
    }

    fn explain(&self, error: &legacy::Error) -> SendError {
        let source = error.source();
        if let Some(source) = source.filter(|_| error.is_connect()) {
            return SendError::not_sent(self.network.explain(source));
        }
        // hyper cancels a request if the connection is closed before the request's first byte is written.
        let unsent = source
            .and_then(|source| source.downcast_ref::<hyper::Error>())
            .is_some_and(|error| error.is_canceled() || error.is_closed());
        SendError { text: format!("no response: {}", causes(error)), sent: !unsent, timeout: false }
    }

    async fn read(&self, response: Response<Incoming>, max_length: usize) -> (StatusCode, Bytes) {
        let status = response.status();
        let mut body = response.into_body();
        let mut text = BytesMut::new();
        let mut length = 0;
        // If the body is incomplete, the status still counts.
        while let Some(Ok(frame)) = body.frame().await {
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if self.keep_text {
                text.extend_from_slice(data);
            }
            if length > max_length {
                break;
            }
        }
        (status, text.freeze())
    }
}

/// The endpoint's response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: Bytes,
    pub(crate) elapsed: Duration,
}

/// Why there is no response.
pub(crate) struct SendError {
    text: String,
    /// Whether the endpoint may have received the delivery.
    pub(crate) sent: bool,
    pub(crate) timeout: bool,
}

impl SendError {
    fn not_sent(text: impl Into<String>) -> Self {
        Self { text: text.into(), sent: false, timeout: false }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// An error with its sources, because hyper's own texts are short.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
