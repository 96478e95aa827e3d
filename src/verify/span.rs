//! The span of a delivery.

use http::StatusCode;
use tracing::{Span, field::Empty, instrument::Instrumented};

use crate::{
    event::{DirectoryEvent, Excerpt},
    verify::observer::Ending,
};

/// A future that runs inside the span of its delivery.
pub(super) type Traced<F> = Instrumented<F>;

/// The span of a delivery, or none.
pub(super) struct DeliverySpan(Span);

impl DeliverySpan {
    pub(super) fn none() -> Self {
        Self(Span::none())
    }

    /// Opens the span of a genuine delivery. Anybody can send other requests, so they have none.
    pub(super) fn new(event: &DirectoryEvent) -> Self {
        Self(tracing::info_span!(
            target: "tower_workos::delivery",
            "workos_delivery",
            event_id = %Excerpt(event.id().as_str()),
            event_name = %Excerpt(event.name()),
            directory_id =
                event.directory_id().map(|id| tracing::field::display(Excerpt(id.as_str()))),
            dedupe = Empty,
            outcome = Empty,
            http.response.status_code = Empty,
            // In quotes, because older versions of tracing reject a keyword in a name.
            "error.type" = Empty,
            otel.kind = "consumer",
            otel.name = %format_args!("process {}", Excerpt(event.name())),
            otel.status_code = Empty,
            messaging.system = "workos",
            "messaging.operation.type" = "process",
            messaging.operation.name = "process",
            // An endpoint subscribes to names of events, as a consumer does to topics.
            messaging.destination.name = %Excerpt(event.name()),
            messaging.message.id = %Excerpt(event.id().as_str()),
        ))
    }

    pub(super) fn in_scope<T>(&self, call: impl FnOnce() -> T) -> T {
        self.0.in_scope(call)
    }

    /// Runs a future inside the span, and drops it there.
    pub(super) fn instrument<F>(&self, future: F) -> Traced<F> {
        tracing::Instrument::instrument(future, self.0.clone())
    }

    pub(super) fn ended(&self, ending: &Ending) {
        if self.0.is_disabled() {
            return;
        }
        let (outcome, status, error) = match ending {
            Ending::Response(status) if status.is_success() => ("success", Some(status), None),
            Ending::Response(status) => ("failure", Some(status), Some(status.as_str())),
            Ending::Error => ("failure", None, Some("error")),
            Ending::Panic => ("failure", None, Some("panic")),
            Ending::Cancelled => ("cancelled", None, Some("cancelled")),
            // Has no span.
            Ending::Rejected => return,
        };
        self.0.record("outcome", outcome);
        self.0.record("http.response.status_code", status.map(StatusCode::as_u16));
        self.0.record("error.type", error);
        self.0.record("otel.status_code", error.map(|_| "ERROR"));
    }
}
