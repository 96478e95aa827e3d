//! HTTP and HTTPS.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::time::timeout;
use workos::transport::{HttpRequest, HttpResponse, HttpTransport, TransportError};

use crate::error::ConfigError;

/// More than any page needs: 100 users with a megabyte each would not fit, but WorkOS limits attributes to kilobytes.
const LONGEST: usize = 32 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than servers and balancers usually keep idle connections.
const IDLE: Duration = Duration::from_secs(20);

/// Connections to the API.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// Why there is no response.
pub(super) enum Failure {
    /// The connection, or the response on it, broke.
    Broken(Box<dyn Error + Send + Sync>),
    TimedOut,
    TooLong,
}

impl Http {
    /// With `https`, URLs without TLS are rejected.
    pub(super) fn new(https: bool, timeout: Duration) -> Result<Self, ConfigError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls(https)?);
        let builder = if https { builder.https_only() } else { builder.https_or_http() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(builder.enable_http1().wrap_connector(http));
        Ok(Self { client, timeout })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        timeout(self.timeout, self.exchange(request)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn exchange(&self, sent: HttpRequest) -> Result<HttpResponse, Failure> {
        let broken = |error: Box<dyn Error + Send + Sync>| Failure::Broken(error);
        let mut request = http::Request::new(Full::new(sent.body.unwrap_or_default()));
        *request.method_mut() = sent.method;
        *request.uri_mut() = sent.url.parse().map_err(|error| broken(Box::new(error)))?;
        *request.headers_mut() = sent.headers;
        if let Some(key) = request.headers_mut().get_mut(AUTHORIZATION) {
            // Not shown in logs of other crates.
            key.set_sensitive(true);
        }
        let response = self.client.request(request).await.map_err(|error| broken(error.into()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                Failure::TooLong
            } else {
                Failure::Broken(error)
            }
        })?;
        Ok(HttpResponse { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

fn tls(needed: bool) -> Result<ClientConfig, ConfigError> {
    // The provider is explicit because rustls can't choose one if other crates of the application enable a second.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::new(format!("can't set up TLS: {error}")))?;
    let builder = if needed {
        builder.with_native_roots().map_err(|error| {
            ConfigError::new(format!(
                "this machine has no trusted certificates: install them (package ca-certificates), or name a file of \
                 them in SSL_CERT_FILE ({error})"
            ))
        })?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// The transport of one call, which keeps the response.
pub(super) struct Capture {
    http: Http,
    result: Mutex<Option<Result<HttpResponse, Failure>>>,
}

impl Capture {
    pub(super) fn new(http: Http) -> Self {
        Self { http, result: Mutex::new(None) }
    }

    /// What was received. `None` if the request was not sent.
    pub(super) fn take(&self) -> Option<Result<HttpResponse, Failure>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl HttpTransport for Capture {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let result = self.http.send(request).await;
        // The crate gets no body, because it would parse it into models that are not used.
        let shown = match &result {
            Ok(response) => Ok(HttpResponse {
                status: response.status,
                headers: http::HeaderMap::new(),
                body: Bytes::new(),
            }),
            Err(_) => Err(TransportError::other("no response")),
        };
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        shown
    }
}
