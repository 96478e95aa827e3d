use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header::CONTENT_TYPE};

use crate::{
    event::Timestamp,
    secret::{self, WebhookSecret},
    signature::SIGNATURE_HEADER,
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
