//! Sends deliveries over one connection that is kept open.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tower_workos::{SIGNATURE_HEADER, testing::Delivery};

use crate::net::Network;

/// More of an answer than this is not read; the connection is closed instead.
const MAX_ANSWER: usize = 1 << 20;
/// More of an application's state is not read.
const MAX_STATE: usize = 1 << 30;

const USER: HeaderValue = HeaderValue::from_static(concat!("dsync/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A sender with a connection of its own.
pub(crate) struct Client {
    network: Network,
    timeout: Duration,
    keep_text: bool,
    max_answer: usize,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A sender that gives each delivery this much time, connecting included.
    pub(crate) fn new(network: Network, timeout: Duration) -> Self {
        Self { network, timeout, keep_text: false, max_answer: MAX_ANSWER, sender: None }
    }

    /// Keeps the text of answers.
    pub(crate) fn keep_text(mut self) -> Self {
        self.keep_text = true;
        self
    }

    pub(crate) async fn deliver(&mut self, delivery: &Delivery) -> Result<Answer, SendError> {
        let signature = HeaderValue::from_str(delivery.signature())
            .map_err(|_| SendError::not_sent("the signature is no header value"))?;
        let mut request = self.request(Method::POST, delivery.body().clone());
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(SIGNATURE_HEADER, signature);
        self.send(request).await
    }

    pub(crate) async fn fetch(&mut self) -> Result<Answer, SendError> {
        self.max_answer = MAX_STATE;
        let request = self.request(Method::GET, Bytes::new());
        self.send(request).await
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let endpoint = self.network.endpoint();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = endpoint.path.clone();
        request.headers_mut().insert(HOST, endpoint.authority.clone());
        request.headers_mut().insert(USER_AGENT, USER);
        request
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, SendError> {
        let timeout = self.timeout;
        let mut sent = false;
        let begin = Instant::now();
        let answer = tokio::time::timeout(timeout, self.send_untimed(request, &mut sent)).await;
        match answer {
            Ok(Ok(answer)) => Ok(Answer { elapsed: begin.elapsed(), ..answer }),
            Ok(Err(error)) => {
                self.sender = None;
                Err(error)
            }
            Err(_) => {
                self.sender = None;
                let what = if sent { "answered" } else { "connected" };
                Err(SendError {
                    text: format!("not {what} within {timeout:?}"),
                    sent,
                    timeout: true,
                })
            }
        }
    }

    async fn send_untimed(
        &mut self,
        mut request: Request<Full<Bytes>>,
        sent: &mut bool,
    ) -> Result<Answer, SendError> {
        // A kept connection may have been closed meanwhile: then a new one gets the request. A new one that is closed
        // at once is an error.
        let response = loop {
            let (mut sender, kept) = match self.sender.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            if sender.ready().await.is_err() {
                if kept {
                    continue;
                }
                return Err(SendError::not_sent(
                    "the connection was closed before anything was sent",
                ));
            }
            *sent = true;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.sender = Some(sender);
                    break response;
                }
                Err(mut error) => match error.take_message() {
                    Some(again) if kept => {
                        *sent = false;
                        request = again;
                    }
                    unsent => {
                        let text = format!("no answer: {}", causes(error.error()));
                        return Err(SendError { text, sent: unsent.is_none(), timeout: false });
                    }
                },
            }
        };
        self.read(response).await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SendError> {
        let stream = self.network.connect().await.map_err(SendError::not_sent)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| SendError::not_sent(causes(&error)))?;
        // It ends with its sender; the sender gets its errors.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn read(&mut self, response: http::Response<Incoming>) -> Result<Answer, SendError> {
        let status = response.status();
        let mut body = response.into_body();
        let mut text = BytesMut::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                // The status is what counts.
                Err(_) => {
                    self.sender = None;
                    break;
                }
            };
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if self.keep_text {
                text.extend_from_slice(data);
            }
            if length > self.max_answer {
                self.sender = None;
                break;
            }
        }
        Ok(Answer { status, text: text.freeze(), elapsed: Duration::ZERO })
    }
}

/// What an endpoint answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: Bytes,
    pub(crate) elapsed: Duration,
}

/// Why there is no answer.
pub(crate) struct SendError {
    text: String,
    /// Whether the endpoint may have got the delivery.
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

/// An error and what it came from, for hyper's own texts are short.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
