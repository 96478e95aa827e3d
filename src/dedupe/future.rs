use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    dedupe::{
        claimed::Claimed,
        config::{Config, OnStoreError},
        hold::Hold,
        observer::Observer,
        outcome::DedupeOutcome,
        response::{self, Answer},
        store::{Claim, Completion, DedupeKey, DedupeStore},
    },
    event::DirectoryEvent,
    response_body::ResponseBody,
};

pin_project! {
    /// The future of [`Dedupe`](crate::Dedupe)'s response.
    #[must_use]
    pub struct ResponseFuture<S, St, B>
    where
        S: Service<Request<B>>,
        St: DedupeStore,
    {
        #[pin]
        state: State<S, St, B, S::Future, S::Response, S::Error>,
        // `None` for a request that passes through unchanged.
        event: Option<DirectoryEvent>,
        is_grpc: bool,
        on_store_error: OnStoreError,
        observer: Observer,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, St, B, F, R, E>
    where
        St: DedupeStore,
    {
        Misplaced,
        // Nothing is claimed before the future is polled.
        Starting { pending: Option<(S, Request<B>, St, Arc<Config>)> },
        Claiming { hold: Option<Hold<St>>, pending: Option<(S, Request<B>)> },
        Calling { #[pin] future: F, hold: Option<Hold<St>> },
        Completing { hold: Hold<St>, response: Option<R> },
        Releasing { hold: Hold<St>, result: Option<Result<R, E>> },
    }
}

impl<S, St, B> ResponseFuture<S, St, B>
where
    S: Service<Request<B>>,
    St: DedupeStore,
{
    pub(super) fn misplaced() -> Self {
        Self {
            state: State::Misplaced,
            event: None,
            is_grpc: false,
            on_store_error: OnStoreError::Reject,
            observer: Observer::new(),
        }
    }

    pub(super) fn passed(future: S::Future) -> Self {
        Self {
            state: State::Calling { future, hold: None },
            event: None,
            is_grpc: true,
            on_store_error: OnStoreError::Reject,
            observer: Observer::none(),
        }
    }

    pub(super) fn starting(
        inner: S,
        request: Request<B>,
        event: DirectoryEvent,
        is_grpc: bool,
        store: St,
        config: Arc<Config>,
    ) -> Self {
        let on_store_error = config.on_store_error;
        let pending = Some((inner, request, store, config));
        Self {
            state: State::Starting { pending },
            event: Some(event),
            is_grpc,
            on_store_error,
            observer: Observer::new(),
        }
    }
}

impl<S, St, B, ResBody> Future for ResponseFuture<S, St, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    St: DedupeStore,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after it has completed.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.as_mut().poll_response(cx));
        let outcome = match &result {
            Ok(response) => response.extensions().get().copied(),
            Err(_) => Some(DedupeOutcome::Released),
        };
        if let Some(outcome) = outcome {
            self.project().observer.ended(outcome);
        }
        Poll::Ready(result)
    }
}

