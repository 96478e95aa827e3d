use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use crate::{
    dedupe::{
        background::Background,
        claimed::Claimed,
        response,
        store::{Claim, Completion, DedupeStore, StoreError},
    },
    metrics::{Operation, StoreCall},
};

/// The claim of one request, with the store call that is under way for it.
///
/// It can be dropped at any point without blocking the event's next delivery: a claim that was made, or is being made, is
/// released. A completion under way continues, and the claim is released only if the completion fails.
pub(super) struct Hold<St: DedupeStore> {
    claimed: Claimed<St>,
    call: Call<St>,
    /// Measures the call under way.
    measured: Option<StoreCall>,
    /// Bounds the call under way. Created when the call is first pending.
    deadline: Option<Pin<Box<Sleep>>>,
    timeout: Duration,
    background: Background,
}

/// The call under way.
enum Call<St: DedupeStore> {
    Claiming(St::ClaimFuture),
    Completing(St::CompleteFuture),
    /// No call; the claim is held.
    Held,
    /// No call; nothing is held.
    Nothing,
    Releasing(St::ReleaseFuture),
}

impl<St: DedupeStore> Hold<St> {
    /// Starts to claim a key.
    pub(super) fn claim(claimed: Claimed<St>, timeout: Duration, background: Background) -> Self {
        let measured = Some(StoreCall::start(Operation::Claim));
        let claim = claimed.store().claim(claimed.key(), claimed.lease());
        Self { claimed, call: Call::Claiming(claim), measured, deadline: None, timeout, background }
    }

    pub(super) fn claimed(&self) -> &Claimed<St> {
        &self.claimed
    }

    /// Polls the claim. Stores the token in [`Claimed`] instead of returning it.
    ///
    /// After the time-out, the claim continues in the background, where it is released as soon as it is made.
    pub(super) fn poll_claim(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Claim<()>, StoreError>> {
        let Call::Claiming(claim) = &mut self.call else {
            return Poll::Ready(Err(StoreError::unavailable("polled after it returned `Ready`")));
        };
        let Poll::Ready(claim) = Pin::new(claim).poll(cx) else {
            return self.poll_deadline(cx).map(Err);
        };
        self.ended();
        self.call = Call::Nothing;
        Poll::Ready(claim.map(|claim| match claim {
            Claim::Acquired(token) => {
                self.claimed.adopt(token);
                self.call = Call::Held;
                Claim::Acquired(())
            }
            Claim::Done => Claim::Done,
            Claim::InFlight { retry_after } => Claim::InFlight { retry_after },
        }))
    }

    /// Starts to complete the claim, or to check that the handler did. `false` if there is no claim because the store
    /// failed.
    pub(super) fn complete(&mut self) -> bool {
        let Some(token) = self.claimed.token() else { return false };
        let (store, key) = (self.claimed.store(), self.claimed.key());
        self.call = Call::Completing(if self.claimed.is_completed_by_handler() {
            self.measured = Some(StoreCall::start(Operation::Confirm));
            store.confirm(key, token)
        } else {
            self.measured = Some(StoreCall::start(Operation::Complete));
            store.complete(key, token, self.claimed.retention())
        });
        true
    }

    /// Polls the completion. Unless the result is [`Completion::Completed`], the claim is still held, or the completion
    /// continues in the background.
    pub(super) fn poll_complete(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Completion, StoreError>> {
        let Call::Completing(complete) = &mut self.call else {
            return Poll::Ready(Err(StoreError::unavailable("polled after it returned `Ready`")));
        };
        let Poll::Ready(completion) = Pin::new(complete).poll(cx) else {
            return self.poll_deadline(cx).map(Err);
        };
        self.ended();
        self.call = match &completion {
            Ok(Completion::Completed) => Call::Nothing,
            _ => Call::Held,
        };
        Poll::Ready(completion)
    }

    /// Starts to release the claim. `false` if nothing is held.
    pub(super) fn release(&mut self) -> bool {
        match (&self.call, self.claimed.token()) {
            (Call::Held, Some(token)) => {
                self.measured = Some(StoreCall::start(Operation::Release));
                let release = self.claimed.store().release(self.claimed.key(), token);
                self.call = Call::Releasing(release);
                true
            }
            _ => false,
        }
    }

    /// Polls the release. After the time-out, it continues in the background.
    pub(super) fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StoreError>> {
        let Call::Releasing(release) = &mut self.call else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(released) = Pin::new(release).poll(cx) else {
            return self.poll_deadline(cx).map(Err);
        };
        self.ended();
        self.call = Call::Nothing;
        Poll::Ready(released)
    }

    /// The call under way has ended, or has taken too long.
    fn ended(&mut self) {
        self.deadline = None;
        self.measured = None;
    }

    /// Ready with the error once the call has taken too long. The call then continues in the background.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<StoreError> {
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.ended();
        self.continue_in_background();
        Poll::Ready(StoreError::timeout(timeout))
    }

    /// Lets a task finish the call under way, or release the claim that is held.
    pub(super) fn continue_in_background(&mut self) {
        let call = mem::replace(&mut self.call, Call::Nothing);
        if matches!(call, Call::Nothing) {
            return;
        }
        let claimed = self.claimed.clone();
        // `None` after a time-out: the call has been recorded.
        let measured = self.measured.take();
        // Once the lease has passed, the store frees the key.
        let limit = claimed.lease();
        match call {
            Call::Claiming(claim) => self.background.spawn(limit, async move {
                let claim = claim.await;
                drop(measured);
                if let Ok(Claim::Acquired(token)) = claim {
                    let _measured = StoreCall::start(Operation::Release);
                    let _ = claimed.store().release(claimed.key(), &token).await.is_ok();
                }
            }),
            Call::Completing(complete) => self.background.spawn(limit, async move {
                let completion = complete.await;
                drop(measured);
                if !matches!(completion, Ok(Completion::Completed)) {
                    release(&claimed).await;
                }
            }),
            // `MemoryStore` releases when it is called, which needs no runtime.
            Call::Held => {
                if let Some(token) = claimed.token() {
                    let measured = StoreCall::start(Operation::Release);
                    let mut release = claimed.store().release(claimed.key(), token);
                    let mut cx = Context::from_waker(Waker::noop());
                    // A second panic during unwinding would abort the process.
                    if !std::thread::panicking()
                        && self.background.is_possible()
                        && Pin::new(&mut release).poll(&mut cx).is_ready()
                    {
                        return;
                    }
                    self.background.spawn(limit, async move {
                        let _ = release.await.is_ok();
                        drop(measured);
                    });
                }
            }
            Call::Releasing(release) => self.background.spawn(limit, async move {
                let _ = release.await.is_ok();
                drop(measured);
            }),
            Call::Nothing => {}
        }
    }
}

impl<St: DedupeStore> Drop for Hold<St> {
    fn drop(&mut self) {
        let during = match &self.call {
            Call::Claiming(_) => "the claim",
            Call::Completing(_) => "the completion",
            Call::Held => "the handler",
            Call::Releasing(_) => "the release",
            Call::Nothing => return,
        };
        response::log_dropped(self.claimed.key(), during);
        self.continue_in_background();
    }
}

async fn release<St: DedupeStore>(claimed: &Claimed<St>) {
    if let Some(token) = claimed.token() {
        let _measured = StoreCall::start(Operation::Release);
        let _ = claimed.store().release(claimed.key(), token).await.is_ok();
    }
}
