//! Sends requests, and retries them.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{DATE, RETRY_AFTER},
};
use tower_workos::Timestamp;
use workos::{Client, transport::HttpResponse};

use crate::{
    api::{
        client::ApiClient,
        error::{ApiError, ApiErrorKind},
        http::{Capture, Failure},
        page::Unreadable,
        request::Request,
    },
    metrics,
};

/// The pause after the first attempt. It doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("tower-workos-mirror/", env!("CARGO_PKG_VERSION"));

/// An answer: 200, or 404 for a single object.
pub(super) struct Answer {
    pub(super) is_missing: bool,
    pub(super) body: Bytes,
    pub(super) date: Option<Timestamp>,
}

/// Why an attempt failed.
enum Trouble {
    /// Another attempt can succeed.
    Passing(ApiError),
    /// Another attempt would fail as well.
    Lasting(ApiError),
    /// 429, with its `Retry-After`.
    RateLimited(Option<Duration>),
}

impl ApiClient {
    /// Sends a request within the budgets, and again if that can help.
    pub(super) async fn send<T>(
        &self,
        directory: Option<&str>,
        request: Request<'_>,
        read: impl Fn(Answer) -> Result<T, Unreadable>,
    ) -> Result<T, ApiError> {
        let shared = &*self.shared;
        let mut attempt = 1;
        loop {
            shared.throttle.start(directory).await;
            shared.requests.fetch_add(1, Ordering::Relaxed);
            let trouble = match self.attempt(request).await {
                Ok(answer) => match read(answer) {
                    Ok(read) => return Ok(read),
                    Err(Unreadable) => Trouble::Passing(unreadable(request)),
                },
                Err(trouble) => trouble,
            };
            let is_last = attempt >= shared.attempts;
            let pause = pause(attempt);
            match trouble {
                Trouble::Lasting(error) => return Err(error),
                Trouble::Passing(error) if is_last => return Err(error),
                Trouble::Passing(error) => {
                    tracing::debug!(target: "tower_workos_mirror::api", %error, attempt, "trying again");
                    shared.throttle.timer.sleep(pause).await;
                }
                Trouble::RateLimited(retry_after) => {
                    shared.throttled.fetch_add(1, Ordering::Relaxed);
                    metrics::throttled();
                    let wait = retry_after.unwrap_or_default();
                    if wait > shared.max_retry_after {
                        return Err(rate_limited(request, Some(wait)));
                    }
                    let wait = wait.max(pause);
                    tracing::debug!(target: "tower_workos_mirror::api", ?wait, attempt, "rate limited");
                    shared.throttle.pause(wait);
                    if is_last {
                        return Err(rate_limited(request, None));
                    }
                }
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, request: Request<'_>) -> Result<Answer, Trouble> {
        let shared = &*self.shared;
        let capture = Arc::new(Capture::new(shared.http.clone()));
        let client = Client::builder()
            .api_key(shared.key.expose())
            .base_url(shared.base_url.as_str())
            .user_agent(USER_AGENT)
            .max_retries(0)
            .transport(Arc::<Capture>::clone(&capture))
            .try_build();
        // The errors of the crate can contain the URL or the key, so they are not shown.
        let Ok(client) = client else {
            let message =
                "the API key can't be sent in a header: copy it again from the WorkOS dashboard";
            return Err(Trouble::Lasting(ApiError::new(ApiErrorKind::Unauthorized, message)));
        };
        // The crate was given no body to read, so this is always an error.
        let _ = request.send(&client).await.is_ok();
        match capture.take() {
            Some(Ok(response)) => answer(request, response),
            Some(Err(failure)) => Err(Trouble::Passing(self.unavailable(request, failure))),
            None => {
                let message =
                    format!("the request for {} can't be sent: an id is not valid", request.path());
                Err(Trouble::Lasting(ApiError::new(ApiErrorKind::Rejected, message)))
            }
        }
    }

    fn unavailable(&self, request: Request<'_>, failure: Failure) -> ApiError {
        let (path, base) = (request.path(), &self.shared.base_url);
        let message = match &failure {
            Failure::Broken(_) => {
                format!("the connection for {path} to {base} failed: try again later")
            }
            Failure::TimedOut => {
                format!("{base} did not answer the request for {path} in time: try again later")
            }
            Failure::TooLong => return unreadable(request),
        };
        let error = ApiError::new(ApiErrorKind::Unavailable, message);
        match failure {
            Failure::Broken(source) => error.caused(source),
            Failure::TimedOut | Failure::TooLong => error,
        }
    }
}

fn answer(request: Request<'_>, response: HttpResponse) -> Result<Answer, Trouble> {
    use ApiErrorKind::{Cursor, NotFound, Rejected, Unauthorized, Unavailable};

    let HttpResponse { status, headers, body } = response;
    let status = status.as_u16();
    let date = date(&headers, &DATE).map(Timestamp::from);
    let is_single =
        matches!(request, Request::Directory { .. } | Request::Group { .. } | Request::User { .. });
    let path = request.path();
    let error = |kind, advice: &str| {
        let id = request_id(&headers);
        ApiError::new(
            kind,
            format!("the WorkOS API answered {status} to the request for {path}{id}: {advice}"),
        )
    };
    let lasting = |kind, advice| Err(Trouble::Lasting(error(kind, advice)));
    match status {
        200 => Ok(Answer { is_missing: false, body, date }),
        404 if is_single => Ok(Answer { is_missing: true, body, date }),
        401 | 403 => lasting(
            Unauthorized,
            "check that the API key is valid, belongs to this environment and may read directories",
        ),
        429 => Err(Trouble::RateLimited(retry_after(&headers))),
        408 | 500..=599 => Err(Trouble::Passing(error(Unavailable, "try again later"))),
        _ if request.rejects_cursor(status) => {
            lasting(Cursor, "it does not know the position, so try again later")
        }
        404 => lasting(
            NotFound,
            "check the base URL; if it is right, the directory or group was deleted",
        ),
        300..=399 => lasting(Rejected, "redirects are not followed, so check the base URL"),
        _ => lasting(Rejected, "check the base URL, or ask the support of WorkOS"),
    }
}

fn unreadable(request: Request<'_>) -> ApiError {
    let message = format!(
        "the response to the request for {} can't be read: try again later",
        request.path()
    );
    ApiError::new(ApiErrorKind::Unreadable, message)
}

fn rate_limited(request: Request<'_>, wait: Option<Duration>) -> ApiError {
    let path = request.path();
    let message = match wait {
        Some(wait) => format!(
            "the WorkOS API rejects the request for {path} because of too many requests, and asks for a wait of {} s, \
             which is longer than max_retry_after: try again later",
            wait.as_secs()
        ),
        None => format!(
            "the WorkOS API rejects the request for {path} because of too many requests: lower requests_per_second, \
             or find out what else uses this API key"
        ),
    };
    ApiError::new(ApiErrorKind::RateLimited, message)
}

/// WorkOS's support asks for it.
fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        id.len() <= 64
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    id.filter(is_plain).map(|id| format!(" (request id {id})")).unwrap_or_default()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large is a very long time.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    // The server's clock, because this machine's may differ.
    let now = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    let until = date(headers, &RETRY_AFTER)?;
    Some(until.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// Exponential, and random, so that several processes don't send again at the same time.
fn pause(attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let longest = PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    // Each `RandomState` has other keys.
    let random = RandomState::new().hash_one(attempt) % 1024;
    let random = u32::try_from(random).unwrap_or_default();
    longest / 2 + longest / 2 * random / 1024
}