impl<S, St, B, ResBody> ResponseFuture<S, St, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    St: DedupeStore,
{
    /// Polls for the response. Unless the request passes through, its extensions contain the outcome.
    fn poll_response(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseBody<ResBody>>, S::Error>> {
        const READY: &str = "polled after completion";
        let mut this = self.project();
        let (event, is_grpc) = (this.event.as_ref(), *this.is_grpc);
        let own = |answer| Poll::Ready(Ok(response::own(answer, event, is_grpc)));
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Misplaced => return own(Answer::Misplaced),
                StateProj::Starting { pending } => {
                    let (service, request, store, config) = pending.take().expect(READY);
                    let id = event.expect(READY).id().clone();
                    let key = DedupeKey::within(Arc::clone(&config.namespace), id);
                    let claimed = Claimed::new(store, key, config.lease, config.retention);
                    let hold =
                        Hold::claim(claimed, config.store_timeout, config.background.clone());
                    State::Claiming { hold: Some(hold), pending: Some((service, request)) }
                }
                StateProj::Claiming { hold, pending } => {
                    match ready!(hold.as_mut().expect(READY).poll_claim(cx)) {
                        Ok(Claim::Acquired(())) => {}
                        Ok(Claim::Done) => return own(Answer::Done),
                        Ok(Claim::InFlight { retry_after }) => {
                            return own(Answer::InFlight(retry_after));
                        }
                        Err(error) => match *this.on_store_error {
                            OnStoreError::Pass => response::log_passed(event, &error),
                            OnStoreError::Reject => return own(Answer::StoreError(error)),
                        },
                    }
                    let (mut service, mut request) = pending.take().expect(READY);
                    // If the call panics, this is dropped and releases the claim.
                    let hold = hold.take().expect(READY);
                    request.extensions_mut().insert(hold.claimed().clone());
                    let future = this.observer.run(|| service.call(request));
                    State::Calling { future, hold: Some(hold) }
                }
                StateProj::Calling { future, hold } => {
                    let result = ready!(this.observer.run(|| future.poll(cx)));
                    let Some(mut hold) = hold.take() else {
                        return Poll::Ready(
                            result.map(|response| response.map(ResponseBody::passed)),
                        );
                    };
                    match result {
                        Ok(response) if is_success(&response) => {
                            if hold.complete() {
                                State::Completing { hold, response: Some(response) }
                            } else if hold.claimed().is_completed_by_handler() {
                                // The handler had no claim to complete, so its transaction can't be checked.
                                return own(Answer::NotCompleted);
                            } else {
                                return passed(Ok(response), DedupeOutcome::NotRecorded, event);
                            }
                        }
                        result if hold.release() => State::Releasing { hold, result: Some(result) },
                        result => return passed(result, DedupeOutcome::Released, event),
                    }
                }
                StateProj::Completing { hold, response } => {
                    let by_handler = hold.claimed().is_completed_by_handler();
                    let completion = ready!(hold.poll_complete(cx));
                    let response = response.take().expect(READY);
                    // Unless the claim is completed, release it if it may still be held, so that a redelivery does not
                    // have to wait until the lease expires.
                    hold.continue_in_background();
                    return match (completion, *this.on_store_error) {
                        (Ok(Completion::Completed), _) => {
                            passed(Ok(response), DedupeOutcome::Completed, event)
                        }
                        (Ok(Completion::Stale), _) if by_handler => own(Answer::NotCompleted),
                        (Ok(Completion::Stale), _) => own(Answer::LeaseExpired),
                        (Err(error), OnStoreError::Pass) if !by_handler => {
                            response::log_passed(event, &error);
                            passed(Ok(response), DedupeOutcome::NotRecorded, event)
                        }
                        // What the handler did in a transaction may have been rolled back.
                        (Err(error), _) => own(Answer::StoreError(error)),
                    };
                }
                StateProj::Releasing { hold, result } => {
                    let released = ready!(hold.poll_release(cx));
                    let result = result.take().expect(READY);
                    // The handler's response is returned in either case.
                    return Poll::Ready(match released {
                        Ok(()) => return passed(result, DedupeOutcome::Released, event),
                        Err(error) => {
                            response::log_unreleased(event, &error);
                            with_outcome(result, DedupeOutcome::Released)
                        }
                    });
                }
            };
            this.state.set(next);
        }
    }
}

/// The handler's own response, with the outcome.
fn passed<B, E>(
    result: Result<Response<B>, E>,
    outcome: DedupeOutcome,
    event: Option<&DirectoryEvent>,
) -> Poll<Result<Response<ResponseBody<B>>, E>> {
    response::log_passed_on(outcome, event);
    Poll::Ready(with_outcome(result, outcome))
}

fn with_outcome<B, E>(
    result: Result<Response<B>, E>,
    outcome: DedupeOutcome,
) -> Result<Response<ResponseBody<B>>, E> {
    result.map(|response| {
        let mut response = response.map(ResponseBody::passed);
        response.extensions_mut().insert(outcome);
        response
    })
}

/// Whether the status is 2xx and the headers contain no `grpc-status` other than `OK`. A gRPC failure is HTTP 200 too, and
/// tonic writes the status into the headers if a call fails before it sends a message.
fn is_success<B>(response: &Response<B>) -> bool {
    response.status().is_success() && grpc_status(response.headers()).is_none_or(|it| it == b"0")
}

fn grpc_status(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("grpc-status").map(|value| value.as_bytes())
}

impl<S, St, B> fmt::Debug for ResponseFuture<S, St, B>
where
    S: Service<Request<B>>,
    St: DedupeStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Misplaced => "Misplaced",
            State::Starting { .. } => "Starting",
            State::Claiming { .. } => "Claiming",
            State::Calling { .. } => "Calling",
            State::Completing { .. } => "Completing",
            State::Releasing { .. } => "Releasing",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
