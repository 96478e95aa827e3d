//! An allow list of networks: [`SourceAddressLayer`] and [`SourceAddress`].
//!
//! **The signature is what counts.** It proves that WorkOS sent a delivery, wherever it came from; an address proves nothing
//! about the body. The list is a second line of defence: it keeps other traffic away from the endpoint. Don't use it instead of
//! [`VerifyWebhookLayer`](crate::VerifyWebhookLayer).
//!
//! **The list will change.** WorkOS can send from a new address at any time, and an older guide of WorkOS says that there is no
//! static set. A genuine delivery from an address that is not listed is rejected. WorkOS sends it again for about three days,
//! then gives up, and **the event is lost**: a person whose account was deleted keeps access. Use this layer only if you
//!
//! - compare the list with [WorkOS's documentation] regularly, and can change it in less than three days;
//! - alert on the log's target `tower_workos::source_address`, or on failed deliveries in the WorkOS dashboard;
//! - start with [`insecure_report_only`](SourceAddressLayer::insecure_report_only), which logs what would be rejected;
//! - compare your users with the WorkOS API from time to time, which finds events that were lost for any reason.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # {
//! use std::net::SocketAddr;
//!
//! use axum::{Router, extract::ConnectInfo, http::StatusCode, routing::post};
//! use tower::ServiceBuilder;
//! use tower_workos::{
//!     DirectoryEvent, SourceAddressLayer, VerifyWebhookLayer, WebhookSecret, source_address::ClientAddress,
//! };
//!
//! fn app(secret: WebhookSecret) -> Router {
//!     let client = ClientAddress::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0.ip());
//!     let layers = ServiceBuilder::new()
//!         .layer(SourceAddressLayer::workos(client))
//!         .layer(VerifyWebhookLayer::new(secret));
//!     Router::new().route("/webhooks/workos", post(on_event)).route_layer(layers)
//! }
//!
//! async fn on_event(event: DirectoryEvent) -> StatusCode {
//!     println!("{} {}", event.name(), event.id());
//!     StatusCode::OK
//! }
//!
//! # async fn serve(listener: tokio::net::TcpListener, secret: WebhookSecret) -> std::io::Result<()> {
//! // Without this, the router does not know the address of a connection.
//! axum::serve(listener, app(secret).into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! # }
//! ```
//!
//! # Where the address comes from
//!
//! There is no default, because a wrong source is worse than no list: behind a proxy, the connection's address is that of the
//! proxy, and without one, a header is whatever the client wrote. [`ClientAddress`] has these sources:
//!
//! | the server | source |
//! |---|---|
//! | axum, without a proxy | `ClientAddress::from_extension(\|peer: &ConnectInfo<SocketAddr>\| peer.0.ip())` |
//! | tonic, without a proxy (with TLS: `TlsConnectInfo<TcpConnectInfo>`) | `ClientAddress::from_extension(\|peer: &TcpConnectInfo\| peer.remote_addr().map(\|peer\| peer.ip()))` |
//! | hyper, without a proxy | the same with any type that you insert into the request's extensions |
//! | behind one proxy that appends to `X-Forwarded-For` | [`ClientAddress::x_forwarded_for(1)?`](ClientAddress::x_forwarded_for) |
//! | behind a proxy that sets another header | [`ClientAddress::header(name, 1)?`](ClientAddress::header) |
//! | anything else, such as `Forwarded` (RFC 7239) or the PROXY protocol | [`ClientAddress::from_fn`] |
//!
//! # How requests are answered
//!
//! | the client's address | response | log |
//! |---|---|---|
//! | is in a listed network | that of the inner service | – |
//! | is in none | 403, [`NotListed`](SourceRejection::NotListed) | `WARN` |
//! | is unknown | 500, [`AddressUnknown`](SourceRejection::AddressUnknown) | `ERROR`, with a hint how to fix it |
//!
//! The responses are `application/problem+json` (RFC 9457) with a fixed text. Their extensions contain the
//! [`SourceRejection`].
//!
//! The target of the log is `tower_workos::source_address` (feature `tracing`), and the fields are `kind`, `status`, `address`,
//! `source`, `hint` and `suppressed`. Anybody can send requests, so a layer and all of its services together log at most ten
//! lines of each kind per second. The others are counted, and `suppressed` is their number in the next line.
//!
//! # Among other layers
//!
//! Put this layer outside `VerifyWebhookLayer`, so that a rejected request costs no hash: it reads neither the body nor any
//! header except the one that [`ClientAddress`] names. It checks every request that it gets. Around a whole server it also
//! rejects health checks and every other client; this includes a tonic server, whose layers wrap all of its services.
//!
//! [WorkOS's documentation]: https://workos.com/docs/events/data-syncing/webhooks

mod client;
mod forwarded;
mod future;
pub(crate) mod layer;
#[cfg(feature = "tracing")]
mod log;
mod networks;
mod rejection;
pub(crate) mod service;

pub use self::{
    client::ClientAddress, future::ResponseFuture, networks::WORKOS_ADDRESSES_2026_11,
    rejection::SourceRejection,
};
#[cfg(doc)]
use self::{layer::SourceAddressLayer, service::SourceAddress};
