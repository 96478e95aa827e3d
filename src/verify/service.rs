use std::{
    fmt, mem,
    num::IntErrorKind,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use tower_service::Service;

#[cfg(all(feature = "tonic", feature = "tracing"))]
use crate::verify::log::Log;
use crate::{
    rejection::Rejection,
    response_body::ResponseBody,
    signature::SignatureHeader,
    verify::{
        body::{BoxError, VerifiedBody},
        config::Config,
        future::ResponseFuture,
        observer::Observer,
    },
};

/// Calls the inner service for genuine Directory Sync deliveries, and rejects all other requests.
///
/// Each request that reaches the inner service has a [`DirectoryEvent`](crate::DirectoryEvent) in its extensions and the
/// signed bytes as its body. [`VerifyWebhookLayer`](crate::VerifyWebhookLayer) creates this service; its [module](crate::verify) describes the checks.
#[derive(Clone)]
#[must_use]
pub struct VerifyWebhook<S> {
    pub(super) inner: S,
    pub(super) config: Arc<Config>,
}

impl<S> VerifyWebhook<S> {
    /// Returns a reference to the inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Consumes this service and returns the inner service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }

    #[cfg(all(feature = "tonic", feature = "tracing"))]
    pub(crate) fn log(&self) -> &Log {
        &self.config.log
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for VerifyWebhook<S>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>> + Clone,
    ReqBody: Body,
    ReqBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let observer = Observer::new();
        // Only this instance was polled ready, so the future takes it and a clone stays.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let config = Arc::clone(&self.config);
        match admit(&config, &request) {
            Ok(header) => ResponseFuture::reading(inner, request, header, config, observer),
            Err(rejection) => ResponseFuture::rejected(rejection, config, observer),
        }
    }
}

/// The checks that come before the body.
fn admit<B: Body>(config: &Config, request: &Request<B>) -> Result<SignatureHeader, Rejection> {
    if request.method() != Method::POST {
        return Err(Rejection::method_not_allowed());
    }
    let header = SignatureHeader::from_headers(request.headers())?;
    config.verifier.check_age(&header)?;
    let least = declared_length(request.headers()).max(request.body().size_hint().lower());
    if usize::try_from(least).map_or(true, |least| least > config.body_limit) {
        return Err(Rejection::body_too_large(config.body_limit));
    }
    Ok(header)
}

/// The value of `Content-Length`, or 0 if it is absent or not a number.
fn declared_length(headers: &HeaderMap) -> u64 {
    let Some(text) = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()) else {
        return 0;
    };
    match text.parse() {
        Ok(length) => length,
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => u64::MAX,
        Err(_) => 0,
    }
}

impl<S: fmt::Debug> fmt::Debug for VerifyWebhook<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(f.debug_struct("VerifyWebhook").field("inner", &self.inner))
    }
}
