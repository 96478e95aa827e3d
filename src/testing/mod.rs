//! Tools for testing applications: a signer, a clock, a sample of every event, and out-of-order deliveries.
//!
//! ```
//! use tower_workos::{WebhookSecret, testing::{Signer, sample}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = WebhookSecret::new("whsec_test")?;
//! let delivery = Signer::new(secret).sign(sample::USER_CREATED);
//! let request: http::Request<bytes::Bytes> = delivery.into_request("/webhooks/workos")?;
//! # Ok(())
//! # }
//! ```
//!
//! `into_request` creates a body of any type that implements `From<Bytes>`, so that the request fits
//! `app.oneshot(request)` of axum, hyper or tower.
//!
//! [`sample`] has one body for each event, with a [builder](sample::Sample::builder) for others; [`Disorder`] delivers
//! a sequence of events out of order; [`conformance`] checks a [`DedupeStore`](crate::DedupeStore).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header::CONTENT_TYPE};

use crate::{
    clock::Clock,
    event::Timestamp,
    secret::{self, WebhookSecret},
    signature::SIGNATURE_HEADER,
};

mod builder;
pub mod conformance;
mod disorder;
pub mod sample;

pub use self::{
    builder::SampleBuilder,
    disorder::{Attempt, Disorder},
};

/// Signs deliveries as WorkOS does.
#[derive(Clone, Debug)]
#[must_use]
pub struct Signer {
    secrets: Vec<WebhookSecret>,
    at: Option<SystemTime>,
    seconds: bool,
}

impl Signer {
    /// Creates a signer that signs with this secret, at the current time, in milliseconds.
    pub fn new(secret: WebhookSecret) -> Self {
        Self { secrets: vec![secret], at: None, seconds: false }
    }

    /// Also signs with another secret: the header gets one more `v1`.
    pub fn add_secret(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Signs at this time. A time before March 1973 in milliseconds would be parsed as seconds, and a time before 1970 is
    /// signed as 1970.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.at = Some(time.into());
        self
    }

    /// Signs in seconds, as WorkOS's emulator does.
    pub fn seconds(mut self) -> Self {
        self.seconds = true;
        self
    }

    /// Signs a body.
    #[must_use]
    pub fn sign(&self, body: impl Into<Bytes>) -> Delivery {
        let body = body.into();
        let now = self.at.unwrap_or_else(SystemTime::now);
        let millis = Timestamp::from(now).as_unix_millis().max(0);
        let timestamp = if self.seconds { millis / 1000 } else { millis }.to_string();
        let mut value = format!("t={timestamp}");
        for secret in &self.secrets {
            value.push_str(if self.seconds { ",v1=" } else { ", v1=" });
            value.push_str(&const_hex::encode(secret::sign(secret, timestamp.as_bytes(), &body)));
        }
        Delivery { signature: value, body }
    }
}

/// A signed body.
#[derive(Clone)]
pub struct Delivery {
    signature: String,
    body: Bytes,
}

impl Delivery {
    /// The value of the `workos-signature` header.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Creates the request of this delivery.
    ///
    /// # Errors
    ///
    /// If `uri` is not a valid URI.
    pub fn into_request<B, U>(self, uri: U) -> Result<Request<B>, http::Error>
    where
        B: From<Bytes>,
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        Request::post(uri)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(SIGNATURE_HEADER, self.signature)
            .body(self.body.into())
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("length", &self.body.len()).finish_non_exhaustive()
    }
}

/// A clock whose time changes only when a test sets it. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<SystemTime>>,
}

impl ManualClock {
    /// Creates a clock that shows this time.
    #[must_use]
    pub fn new(now: impl Into<SystemTime>) -> Self {
        Self { now: Arc::new(Mutex::new(now.into())) }
    }

    /// Sets the time, which can be earlier or later.
    pub fn set(&self, now: impl Into<SystemTime>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now.into();
    }

    /// Moves the clock forward. The time does not change if the sum is out of range.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::DirectoryEvent, signature::SignatureHeader};

    #[test]
    fn samples_parse_under_their_names() {
        for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
            let event = DirectoryEvent::parse(sample.into()).unwrap();
            assert_eq!(event.name(), sample.name());
            assert!(event.id().as_str().starts_with("event_"));
            let other = DirectoryEvent::parse(sample.with_id("event_\"other\"")).unwrap();
            assert_eq!(other.id(), &"event_\"other\"");
            assert_eq!(other.data(), event.data());
        }
    }

    #[test]
    fn the_known_signature() {
        let secret = WebhookSecret::new("secret").unwrap();
        let signer =
            Signer::new(secret).at(Timestamp::from_unix_millis_saturating(1_700_000_000_000));
        let delivery = signer.sign("body");
        assert_eq!(
            delivery.signature(),
            "t=1700000000000, v1=32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea"
        );
        let seconds = signer.seconds().sign("body");
        assert!(seconds.signature().starts_with("t=1700000000,v1="));
    }

    #[test]
    fn times_at_the_edges_still_make_headers() {
        let secret = WebhookSecret::new("secret").unwrap();
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            let at = Timestamp::from_unix_millis_saturating(millis);
            let delivery = Signer::new(secret.clone()).at(at).sign("body");
            assert!(
                delivery.signature().parse::<SignatureHeader>().is_ok(),
                "{}",
                delivery.signature()
            );
        }
    }
}
