//! [`DirectoryEvent`] as an argument of axum handlers.

use std::{convert::Infallible, error::Error, fmt};

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{event::DirectoryEvent, rejection::Rejection};

/// Extracts the event that [`VerifyWebhookLayer`](crate::VerifyWebhookLayer) verified.
impl<S: Sync> FromRequestParts<S> for DirectoryEvent {
    type Rejection = MissingDirectoryEvent;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingDirectoryEvent> {
        parts.extensions.get::<Self>().cloned().ok_or(MissingDirectoryEvent(()))
    }
}

/// Extracts `None` if no [`VerifyWebhookLayer`](crate::VerifyWebhookLayer) wraps the handler.
impl<S: Sync> OptionalFromRequestParts<S> for DirectoryEvent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The response to a rejected request, for handlers that call a [`Verifier`](crate::Verifier) themselves.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.to_response().map(Body::from)
    }
}

/// A handler extracts a [`DirectoryEvent`], but no [`VerifyWebhookLayer`](crate::VerifyWebhookLayer) wraps it: 500.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingDirectoryEvent(());

impl MissingDirectoryEvent {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl fmt::Display for MissingDirectoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no DirectoryEvent in the request: add `.route_layer(VerifyWebhookLayer::new(secret))` to the router, after \
             the route of this handler: a route that is added after `.route_layer(..)` or `.layer(..)` is not covered",
        )
    }
}

impl Error for MissingDirectoryEvent {}

impl IntoResponse for MissingDirectoryEvent {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}
