use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;

#[cfg(feature = "tracing")]
use crate::verify::log::Log;
use crate::{rejection::Rejection, response_body::ResponseBody, verifier::Verifier};

/// The settings.
#[derive(Clone)]
pub(crate) struct Config {
    pub(super) verifier: Verifier,
    pub(super) body_limit: usize,
    pub(super) body_timeout: Duration,
    pub(super) rejection_response: Option<RejectionResponse>,
    #[cfg(feature = "tracing")]
    pub(super) log: Arc<Log>,
}

pub(super) type RejectionResponse = Arc<dyn Fn(&Rejection) -> Response<Bytes> + Send + Sync>;

impl Config {
    /// Logs a rejection and returns the response to it.
    pub(super) fn reject<B>(&self, rejection: Rejection) -> Response<ResponseBody<B>> {
        #[cfg(feature = "tracing")]
        self.log.rejected(&rejection);
        let response = match &self.rejection_response {
            Some(custom) => custom(&rejection),
            None => rejection.to_response(),
        };
        let mut response = response.map(ResponseBody::own);
        response.extensions_mut().insert(rejection);
        response
    }

    pub(super) fn debug(&self, f: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("verifier", &self.verifier)
            .field("body_limit", &self.body_limit)
            .field("body_timeout", &self.body_timeout)
            .finish_non_exhaustive()
    }
}
