//! The client and its settings.

use std::{
    env, fmt,
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use http::Uri;
use tower_workos::Timestamp;

use crate::{
    api::{
        error::ApiError,
        http::Http,
        key::ApiKey,
        page::{EventPage, Found, ListPage},
        request::{EventsFrom, Request},
        throttle::Throttle,
        timer::{Timer, TokioTimer},
    },
    error::ConfigError,
};

const BASE_URL: &str = "https://api.workos.com";

/// A client of the WorkOS API, with the budgets of requests that the parts of this crate share.
///
/// Cloning it increments a reference count, and clones share the budgets. Create one for each API key, and give clones of
/// it to everything that needs one: WorkOS limits the requests of a key, whatever they are for.
///
/// Temporary failures (429, 5xx, time-outs, broken connections, unreadable responses) are retried, with pauses. The API's
/// `Retry-After` delays all requests of the client.
///
/// ```no_run
/// use tower_workos_mirror::{ApiClient, ApiKey, ConfigError};
///
/// # fn main() -> Result<(), ConfigError> {
/// // With the key in WORKOS_API_KEY:
/// let api = ApiClient::from_env()?;
///
/// // Leaves more of WorkOS's limits to the rest of the application:
/// let key = ApiKey::from_env("WORKOS_API_KEY")?;
/// let api = ApiClient::builder(key).requests_per_second(5).requests_per_second_per_directory(2).build()?;
/// # Ok(())
/// # }
/// ```
///
/// # Dependencies
///
/// The requests are built by the official crate [`workos`](https://docs.rs/workos). Its version 3.5 depends on exactly
/// `jsonwebtoken` 10.3.0. Cargo allows only one 10.x version, so an application that requires `jsonwebtoken` 10.4 or later
/// can't enable the feature `reconcile`. HTTPS is rustls with aws-lc-rs, and trusts the certificates of the operating system or those
/// in the file that `SSL_CERT_FILE` names.
#[derive(Clone)]
pub struct ApiClient {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) key: ApiKey,
    pub(super) base_url: String,
    pub(super) http: Http,
    pub(super) throttle: Throttle,
    pub(super) attempts: u32,
    pub(super) max_retry_after: Duration,
    pub(super) requests: AtomicU64,
    pub(super) throttled: AtomicU64,
}

impl ApiClient {
    /// Creates a client with the key in the environment variable `WORKOS_API_KEY`. If `WORKOS_API_BASE` is set and not
    /// empty, it is the [`base_url`](ApiClientBuilder::base_url).
    ///
    /// # Errors
    ///
    /// As [`ApiKey::from_env`] and [`ApiClientBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        let builder = Self::builder(ApiKey::from_env("WORKOS_API_KEY")?);
        match env::var("WORKOS_API_BASE") {
            Ok(base) if !base.is_empty() => builder.base_url(base).build(),
            Ok(_) | Err(env::VarError::NotPresent) => builder.build(),
            Err(env::VarError::NotUnicode(_)) => Err(ConfigError::new(
                "the environment variable WORKOS_API_BASE is not Unicode: set it to a URL, or unset it",
            )),
        }
    }

    /// Returns a builder for a client with other settings.
    pub fn builder(key: ApiKey) -> ApiClientBuilder {
        ApiClientBuilder {
            key,
            base_url: BASE_URL.to_owned(),
            requests_per_second: 10,
            requests_per_second_per_directory: 3,
            timeout: Duration::from_secs(30),
            attempts: 5,
            max_retry_after: Duration::from_secs(60),
            timer: None,
        }
    }

    /// How many requests were sent, by this client and its clones. Each attempt counts.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many responses had the status 429 (too many requests).
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.shared.throttled.load(Ordering::Relaxed)
    }

    /// Waits for this long by the client's [`Timer`].
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.shared.throttle.timer.sleep(duration).await;
    }

    /// A page of the directories that the key can see.
    pub(crate) async fn directories(&self, after: Option<&str>) -> Result<ListPage, ApiError> {
        self.list(None, Request::Directories { after }).await
    }

    /// A page of a directory's users.
    pub(crate) async fn users(
        &self,
        directory: &str,
        after: Option<&str>,
    ) -> Result<ListPage, ApiError> {
        self.list(Some(directory), Request::Users { directory, after }).await
    }

    /// A page of a directory's groups.
    pub(crate) async fn groups(
        &self,
        directory: &str,
        after: Option<&str>,
    ) -> Result<ListPage, ApiError> {
        self.list(Some(directory), Request::Groups { directory, after }).await
    }

    /// A page of a group's members. `directory` is the one whose budget is used.
    pub(crate) async fn members(
        &self,
        directory: &str,
        group: &str,
        after: Option<&str>,
    ) -> Result<ListPage, ApiError> {
        self.list(Some(directory), Request::Members { group, after }).await
    }

    pub(crate) async fn directory(&self, id: &str) -> Result<Found, ApiError> {
        self.find(None, Request::Directory { id }, id).await
    }

    /// `directory` is the one whose budget is used, if it is known.
    pub(crate) async fn user(&self, directory: Option<&str>, id: &str) -> Result<Found, ApiError> {
        self.find(directory, Request::User { id }, id).await
    }

    /// `directory` is the one whose budget is used, if it is known.
    pub(crate) async fn group(&self, directory: Option<&str>, id: &str) -> Result<Found, ApiError> {
        self.find(directory, Request::Group { id }, id).await
    }

    /// A page of the events about directories, oldest first.
    pub(crate) async fn events(
        &self,
        from: EventsFrom<'_>,
        until: Option<Timestamp>,
    ) -> Result<EventPage, ApiError> {
        self.send(None, Request::Events { from, until }, |response| {
            EventPage::read(&response.body, response.date)
        })
        .await
    }

    async fn list(
        &self,
        directory: Option<&str>,
        request: Request<'_>,
    ) -> Result<ListPage, ApiError> {
        self.send(directory, request, |response| ListPage::read(&response.body, response.date))
            .await
    }

    async fn find(
        &self,
        directory: Option<&str>,
        request: Request<'_>,
        id: &str,
    ) -> Result<Found, ApiError> {
        self.send(directory, request, |response| {
            if response.is_missing {
                Found::read_missing(&response.body, response.date)
            } else {
                Found::read(&response.body, id, response.date)
            }
        })
        .await
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").field("base_url", &self.shared.base_url).finish_non_exhaustive()
    }
}

