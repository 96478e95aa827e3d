use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::{Rejection, Verifier, layer::DirectorySync};

/// WorkOS payloads are a few KiB; a user with every attribute filled stays far below this.
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
/// The sender's own time-out is not documented; its emulator uses 5 s.
const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Wraps services so that only genuine Directory Sync deliveries reach them: see [`DirectorySync`] and the
/// [module docs](crate::layer).
///
/// ```
/// use std::time::Duration;
///
/// use tower_workos::{DirectorySyncLayer, Verifier, WebhookSecret};
///
/// # fn main() -> Result<(), tower_workos::ConfigError> {
/// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
/// let verifier = Verifier::new(secret).tolerance(Duration::from_secs(300));
/// let layer = DirectorySyncLayer::new(verifier)
///     .body_limit(256 * 1024)
///     .body_timeout(Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DirectorySyncLayer {
    config: Config,
}

impl DirectorySyncLayer {
    /// Takes a [`WebhookSecret`](crate::WebhookSecret), [`WebhookSecrets`](crate::WebhookSecrets), or a
    /// [`Verifier`] with a tolerance or a clock of its own.
    pub fn new(verifier: impl Into<Verifier>) -> Self {
        Self {
            config: Config {
                verifier: verifier.into(),
                body_limit: DEFAULT_BODY_LIMIT,
                body_timeout: DEFAULT_BODY_TIMEOUT,
                rejection_response: None,
            },
        }
    }

    /// The most bytes a body may have. Default: 1 MiB. Over it: 413, by `Content-Length` before anything is
    /// read. While frames are joined, up to about twice as much memory may be held for a request.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.config.body_limit = bytes;
        self
    }

    /// How long the whole body may take to arrive, from when it is first waited for. Default: 10 s. Over it:
    /// 408, whatever arrives meanwhile.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.config.body_timeout = timeout;
        self
    }

    /// Answers rejected requests in another way than with [`Rejection::to_response`].
    ///
    /// The layer adds the [`Rejection`] to the response's extensions in any case. Answering a genuine but
    /// unreadable event with 2xx makes WorkOS drop it.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Response;
    /// use tower_workos::{DirectorySyncLayer, WebhookSecret};
    ///
    /// # fn main() -> Result<(), tower_workos::ConfigError> {
    /// # let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
    /// let layer = DirectorySyncLayer::new(secret).rejection_response(|rejection| {
    ///     let mut response = Response::new(Bytes::new());
    ///     *response.status_mut() = rejection.status();
    ///     response
    /// });
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

impl<S> Layer<S> for DirectorySyncLayer {
    type Service = DirectorySync<S>;

    fn layer(&self, inner: S) -> DirectorySync<S> {
        DirectorySync { inner, config: Arc::new(self.config.clone()) }
    }
}

impl fmt::Debug for DirectorySyncLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(&mut f.debug_struct("DirectorySyncLayer"))
    }
}

/// What the layer was set to.
#[derive(Clone)]
pub(crate) struct Config {
    pub(super) verifier: Verifier,
    pub(super) body_limit: usize,
    pub(super) body_timeout: Duration,
    pub(super) rejection_response: Option<RejectionResponse>,
}

pub(super) type RejectionResponse = Arc<dyn Fn(&Rejection) -> Response<Bytes> + Send + Sync>;

impl Config {
    pub(super) fn debug(&self, f: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("verifier", &self.verifier)
            .field("body_limit", &self.body_limit)
            .field("body_timeout", &self.body_timeout)
            .finish_non_exhaustive()
    }
}
