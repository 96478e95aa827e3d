//! Runs the workers that send the deliveries.

use std::{cell::RefCell, rc::Rc};

use tokio::{
    sync::Notify,
    task::{JoinSet, LocalSet},
    time::{Instant, sleep_until},
};
use tower_workos::testing::Signer;

use super::{
    feed::Source,
    outcome::Outcome,
    progress::Progress,
    queue::{Attempt, Next, Queue},
    settings::Settings,
};
use crate::client::Client;

/// Sends the deliveries of a source. `life` runs at the same time: it fills the source, and notifies
/// `changed`.
pub(crate) async fn run(
    settings: &Settings,
    source: Source,
    changed: Rc<Notify>,
    life: impl Future<Output = ()>,
) -> Outcome {
    let queue = Rc::new(RefCell::new(Queue::new(settings, source)));
    let begin = Instant::now();
    let local = LocalSet::new();
    let interrupted = local
        .run_until(async {
            let mut workers = JoinSet::new();
            for _ in 0..settings.concurrency {
                let worker = Worker {
                    queue: Rc::clone(&queue),
                    changed: Rc::clone(&changed),
                    client: Client::new(settings.network.clone(), settings.timeout),
                    signer: settings.signer.clone(),
                    keep_signature: settings.keep_signature,
                };
                workers.spawn_local(worker.run());
            }
            let progress = Progress::new(settings);
            let show = async {
                loop {
                    tokio::time::sleep(progress.period()).await;
                    progress.show(&queue.borrow());
                }
            };
            let work = async { tokio::join!(life, join(&mut workers)) };
            let interrupted = tokio::select! {
                ((), ()) = work => false,
                () = interrupt() => true,
                () = show => false,
            };
            if interrupted {
                queue.borrow_mut().stop();
                changed.notify_waiters();
                // Wait for the responses that are still to come, unless the user interrupts again.
                tokio::select! {
                    () = join(&mut workers) => {}
                    () = interrupt() => workers.shutdown().await,
                }
            }
            progress.end(&queue.borrow());
            interrupted
        })
        .await;
    drop(local);
    queue.borrow_mut().close(begin.elapsed(), interrupted)
}

async fn join(workers: &mut JoinSet<()>) {
    while workers.join_next().await.is_some() {}
}

/// Completes on Ctrl-C or, on Unix, SIGTERM.
pub(crate) async fn interrupt() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Sends one delivery after the other over its own connection.
struct Worker {
    queue: Rc<RefCell<Queue>>,
    changed: Rc<Notify>,
    client: Client,
    signer: Signer,
    keep_signature: bool,
}

impl Worker {
    async fn run(mut self) {
        loop {
            // No other task runs between this line and the wait below, so no notification is missed.
            let next = self.queue.borrow_mut().next(Instant::now());
            match next {
                Next::Send(attempt) => self.send(attempt).await,
                Next::WaitUntil(due) => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.changed.notified() => {}
                    }
                }
                Next::Wait => self.changed.notified().await,
                Next::End => return,
            }
        }
    }

    async fn send(&mut self, mut attempt: Attempt) {
        let signed = match attempt.signed.take() {
            Some(signed) => signed,
            None => self.signer.sign(attempt.delivery.event().body().clone()),
        };
        let result = self.client.deliver(&signed).await;
        if self.keep_signature {
            attempt.signed = Some(signed);
        }
        if self.queue.borrow_mut().record(attempt, &result, Instant::now()) {
            self.changed.notify_waiters();
        }
    }
}
