use std::{
    error::Error,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::{
    error::VerifyError,
    event::DirectoryEvent,
    metrics,
    rejection::Rejection,
    response_body::ResponseBody,
    signature::SignatureHeader,
    verifier::Verification,
    verify::{
        body::{BoxError, Received, VerifiedBody},
        config::Config,
        observer::Observer,
        span::Traced,
    },
};

/// After this many frames, `poll` yields to the other tasks of its thread, even if more frames are ready.
const FRAMES_PER_POLL: usize = 64;

pin_project! {
    /// The future of [`VerifyWebhook`](crate::VerifyWebhook)'s response.
    #[must_use]
    #[project = ResponseFutureProj]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<VerifiedBody>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
        // After `state`, so that the span closes after what is inside it.
        observer: Observer,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Rejected { rejection: Option<(Rejection, Arc<Config>)> },
        Reading { #[pin] reading: Reading<S, B> },
        Calling { #[pin] future: Traced<F> },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<VerifiedBody>>,
{
    pub(super) fn rejected(rejection: Rejection, config: Arc<Config>, observer: Observer) -> Self {
        Self { state: State::Rejected { rejection: Some((rejection, config)) }, observer }
    }

    pub(super) fn reading(
        service: S,
        request: Request<B>,
        header: SignatureHeader,
        config: Arc<Config>,
        observer: Observer,
    ) -> Self
    where
        B: Body,
    {
        let (parts, body) = request.into_parts();
        // Below the limit, or the request would have been rejected.
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
        let verification = Some(config.verifier.start(header));
        let pending = Some((service, parts));
        let received = Received::Nothing;
        let reading =
            Reading { body, deadline: None, received, expected, verification, pending, config };
        Self { state: State::Reading { reading }, observer }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after it returned `Ready`.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ResponseFutureProj { mut state, observer } = self.project();
        loop {
            match state.as_mut().project() {
                StateProj::Rejected { rejection } => {
                    let (rejection, config) =
                        rejection.take().expect("polled after it returned `Ready`");
                    observer.rejected(rejection.kind());
                    return Poll::Ready(Ok(config.reject(rejection)));
                }
                StateProj::Reading { mut reading } => {
                    let outcome = ready!(reading.as_mut().poll_body(cx));
                    let reading = reading.project();
                    let outcome = outcome.and_then(|()| {
                        Ok(verify(reading.verification, reading.received, reading.config)?)
                    });
                    match outcome {
                        Ok((event, bytes)) => {
                            #[cfg(feature = "tracing")]
                            reading.config.log.accepted(&event);
                            observer.accepted(&event);
                            let (mut service, parts) =
                                reading.pending.take().expect("polled after it returned `Ready`");
                            let mut request = Request::from_parts(parts, VerifiedBody::new(bytes));
                            request.extensions_mut().insert(event);
                            let future = observer.call(|| service.call(request));
                            state.set(State::Calling { future });
                        }
                        Err(rejection) => {
                            let rejection = Some((rejection, Arc::clone(reading.config)));
                            state.set(State::Rejected { rejection });
                        }
                    }
                }
                StateProj::Calling { future } => {
                    return observer
                        .poll(|| future.poll(cx))
                        .map_ok(|response| response.map(ResponseBody::passed));
                }
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<VerifiedBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Rejected { .. } => "Rejected",
            State::Reading { .. } => "Reading",
            State::Calling { .. } => "Calling",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}

pin_project! {
    /// A body that is arriving, and the request that waits for it.
    struct Reading<S, B> {
        #[pin]
        body: B,
        // Set when the body is first `Pending`: a body that is complete immediately needs no timer.
        #[pin]
        deadline: Option<Sleep>,
        received: Received,
        expected: usize,
        // Taken when the body is complete.
        verification: Option<Verification>,
        // Taken when it has been verified.
        pending: Option<(S, Parts)>,
        config: Arc<Config>,
    }
}

/// Verifies a complete body, and returns the event in it and the body.
fn verify(
    verification: &mut Option<Verification>,
    received: &mut Received,
    config: &Config,
) -> Result<(DirectoryEvent, Bytes), VerifyError> {
    let verified = verification.take().expect("polled after it returned `Ready`").finish()?;
    metrics::signature_age(|| config.verifier.age(verified.signature().issued_at()));
    let bytes = mem::replace(received, Received::Nothing).into_bytes();
    Ok((verified.into_event(bytes.clone())?, bytes))
}

impl<S, B> Reading<S, B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Reads the body to its end.
    fn poll_body(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let mut this = self.project();
        let Some(verification) = this.verification else {
            return Poll::Ready(Ok(()));
        };
        let timeout = this.config.body_timeout;
        for _ in 0..FRAMES_PER_POLL {
            let frame = match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(read_error(&*error.into(), this.config.body_limit)));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    return poll_deadline(this.deadline, timeout, cx).map(Err);
                }
            };
            // Trailers are not signed. They are the last frame of a body.
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            let length = data.remaining();
            if length > this.config.body_limit.saturating_sub(this.received.len()) {
                return Poll::Ready(Err(Rejection::body_too_large(this.config.body_limit)));
            }
            if length > 0 {
                // For `Bytes`, which most bodies use, this copies nothing.
                let data = data.copy_to_bytes(length);
                verification.update(&data);
                this.received.push(data, *this.expected);
            }
        }
        cx.waker().wake_by_ref();
        poll_deadline(this.deadline, timeout, cx).map(Err)
    }
}

/// Ready with a rejection after the deadline.
fn poll_deadline(
    mut deadline: Pin<&mut Option<Sleep>>,
    timeout: std::time::Duration,
    cx: &mut Context<'_>,
) -> Poll<Rejection> {
    if deadline.is_none() {
        deadline.set(Some(sleep(timeout)));
    }
    let Some(sleep) = deadline.as_pin_mut() else {
        return Poll::Pending;
    };
    // The timer is never ready after the task has used up tokio's budget, which a body can do in every poll.
    if sleep.deadline() <= Instant::now() || sleep.poll(cx).is_ready() {
        return Poll::Ready(Rejection::body_timeout(timeout));
    }
    Poll::Pending
}

/// Recognizes the error of an outer limit, which also means that the body is too large.
fn read_error(error: &(dyn Error + 'static), limit: usize) -> Rejection {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Rejection::body_too_large(limit);
        }
        cause = error.source();
    }
    Rejection::body_read()
}
