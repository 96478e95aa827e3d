//! The inner service of the layer.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower_service::Service;
use tower_workos::{DirectoryEvent, verify::VerifiedBody};

use super::input::Behaviour;

/// The arguments of a call of the handler.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) bytes: Bytes,
    pub(super) event: DirectoryEvent,
}

/// A handler that must be polled ready before each call. A clone is not ready.
#[derive(Debug, Default)]
pub(super) struct Handler {
    ready: bool,
    pub(super) shared: Rc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) behaviour: Cell<Behaviour>,
    pub(super) calls: RefCell<Vec<Call>>,
}

/// The handler's error.
#[derive(Debug, PartialEq)]
pub(super) struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handler failed")
    }
}

impl std::error::Error for Failure {}

impl Behaviour {
    pub(super) fn status(self) -> StatusCode {
        StatusCode::from_u16(200 + self.status % 400).unwrap_or(StatusCode::OK)
    }
}

impl Clone for Handler {
    fn clone(&self) -> Self {
        Self { ready: false, shared: Rc::clone(&self.shared) }
    }
}

impl Service<Request<VerifiedBody>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut behaviour = self.shared.behaviour.get();
        if behaviour.unready > 0 {
            behaviour.unready -= 1;
            self.shared.behaviour.set(behaviour);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        let behaviour = self.shared.behaviour.get();
        let event = request.extensions().get::<DirectoryEvent>().cloned();
        let body = request.into_body();
        let length = body.size_hint().exact();
        let shared = Rc::clone(&self.shared);
        let bytes = body.clone().into_bytes();
        shared.calls.borrow_mut().push(Call { bytes, event: event.expect("an event") });
        Box::pin(async move {
            for _ in 0..behaviour.slow {
                yield_once().await;
            }
            let Ok(collected) = body.collect().await;
            assert!(collected.trailers().is_none());
            let bytes = collected.to_bytes();
            assert_eq!(length, u64::try_from(bytes.len()).ok());
            if behaviour.fails {
                return Err(Failure);
            }
            let mut response = Response::new(Full::new(bytes));
            *response.status_mut() = behaviour.status();
            Ok(response)
        })
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
