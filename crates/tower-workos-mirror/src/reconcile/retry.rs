//! Repeats what the database failed to do.

use std::time::Duration;

use tokio::time::sleep;

use crate::reconcile::error::{ReconcileError, ReconcileErrorKind};

/// How often a transaction is tried.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Counts the attempts: a run can have taken an hour, and a lock can be held for some seconds. Transactions must be idempotent,
/// because a commit can fail although it took place.
#[derive(Default)]
pub(super) struct Retries(u32);

impl Retries {
    /// Waits before the next attempt. Returns `false` if there is none.
    pub(super) async fn wait(&mut self, error: &ReconcileError) -> bool {
        self.0 += 1;
        let is_due = error.kind() == ReconcileErrorKind::Database && self.0 < ATTEMPTS;
        if is_due {
            sleep(FIRST_PAUSE * self.0).await;
        }
        is_due
    }
}

/// Evaluates an expression, which is a future, again as long as the database fails and there are attempts left. A function with
/// a closure could not borrow and be sent to another thread.
macro_rules! retried {
    ($future:expr) => {{
        let mut retries = crate::reconcile::retry::Retries::default();
        loop {
            match $future.await {
                Err(error) if retries.wait(&error).await => {}
                result => break result,
            }
        }
    }};
}

pub(super) use retried;
