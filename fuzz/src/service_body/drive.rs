//! Polls a request's future as an executor would, and watches it.

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

use super::{body::Asked, input::Input};

/// Polls to the end, or drops the future after so many polls. Polls only when woken, so a lost wake-up never ends.
pub(super) async fn drive<F: Future>(
    future: F,
    dropped_after: Option<u8>,
    asked: &Asked,
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
        alarm.rang.store(false, SeqCst);
        asked.polls_at_once.set(0);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        if !alarm.rang.load(SeqCst) {
            poll_fn(|cx| alarm.poll(cx)).await;
        } else if asked.endless.get() {
            // A body without an end takes time like any other.
            advance(Duration::from_millis(input.timeout_millis() / 8 * 2 + 2)).await;
        } else {
            yield_now().await;
        }
    }
}

/// Remembers that it rang, and wakes the task that waits for it.
#[derive(Default)]
struct Alarm {
    rang: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Alarm {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.rang.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, SeqCst);
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.wake();
        }
    }
}
