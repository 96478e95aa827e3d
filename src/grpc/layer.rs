use std::sync::Arc;

use tower_layer::{Identity, Layer};

use crate::{
    dedupe::layer::DedupeLayer,
    grpc::{service::GrpcWebhook, unary::Unary},
    verify::layer::VerifyWebhookLayer,
};

/// Turns deliveries to one path into calls of `DirectoryEvents`; see the [module docs](crate::grpc).
///
/// `D` is the layer between the verification and the call: none, or a [`DedupeLayer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct GrpcWebhookLayer<D = Identity> {
    path: Arc<str>,
    verify: VerifyWebhookLayer,
    dedupe: D,
}

impl GrpcWebhookLayer {
    /// Creates a layer for the webhook endpoint at this path, such as `/webhooks/workos`. A request's path must be
    /// exactly the same.
    pub fn new(path: impl AsRef<str>, verify: VerifyWebhookLayer) -> Self {
        let path = path.as_ref();
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
        Self { path, verify, dedupe: Identity::new() }
    }

    /// Handles each event once: the method is not called for an event that another call has handled or is handling. A call
    /// that does not return `OK` releases the event, and the next delivery calls the method again.
    pub fn dedupe<St>(self, dedupe: DedupeLayer<St>) -> GrpcWebhookLayer<DedupeLayer<St>> {
        GrpcWebhookLayer { path: self.path, verify: self.verify, dedupe }
    }
}

impl<S: Clone, D: Layer<Unary<S>>> Layer<S> for GrpcWebhookLayer<D> {
    type Service = GrpcWebhook<S, D::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let deliver = self.dedupe.layer(Unary { inner: inner.clone() });
        GrpcWebhook { path: Arc::clone(&self.path), inner, deliver: self.verify.layer(deliver) }
    }
}

impl<S: Clone> GrpcWebhook<S> {
    /// Wraps a server's services, without a [`DedupeLayer`](crate::DedupeLayer); see [`GrpcWebhookLayer::new`].
    pub fn new(inner: S, path: impl AsRef<str>, verify: VerifyWebhookLayer) -> Self {
        GrpcWebhookLayer::new(path, verify).layer(inner)
    }
}

impl GrpcWebhook<()> {
    /// Returns the layer that creates this service. This is the same as [`GrpcWebhookLayer::new`].
    pub fn layer(path: impl AsRef<str>, verify: VerifyWebhookLayer) -> GrpcWebhookLayer {
        GrpcWebhookLayer::new(path, verify)
    }
}
