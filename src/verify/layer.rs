use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

#[cfg(feature = "tracing")]
use crate::verify::log::Log;
use crate::{
    rejection::Rejection,
    verifier::Verifier,
    verify::{config::Config, service::VerifyWebhook},
};

/// WorkOS payloads are a few KiB long. Even a user with every attribute is far below this.
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
/// WorkOS does not document its time-out; its emulator uses 5 s.
const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Lets only genuine Directory Sync deliveries through to the inner service; see [`VerifyWebhook`] and the
/// [module docs](crate::verify).
///
/// ```
/// use std::time::Duration;
///
/// use tower_workos::{VerifyWebhookLayer, Verifier, WebhookSecret};
///
/// # fn main() -> Result<(), tower_workos::ConfigError> {
/// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
/// let verifier = Verifier::new(secret).tolerance(Duration::from_secs(300));
/// let layer = VerifyWebhookLayer::new(verifier)
///     .body_limit(256 * 1024)
///     .body_timeout(Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct VerifyWebhookLayer {
    config: Config,
}

impl VerifyWebhookLayer {
    /// Creates a layer from a [`WebhookSecret`](crate::WebhookSecret), [`WebhookSecrets`](crate::WebhookSecrets), or a
    /// [`Verifier`] with custom settings.
    pub fn new(verifier: impl Into<Verifier>) -> Self {
        Self {
            config: Config {
                verifier: verifier.into(),
                body_limit: DEFAULT_BODY_LIMIT,
                body_timeout: DEFAULT_BODY_TIMEOUT,
                rejection_response: None,
                #[cfg(feature = "tracing")]
                log: Arc::new(Log::new()),
            },
        }
    }

    /// The maximum length of a body in bytes. Default: 1 MiB.
    ///
    /// A longer body is rejected with 413, before it is read if `Content-Length` announces it. While frames are joined, a
    /// request can use about twice as much memory.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.config.body_limit = bytes;
        self
    }

    /// How long the whole body may take to arrive, counted from the first time that the layer waits for it. Default: 10 s.
    ///
    /// After that, the request is rejected with 408, even if parts of the body still arrive.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.config.body_timeout = timeout;
        self
    }

    /// Replaces the response to rejected requests, which is [`Rejection::to_response`] by default.
    ///
    /// The layer adds the [`Rejection`] to the extensions of any such response.
    ///
    /// # Dead letters
    ///
    /// Rejecting a genuine body that can't be read as an event can lose the event: WorkOS sends the same bytes a few more
    /// times, then gives up. [`Rejection::parse_error`] has the bytes, here and in the response's extensions. Store them, and
    /// inspect what you stored: the event may have ended somebody's access.
    ///
    /// The closure can't await, so it passes the event to a task. The event is not stored yet when the closure returns, so the
    /// response stays 422. Each retry passes the same event again, so store it under its id. Never return 2xx here: WorkOS
    /// would not send the event again. To return 2xx after the event is stored, use an outer layer, which finds the rejection
    /// in the response's extensions and can wait for the database.
    ///
    /// ```
    /// use tokio::sync::mpsc;
    /// use tower_workos::{VerifyWebhookLayer, ParseError, WebhookSecret};
    ///
    /// # fn main() -> Result<(), tower_workos::ConfigError> {
    /// # let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
    /// // The task that owns the receiver stores `event.raw()` under `event.id()`, with `event.to_string()` as the reason.
    /// let (dead_letters, receiver) = mpsc::channel::<ParseError>(64);
    /// let layer = VerifyWebhookLayer::new(secret).rejection_response(move |rejection| {
    ///     let mut response = rejection.to_response();
    ///     if let Some(event) = rejection.parse_error() {
    ///         if dead_letters.try_send(event.clone()).is_err() {
    ///             *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    ///         }
    ///     }
    ///     response
    /// });
    /// # drop(receiver);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rejection_response<F>(mut self, response: F) -> Self
    where
        F: Fn(&Rejection) -> Response<Bytes> + Send + Sync + 'static,
    {
        self.config.rejection_response = Some(Arc::new(response));
        self
    }
}

impl<S> VerifyWebhook<S> {
    /// Wraps a service, with the defaults of [`VerifyWebhookLayer::new`].
    pub fn new(inner: S, verifier: impl Into<Verifier>) -> Self {
        VerifyWebhookLayer::new(verifier).layer(inner)
    }

    /// Returns the layer that creates this service, for changing settings. This is the same as
    /// [`VerifyWebhookLayer::new`].
    ///
    /// ```
    /// use tower_workos::{VerifyWebhook, WebhookSecret};
    ///
    /// # fn main() -> Result<(), tower_workos::ConfigError> {
    /// # let inner = tower::service_fn(|_: http::Request<tower_workos::verify::VerifiedBody>| async {
    /// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
    /// # });
    /// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
    /// let layer = VerifyWebhook::<()>::layer(secret).body_limit(64 * 1024);
    /// let service = tower::Layer::layer(&layer, inner);
    /// # let _ = service;
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer(verifier: impl Into<Verifier>) -> VerifyWebhookLayer {
        VerifyWebhookLayer::new(verifier)
    }
}

impl<S> Layer<S> for VerifyWebhookLayer {
    type Service = VerifyWebhook<S>;

    fn layer(&self, inner: S) -> VerifyWebhook<S> {
        VerifyWebhook { inner, config: Arc::new(self.config.clone()) }
    }
}

impl fmt::Debug for VerifyWebhookLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(&mut f.debug_struct("VerifyWebhookLayer"))
    }
}
