//! Reports how a request ends: in metrics and in the span of its delivery.

use std::task::Poll;

use http::{Response, StatusCode};

use crate::{
    event::DirectoryEvent,
    metrics::{self, End},
    rejection::RejectionKind,
    verify::span::{DeliverySpan, Traced},
};

/// How a request ended.
pub(super) enum Ending {
    /// Dropped before the response.
    Cancelled,
    /// The inner service returned an error.
    Error,
    /// The inner service panicked.
    Panic,
    /// This layer rejected the request.
    Rejected,
    /// The inner service responded.
    Response(StatusCode),
}

impl Ending {
    fn label(&self) -> End {
        match self {
            Self::Cancelled => End::Cancelled,
            Self::Error | Self::Panic => End::Failure,
            Self::Rejected => End::Rejected,
            Self::Response(status) if status.is_success() => End::Success,
            Self::Response(_) => End::Failure,
        }
    }
}

/// Follows a request from the call of the service until its response, or until it is dropped.
pub(super) struct Observer {
    request: metrics::Request,
    span: DeliverySpan,
    /// How the request ends if this is dropped now. `None` once the end was reported.
    if_dropped: Option<Ending>,
}

impl Observer {
    pub(super) fn new() -> Self {
        Self {
            request: metrics::Request::start(),
            span: DeliverySpan::none(),
            if_dropped: Some(Ending::Cancelled),
        }
    }

    pub(super) fn rejected(&mut self, kind: RejectionKind) {
        self.request.rejected(kind);
        self.ended(Ending::Rejected);
    }

    /// Opens the span of a genuine event.
    pub(super) fn accepted(&mut self, event: &DirectoryEvent) {
        self.request.accepted();
        self.span = DeliverySpan::new(event);
    }

    /// Calls the inner service, inside the span.
    pub(super) fn call<F>(&mut self, call: impl FnOnce() -> F) -> Traced<F> {
        self.if_dropped = Some(Ending::Panic);
        let future = self.span.instrument(self.span.in_scope(call));
        self.if_dropped = Some(Ending::Cancelled);
        future
    }

    /// Polls the future of that call.
    pub(super) fn poll<B, E>(
        &mut self,
        poll: impl FnOnce() -> Poll<Result<Response<B>, E>>,
    ) -> Poll<Result<Response<B>, E>> {
        self.if_dropped = Some(Ending::Panic);
        let result = poll();
        match &result {
            Poll::Pending => self.if_dropped = Some(Ending::Cancelled),
            Poll::Ready(Ok(response)) => self.ended(Ending::Response(response.status())),
            Poll::Ready(Err(_)) => self.ended(Ending::Error),
        }
        result
    }

    fn ended(&mut self, ending: Ending) {
        self.if_dropped = None;
        self.request.ended(ending.label());
        self.span.ended(&ending);
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(ending) = self.if_dropped.take() {
            self.ended(ending);
        }
    }
}
