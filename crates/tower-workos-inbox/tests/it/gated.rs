//! A handler that waits for the test.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Completion, Inbox, Job, Permanent};

use crate::support::{Running, run, until};

/// A worker whose handler waits, then fails permanently.
pub(crate) struct Gated {
    begun: Arc<AtomicU32>,
    may_end: Arc<AtomicBool>,
    completions: Arc<Mutex<Vec<(u32, Completion)>>>,
    running: Running,
}

impl Gated {
    pub(crate) fn run(inbox: &Inbox, pool: &PgPool, error: &'static str) -> Self {
        let (begun, may_end) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
        let completions = Arc::<Mutex<Vec<_>>>::default();
        let service = {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            let (completions, pool) = (Arc::clone(&completions), pool.clone());
            service_fn(move |job: Job<DirectoryEvent>| {
                begun.fetch_add(1, Ordering::Relaxed);
                let (may_end, completions) = (Arc::clone(&may_end), Arc::clone(&completions));
                let pool = pool.clone();
                async move {
                    while !may_end.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    let mut transaction = pool.begin().await.unwrap();
                    let completion = job.complete_in(&mut transaction).await.unwrap();
                    transaction.rollback().await.unwrap();
                    completions.lock().unwrap().push((job.attempts(), completion));
                    Err::<(), _>(Permanent::new(error))
                }
            })
        };
        let worker = inbox.job_worker(service).concurrency(1).lease(Duration::from_secs(3));
        Self { begun, may_end, completions, running: run(worker) }
    }

    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Lets the handler end and stops the worker.
    pub(crate) async fn finish(self) -> Vec<(u32, Completion)> {
        self.may_end.store(true, Ordering::Relaxed);
        until("the handler ends", async || !self.completions.lock().unwrap().is_empty()).await;
        self.running.stop().await;
        self.completions.lock().unwrap().clone()
    }
}
