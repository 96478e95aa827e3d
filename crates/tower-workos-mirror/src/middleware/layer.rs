use tower_layer::Layer;

use crate::{middleware::service::MirrorService, mirror::Mirror};

/// Applies the event of each request before the inner service is called; see [`Mirror::layer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MirrorLayer {
    mirror: Mirror,
}

impl Mirror {
    /// Returns a layer for applications that have their own stack. Most applications use [`webhook`](Self::webhook).
    ///
    /// Put it inside a [`VerifyWebhookLayer`](tower_workos::VerifyWebhookLayer), which inserts the
    /// [`DirectoryEvent`](tower_workos::DirectoryEvent). The layer applies it, inserts
    /// [`AppliedChanges`](crate::AppliedChanges), and calls the inner service after the commit. These responses don't come
    /// from the inner service:
    ///
    /// - 503 with `Retry-After` if the event was not stored. The inner service is not called.
    /// - 500 if the request has no event in its extensions.
    ///
    /// An event that the database can't store is kept as a [dead letter](crate::DeadLetter), and the inner service is called
    /// without changes. A body that can't be read as an event does not reach this layer: see
    /// [`add_dead_letter`](Self::add_dead_letter).
    ///
    /// If the inner service fails, WorkOS sends the event again, and the second delivery has no changes.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # fn example(mirror: tower_workos_mirror::Mirror) -> Result<(), tower_workos::ConfigError> {
    /// use axum::{Extension, Router, http::StatusCode, routing::post};
    /// use tower_workos::{DirectoryEvent, VerifyWebhookLayer, WebhookSecret};
    /// use tower_workos_mirror::AppliedChanges;
    ///
    /// async fn on_event(event: DirectoryEvent, Extension(changes): Extension<AppliedChanges>) -> StatusCode {
    ///     println!("{}: {} changes", event.id(), changes.len());
    ///     StatusCode::OK
    /// }
    ///
    /// // The layer that is added last is the outermost one.
    /// let app: Router = Router::new()
    ///     .route("/webhooks/workos", post(on_event))
    ///     .route_layer(mirror.layer())
    ///     .route_layer(VerifyWebhookLayer::new(WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer(&self) -> MirrorLayer {
        MirrorLayer { mirror: self.clone() }
    }
}

impl<S> Layer<S> for MirrorLayer {
    type Service = MirrorService<S>;

    fn layer(&self, inner: S) -> MirrorService<S> {
        MirrorService { inner, mirror: self.mirror.clone() }
    }
}
