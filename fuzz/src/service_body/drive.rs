//! Polls a request's future as an executor does, and observes it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::{task::yield_now, time::advance};

use super::{body::Polled, input::Input};

/// Polls to completion, or drops the future after this many polls. Polls only when woken, so a lost wake-up blocks forever.
pub(super) async fn drive<F: Future>(
    future: F,
    dropped_after: Option<u8>,
    body: &Polled,
    input: &Input,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let alarm = Arc::<Alarm>::default();
    let waker = Waker::from(Arc::clone(&alarm));
    let mut polls = 0;
    loop {
        if dropped_after.is_some_and(|after| polls >= u32::from(after)) {
            return None;
        }
        polls += 1;
        alarm.woken.store(false, SeqCst);
        body.polls_at_once.set(0);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        if !alarm.woken.load(SeqCst) {
            poll_fn(|cx| alarm.poll(cx)).await;
        } else if body.endless.get() {
            // The clock is paused, so an endless body must advance it to reach the time-out.
            advance(Duration::from_millis(input.timeout_millis() / 8 * 2 + 2)).await;
        } else {
            yield_now().await;
        }
    }
}

/// A waker that records that it was called, and wakes the task that waits for it.
#[derive(Default)]
struct Alarm {
    woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Alarm {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.woken.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.wake();
        }
    }
}
