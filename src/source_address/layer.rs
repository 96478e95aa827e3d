use std::{fmt, sync::Arc};

use http::request::Parts;
use ipnet::IpNet;
use tower_layer::Layer;

#[cfg(feature = "tracing")]
use crate::source_address::log::Log;
use crate::source_address::{
    client::ClientAddress,
    networks::{WORKOS_ADDRESSES_2026_11, canonical},
    rejection::SourceRejection,
    service::SourceAddress,
};

/// Lets only requests from listed networks through to the inner service; see the [module docs](crate::source_address), which
/// say when not to use it.
///
/// ```
/// use tower_workos::{SourceAddressLayer, source_address::ClientAddress};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test_sender: ipnet::IpNet = "10.20.0.0/16".parse()?;
/// let layer = SourceAddressLayer::workos(ClientAddress::x_forwarded_for(1)?).allow([test_sender]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SourceAddressLayer {
    config: Config,
}

/// The settings.
#[derive(Clone)]
pub(super) struct Config {
    networks: Vec<IpNet>,
    client: ClientAddress,
    report_only: bool,
    #[cfg(feature = "tracing")]
    log: Arc<Log>,
}

impl SourceAddressLayer {
    /// Creates a layer from networks, or single addresses, and the place where the client's address is found.
    ///
    /// Without any network, every request is rejected. A network of IPv4-mapped IPv6 addresses (`::ffff:192.0.2.0/120`)
    /// counts as the IPv4 network. Other IPv6 networks, such as `::/0`, contain no IPv4 address.
    pub fn new<I>(networks: I, client: ClientAddress) -> Self
    where
        I: IntoIterator<Item: Into<IpNet>>,
    {
        let config = Config {
            networks: Vec::new(),
            client,
            report_only: false,
            #[cfg(feature = "tracing")]
            log: Arc::new(Log::new()),
        };
        Self { config }.allow(networks)
    }

    /// Creates a layer with the addresses that WorkOS has published: [`WORKOS_ADDRESSES_2026_11`].
    ///
    /// A new version of this crate can have newer addresses. **WorkOS can change them without a new version of this crate**:
    /// see the [module docs](crate::source_address).
    pub fn workos(client: ClientAddress) -> Self {
        Self::new(WORKOS_ADDRESSES_2026_11.iter().copied(), client)
    }

    /// Adds networks or single addresses to the list.
    pub fn allow<I>(mut self, networks: I) -> Self
    where
        I: IntoIterator<Item: Into<IpNet>>,
    {
        self.config.networks.extend(networks.into_iter().map(|network| canonical(network.into())));
        self
    }

    /// Logs what would be rejected, and passes every request to the inner service. Use it to try a list.
    pub fn insecure_report_only(mut self) -> Self {
        self.config.report_only = true;
        self
    }
}

impl Config {
    /// The reason to reject this request, if there is one. It is logged.
    pub(super) fn rejection(&self, request: &Parts) -> Option<SourceRejection> {
        let rejection = match self.client.of(request) {
            Some(address) if self.networks.iter().any(|network| network.contains(&address)) => {
                return None;
            }
            Some(address) => SourceRejection::NotListed { address },
            None => SourceRejection::AddressUnknown,
        };
        #[cfg(feature = "tracing")]
        self.log.rejected(&rejection, &self.client, self.report_only);
        (!self.report_only).then_some(rejection)
    }

    pub(super) fn debug(&self, f: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("networks", &self.networks)
            .field("client", &self.client)
            .field("report_only", &self.report_only)
            .finish_non_exhaustive()
    }
}

impl<S> SourceAddress<S> {
    /// Wraps a service, with the settings of [`SourceAddressLayer::new`].
    pub fn new<I>(inner: S, networks: I, client: ClientAddress) -> Self
    where
        I: IntoIterator<Item: Into<IpNet>>,
    {
        SourceAddressLayer::new(networks, client).layer(inner)
    }

    /// Returns the layer that creates this service. This is the same as [`SourceAddressLayer::new`].
    pub fn layer<I>(networks: I, client: ClientAddress) -> SourceAddressLayer
    where
        I: IntoIterator<Item: Into<IpNet>>,
    {
        SourceAddressLayer::new(networks, client)
    }
}

impl<S> Layer<S> for SourceAddressLayer {
    type Service = SourceAddress<S>;

    fn layer(&self, inner: S) -> SourceAddress<S> {
        SourceAddress { inner, config: Arc::new(self.config.clone()) }
    }
}

impl fmt::Debug for SourceAddressLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(&mut f.debug_struct("SourceAddressLayer"))
    }
}
