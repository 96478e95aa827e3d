//! Connections to the endpoint, with TLS or without.

use std::{error::Error, future::poll_fn, io, sync::Arc, time::Duration};

use hyper_rustls::{
    ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::endpoint::Endpoint;

/// The pause between two attempts to connect to a server that is not running yet.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens connections for hyper's client.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// A connection for raw bytes.
pub(crate) type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// Opens connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Network {
    endpoint: Arc<Endpoint>,
    connector: Connector,
}

impl Network {
    /// Fails if the endpoint needs TLS and this machine has no trusted certificates.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(endpoint.is_https())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { endpoint: Arc::new(endpoint), connector })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Opens a connection. The error says what the user can do about it.
    pub(crate) async fn connect(&self) -> Result<Stream, String> {
        self.open().await.map_err(|error| self.explain(&*error))
    }

    /// Waits until the server at the endpoint accepts connections. Calls `on_wait` once if it has to wait. Returns all
    /// errors other than a refused connection.
    pub(crate) async fn wait(&self, on_wait: impl FnOnce()) -> Result<(), String> {
        let mut on_wait = Some(on_wait);
        loop {
            match self.open().await {
                Ok(_) => return Ok(()),
                Err(error) if is_refused(&*error) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(self.explain(&*error)),
            }
        }
    }

    async fn open(&self) -> Result<Stream, Box<dyn Error + Send + Sync>> {
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        connector.call(self.endpoint.uri().clone()).await.map(TokioIo::new)
    }

    /// Describes an error of the connector.
    pub(crate) fn explain(&self, error: &(dyn Error + 'static)) -> String {
        let endpoint = &self.endpoint;
        // A failed TLS handshake is a bare `io::Error`; the connector wraps the errors of DNS and TCP.
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return format!(
                "TLS with {endpoint} failed: {error} (to trust another certificate, name its file in SSL_CERT_FILE)"
            );
        }
        let Some(cause) = io_error(error) else {
            return format!("can't connect to {endpoint}: {error}");
        };
        match cause.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("connection refused: is your server running at {endpoint}?")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("can't connect to {endpoint}: this machine has no free port ({cause})")
            }
            // Errors of name resolution have no error code of the operating system.
            _ if cause.raw_os_error().is_none() => {
                format!("can't find the host `{}`: {cause}", endpoint.host())
            }
            _ => format!("can't connect to {endpoint}: {cause}"),
        }
    }
}

/// The error of the operating system, or of the name resolution.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref::<io::Error>())
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    io_error(error).is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

fn tls(needed: bool) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("can't set up TLS: {error}"))?;
    let builder = if needed {
        builder.with_native_roots().map_err(|error| {
            format!(
                "this machine has no trusted certificates: name a file of them in SSL_CERT_FILE ({error})"
            )
        })?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