/// Builds an [`ApiClient`] with settings other than the defaults.
#[derive(Clone)]
#[must_use]
pub struct ApiClientBuilder {
    key: ApiKey,
    base_url: String,
    requests_per_second: u32,
    requests_per_second_per_directory: u32,
    timeout: Duration,
    attempts: u32,
    max_retry_after: Duration,
    timer: Option<Arc<dyn Timer>>,
}

impl ApiClientBuilder {
    /// The URL to which the paths of the API are appended. It begins with `https://`, or with `http://` if its host is this
    /// machine. Default: `https://api.workos.com`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The maximum number of requests that begin in any second. They are spaced evenly. Default: 10. WorkOS allows 100 for
    /// each key.
    pub fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests_per_second = requests;
        self
    }

    /// The maximum number of requests about one directory that begin in any second. Default: 3. WorkOS allows 4.
    pub fn requests_per_second_per_directory(mut self, requests: u32) -> Self {
        self.requests_per_second_per_directory = requests;
        self
    }

    /// How long one attempt may take, including the body of the response. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The maximum number of attempts for each request. Default: 5. At least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The longest `Retry-After` that is waited for. If the API asks for a longer wait, the request fails with
    /// [`ApiErrorKind::RateLimited`](crate::ApiErrorKind::RateLimited) immediately. Default: 60 s.
    pub fn max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = longest;
        self
    }

    /// Another clock for the budgets and the pauses. Default: tokio's.
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Creates the client.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the URL or a number can't be used, or if the machine has no trusted certificates.
    pub fn build(self) -> Result<ApiClient, ConfigError> {
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        let https = is_https(&base_url)?;
        if self.requests_per_second == 0 || self.requests_per_second_per_directory == 0 {
            return Err(ConfigError::new(
                "with 0 requests a second, no request would be sent: set requests_per_second and \
                 requests_per_second_per_directory to at least 1",
            ));
        }
        if self.attempts == 0 {
            return Err(ConfigError::new(
                "with 0 attempts, no request would be sent: set attempts to at least 1",
            ));
        }
        let timer = self.timer.unwrap_or_else(|| Arc::new(TokioTimer::new()));
        let throttle =
            Throttle::new(timer, self.requests_per_second, self.requests_per_second_per_directory);
        let shared = Shared {
            key: self.key,
            base_url,
            http: Http::new(https, self.timeout)?,
            throttle,
            attempts: self.attempts,
            max_retry_after: self.max_retry_after,
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        };
        Ok(ApiClient { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for ApiClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClientBuilder").finish_non_exhaustive()
    }
}

/// Checks the base URL, and returns whether it needs TLS. Without TLS, the key would be readable on the network.
fn is_https(url: &str) -> Result<bool, ConfigError> {
    // The text is not repeated, because it could contain a password.
    let error = |problem: &str| Err(ConfigError::new(format!("the base URL of the API {problem}")));
    let Ok(uri) = url.parse::<Uri>() else {
        return error("is not a URL such as https://api.workos.com");
    };
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return error("must consist of https://, a host, and optionally a port and a path");
    }
    if uri.query().is_some() || url.contains('#') {
        return error("must not contain a query or a fragment");
    }
    match uri.scheme_str() {
        Some("https") => Ok(true),
        Some("http") if is_loopback(host) => Ok(false),
        Some("http") => error("must begin with https://, because its host is not this machine"),
        _ => error("must begin with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}
