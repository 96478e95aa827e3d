use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::dedupe::{
    Claim, Claimed, Completion, DedupeKey, DedupeStore, OnStoreError, ResponseBody, StoreError,
    layer::Config,
    response::{self, Cause},
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
        on_store_error: OnStoreError,
        retention: Duration,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, St, B, F, R, E>
    where
        St: DedupeStore,
    {
        Misplaced,
        Claiming {
            #[pin]
            claim: St::ClaimFuture,
            // Taken when the claim is answered.
            pending: Option<(S, Request<B>, St, DedupeKey)>,
        },
        Calling {
            #[pin]
            future: F,
            hold: Option<Hold<St>>,
        },
        Completing {
            #[pin]
            complete: St::CompleteFuture,
            hold: Hold<St>,
            response: Option<R>,
        },
        Releasing {
            #[pin]
            release: St::ReleaseFuture,
            outcome: Option<Result<R, E>>,
        },
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
            on_store_error: OnStoreError::Reject,
            retention: Duration::ZERO,
        }
    }

    pub(super) fn claiming(
        claim: St::ClaimFuture,
        inner: S,
        request: Request<B>,
        store: St,
        key: DedupeKey,
        config: &Config,
    ) -> Self {
        Self {
            state: State::Claiming { claim, pending: Some((inner, request, store, key)) },
            on_store_error: config.on_store_error,
            retention: config.retention,
        }
    }
}

impl<S, St, B, ResBody> Future for ResponseFuture<S, St, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    St: DedupeStore + Clone + Send + Sync + Unpin + 'static,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    ///
    /// Where it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const READY: &str = "polled after it was ready";
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Misplaced => return Poll::Ready(Ok(response::own(Cause::Misplaced))),
                StateProj::Claiming { claim, pending } => {
                    let claim = ready!(claim.poll(cx));
                    let (mut service, mut request, store, key) = pending.take().expect(READY);
                    let hold = match claim {
                        Ok(Claim::Acquired(token)) => {
                            let hold =
                                Hold { store, key, token, retention: *this.retention, held: true };
                            request.extensions_mut().insert(hold.claimed());
                            Some(hold)
                        }
                        Ok(Claim::Done) => return Poll::Ready(Ok(response::own(Cause::Done))),
                        Ok(Claim::InFlight { retry_after }) => {
                            return Poll::Ready(Ok(response::own(Cause::InFlight(retry_after))));
                        }
                        Err(error) => match *this.on_store_error {
                            OnStoreError::Pass => {
                                response::log_passed(&error);
                                None
                            }
                            OnStoreError::Reject => {
                                return Poll::Ready(Ok(response::own(Cause::Store(error))));
                            }
                        },
                    };
                    State::Calling { future: service.call(request), hold }
                }
                StateProj::Calling { future, hold } => {
                    let outcome = ready!(future.poll(cx));
                    match (outcome, hold.take()) {
                        (outcome, None) => {
                            return Poll::Ready(
                                outcome.map(|response| response.map(ResponseBody::passed)),
                            );
                        }
                        (Ok(response), Some(hold)) if response.status().is_success() => {
                            State::Completing {
                                complete: hold.store.complete(
                                    &hold.key,
                                    &hold.token,
                                    *this.retention,
                                ),
                                hold,
                                response: Some(response),
                            }
                        }
                        (outcome, Some(hold)) => {
                            State::Releasing { release: hold.release(), outcome: Some(outcome) }
                        }
                    }
                }
                StateProj::Completing { complete, hold, response } => {
                    let completion = ready!(complete.poll(cx));
                    let response = response.take().expect(READY);
                    match completed(completion, *this.on_store_error) {
                        // If the store did not answer, dropping the hold releases what may still be held, so that
                        // a redelivery need not wait for the lease.
                        Some(cause) => return Poll::Ready(Ok(response::own(cause))),
                        None => {
                            hold.held = false;
                            return Poll::Ready(Ok(response.map(ResponseBody::passed)));
                        }
                    }
                }
                StateProj::Releasing { release, outcome } => {
                    if let Err(error) = ready!(release.poll(cx)) {
                        // The lease ends it; the answer is the handler's either way.
                        response::log_unreleased(&error);
                    }
                    let outcome = outcome.take().expect(READY);
                    return Poll::Ready(outcome.map(|response| response.map(ResponseBody::passed)));
                }
            };
            this.state.set(next);
        }
    }
}

/// Why the handler's success can't be reported, if so.
fn completed(completion: Result<Completion, StoreError>, on_error: OnStoreError) -> Option<Cause> {
    match (completion, on_error) {
        (Ok(Completion::Completed), _) => None,
        (Ok(Completion::Stale), _) => Some(Cause::Stale),
        (Err(error), OnStoreError::Pass) => {
            response::log_passed(&error);
            None
        }
        (Err(error), OnStoreError::Reject) => Some(Cause::Store(error)),
    }
}

impl<S, St, B> fmt::Debug for ResponseFuture<S, St, B>
where
    S: Service<Request<B>>,
    St: DedupeStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Misplaced => "Misplaced",
            State::Claiming { .. } => "Claiming",
            State::Calling { .. } => "Calling",
            State::Completing { .. } => "Completing",
            State::Releasing { .. } => "Releasing",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}

/// A claim that is given back when it is dropped: by a panic of the handler, or because nobody polls any more.
struct Hold<St: DedupeStore> {
    store: St,
    key: DedupeKey,
    token: St::Token,
    retention: Duration,
    held: bool,
}

impl<St: DedupeStore + Clone> Hold<St> {
    fn claimed(&self) -> Claimed<St> {
        Claimed {
            store: self.store.clone(),
            key: self.key.clone(),
            token: self.token.clone(),
            retention: self.retention,
        }
    }

    fn release(mut self) -> St::ReleaseFuture {
        self.held = false;
        self.store.release(&self.key, &self.token)
    }
}

impl<St: DedupeStore> Drop for Hold<St> {
    fn drop(&mut self) {
        if mem::take(&mut self.held) {
            self.store.abandon(&self.key, &self.token);
        }
    }
}
