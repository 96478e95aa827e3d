use std::{any::type_name, fmt, net::IpAddr, sync::Arc};

use http::{HeaderName, request::Parts};

use crate::{error::ConfigError, source_address::forwarded};

/// Where a [`SourceAddressLayer`](crate::SourceAddressLayer) finds the address of a request's client.
///
/// The address of IPv4 in IPv6 (`::ffff:192.0.2.1`) counts as `192.0.2.1`.
#[derive(Clone)]
#[must_use]
pub struct ClientAddress {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Extension { name: &'static str, read: Read },
    Function { read: Read },
    Header { name: HeaderName, proxies: usize },
}

type Read = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

impl ClientAddress {
    /// Takes the address from an extension of the request, which the server inserted.
    ///
    /// The closure returns an `IpAddr` or an `Option<IpAddr>`. A request without this extension, or for which the closure
    /// returns `None`, is rejected with 500.
    ///
    /// In axum, `ConnectInfo<SocketAddr>` is there if the router is served with
    /// `into_make_service_with_connect_info::<SocketAddr>()`:
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::extract::ConnectInfo;
    /// use tower_workos::source_address::ClientAddress;
    ///
    /// let client = ClientAddress::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0.ip());
    /// # let _ = client;
    /// ```
    ///
    /// In tonic, `TcpConnectInfo` is there for connections without TLS, and `TlsConnectInfo<TcpConnectInfo>` for those with TLS:
    ///
    /// ```
    /// use tonic::transport::server::TcpConnectInfo;
    /// use tower_workos::source_address::ClientAddress;
    ///
    /// let client =
    ///     ClientAddress::from_extension(|peer: &TcpConnectInfo| peer.remote_addr().map(|peer| peer.ip()));
    /// # let _ = client;
    /// ```
    ///
    /// Behind a proxy, the connection's address is that of the proxy.
    pub fn from_extension<T, A, F>(address: F) -> Self
    where
        T: Send + Sync + 'static,
        A: Into<Option<IpAddr>>,
        F: Fn(&T) -> A + Send + Sync + 'static,
    {
        let read = move |parts: &Parts| {
            parts.extensions.get::<T>().and_then(|value| address(value).into())
        };
        Self { source: Source::Extension { name: type_name::<T>(), read: Arc::new(read) } }
    }

    /// Takes the address from whatever the closure finds in the request. If it returns `None`, the request is rejected with
    /// 500.
    ///
    /// Headers are written by the client, except for what a proxy of yours overwrites or appends.
    ///
    /// ```
    /// use tower_workos::source_address::ClientAddress;
    ///
    /// #[derive(Clone)]
    /// struct ProxyProtocol(std::net::IpAddr);
    ///
    /// let client = ClientAddress::from_fn(|request| Some(request.extensions.get::<ProxyProtocol>()?.0));
    /// # let _ = client;
    /// ```
    pub fn from_fn<F>(address: F) -> Self
    where
        F: Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    {
        Self { source: Source::Function { read: Arc::new(address) } }
    }

    /// Takes the address from a header to which each of `proxies` trusted proxies appends the address of its own client.
    ///
    /// All lines of the header are one list, in their order, separated by commas. The address is the entry at position
    /// `proxies` from the **end**: 1 is the last entry, which the proxy wrote that connects to this server; 2 is the one
    /// before it, which the next proxy wrote. Everything to the left of it may be the client's invention, and is not looked
    /// at. An entry is an IPv4 or IPv6 address, with or without a port; IPv6 may be in brackets. If there are fewer entries,
    /// or this one is empty or not an address, the request is rejected with 500.
    ///
    /// This is correct only if
    ///
    /// - **nothing can reach this server without passing all of these proxies**. Otherwise a client writes the whole header,
    ///   and chooses its address. Accept connections from the proxies alone, with a firewall or by listening on a private
    ///   network;
    /// - the number is exact. If it is too high, the client chooses its address; if it is too low, the address is that of a
    ///   proxy, and genuine deliveries are rejected;
    /// - each proxy appends exactly one entry. Otherwise, count the entries instead of the proxies: Google Cloud's load balancer
    ///   appends two. A proxy that passes the client's header on unchanged, as nginx does by default, lets the client choose its
    ///   address: nginx needs `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;` or
    ///   `proxy_set_header X-Real-IP $remote_addr;`. For a header that the last proxy overwrites, such as
    ///   `X-Real-IP` or `CF-Connecting-IP`, the number is 1.
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower_workos::source_address::ClientAddress;
    ///
    /// # fn main() -> Result<(), tower_workos::ConfigError> {
    /// let client = ClientAddress::header(HeaderName::from_static("x-real-ip"), 1)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoProxies`] if `proxies` is 0: a header that no proxy writes is the client's.
    pub fn header(name: HeaderName, proxies: usize) -> Result<Self, ConfigError> {
        if proxies == 0 {
            return Err(ConfigError::NoProxies);
        }
        Ok(Self { source: Source::Header { name, proxies } })
    }

    /// [`header`](Self::header) for `X-Forwarded-For`, the usual one.
    ///
    /// ```
    /// use tower_workos::source_address::ClientAddress;
    ///
    /// # fn main() -> Result<(), tower_workos::ConfigError> {
    /// // Behind a CDN and a load balancer.
    /// let client = ClientAddress::x_forwarded_for(2)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoProxies`] if `proxies` is 0.
    pub fn x_forwarded_for(proxies: usize) -> Result<Self, ConfigError> {
        Self::header(HeaderName::from_static("x-forwarded-for"), proxies)
    }

    /// The address of this request's client.
    pub(super) fn of(&self, request: &Parts) -> Option<IpAddr> {
        let address = match &self.source {
            Source::Extension { read, .. } | Source::Function { read } => read(request),
            Source::Header { name, proxies } => forwarded::entry(&request.headers, name, *proxies),
        };
        address.map(|address| address.to_canonical())
    }

    /// A description of the source.
    #[cfg(feature = "tracing")]
    pub(super) fn source(&self) -> impl fmt::Display {
        &self.source
    }

    /// What the operator can do if the address is unknown.
    #[cfg(feature = "tracing")]
    pub(super) fn hint(&self) -> &'static str {
        match &self.source {
            Source::Extension { .. } => {
                "the extension is missing or has no address; in axum, serve the router with \
                 `into_make_service_with_connect_info::<SocketAddr>()`; behind a proxy, use `ClientAddress::x_forwarded_for`"
            }
            Source::Function { .. } => {
                "the closure given to `ClientAddress::from_fn` returned `None`"
            }
            Source::Header { .. } => {
                "the header has fewer entries than there are trusted proxies, or the entry is not an address: check the \
                 number of proxies, that each appends its client's address, and that no request can bypass them"
            }
        }
    }
}

/// The source, without the closure.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension { name, .. } => write!(f, "extension {name}"),
            Self::Function { .. } => f.write_str("closure"),
            Self::Header { name, proxies } => {
                write!(f, "header {name}, trusted proxies: {proxies}")
            }
        }
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAddress({})", self.source)
    }
}
