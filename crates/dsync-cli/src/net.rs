//! A connection to the endpoint, with TLS or without.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use crate::endpoint::Endpoint;

/// Opens connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Network {
    endpoint: Arc<Endpoint>,
    tls: Option<TlsConnector>,
}

impl Network {
    /// Gets ready. Fails where TLS is needed and the machine has no certificates to trust.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let tls = endpoint.secure.then(tls).transpose()?;
        Ok(Self { endpoint: Arc::new(endpoint), tls })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects. An error says what can be done about it.
    pub(crate) async fn connect(&self) -> Result<Stream, String> {
        let Endpoint { host, port, .. } = &*self.endpoint;
        let tcp = TcpStream::connect((host.as_str(), *port)).await;
        let tcp = tcp.map_err(|error| self.explain(&error))?;
        tcp.set_nodelay(true).map_err(|error| self.explain(&error))?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| format!("`{host}` can't be a certificate's name"))?;
        let stream = tls.connect(name, tcp).await.map_err(|error| {
            format!(
                "TLS with {} failed: {error} (SSL_CERT_FILE names other certificates to trust)",
                self.endpoint
            )
        })?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn explain(&self, error: &io::Error) -> String {
        let Endpoint { host, .. } = &*self.endpoint;
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("connection refused: is your server running at {}?", self.endpoint)
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "can't connect to {}: no free port left on this machine ({error})",
                    self.endpoint
                )
            }
            // The resolver's own errors have no kind.
            _ if error.raw_os_error().is_none() => format!("can't find the host `{host}`: {error}"),
            _ => format!("can't connect to {}: {error}", self.endpoint),
        }
    }
}

fn tls() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "no certificates to trust on this machine; name a file of them in SSL_CERT_FILE"
                .to_owned(),
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("can't set up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
