use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use tower_service::Service;
use tower_workos::DirectoryEvent;

use crate::{
    error::MirrorError,
    middleware::AppliedChanges,
    mirror::Mirror,
    webhook::{
        response::{missing_event, unavailable},
        submit,
    },
    writer::Done,
};

/// Boxed because it mostly waits for the database.
type BoxDone = Pin<Box<dyn Future<Output = Result<Done, MirrorError>> + Send>>;

pin_project! {
    /// The future of a [`MirrorService`](crate::MirrorService)'s response.
    #[must_use]
    pub struct MirrorFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        MissingEvent,
        Applying { applying: BoxDone, pending: Option<(S, Request<B>)> },
        Calling { #[pin] future: F },
    }
}

impl<S, B> MirrorFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn new(service: S, request: Request<B>, mirror: &Mirror) -> Self {
        let Some(event) = request.extensions().get::<DirectoryEvent>().cloned() else {
            return Self { state: State::MissingEvent };
        };
        let mirror = mirror.clone();
        let applying = Box::pin(async move { submit(&mirror, event).await });
        Self { state: State::Applying { applying, pending: Some((service, request)) } }
    }
}

impl<S, B, R> Future for MirrorFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<Either<R, Full<Bytes>>>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after it returned `Ready`.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::MissingEvent => return Poll::Ready(Ok(own(missing_event()))),
                StateProj::Applying { applying, pending } => {
                    let changes = match ready!(applying.as_mut().poll(cx)) {
                        Ok(Done::Applied(changes)) => AppliedChanges(changes.into()),
                        Ok(Done::DeadLetter) => AppliedChanges::default(),
                        Err(error) => {
                            // Releases what the service acquired when it became ready.
                            *pending = None;
                            return Poll::Ready(Ok(own(unavailable(error.kind()))));
                        }
                    };
                    let (mut service, mut request) =
                        pending.take().expect("polled after it returned `Ready`");
                    request.extensions_mut().insert(changes);
                    let future = service.call(request);
                    state.set(State::Calling { future });
                }
                StateProj::Calling { future } => {
                    return future.poll(cx).map_ok(|response| response.map(Either::Left));
                }
            }
        }
    }
}

fn own<R>(response: Response<Bytes>) -> Response<Either<R, Full<Bytes>>> {
    response.map(|body| Either::Right(Full::new(body)))
}

impl<S, B> fmt::Debug for MirrorFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::MissingEvent => "MissingEvent",
            State::Applying { .. } => "Applying",
            State::Calling { .. } => "Calling",
        };
        f.debug_struct("MirrorFuture").field("state", &state).finish_non_exhaustive()
    }
}
