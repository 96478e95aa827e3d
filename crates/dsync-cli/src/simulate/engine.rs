//! The sending: workers that share what there is to send.

use std::{cell::RefCell, rc::Rc, time::Duration};

use dsync_cli::directory::{Deliveries, Life, State};
use tokio::{
    sync::Notify,
    task::{JoinSet, LocalSet},
    time::{Instant, sleep_until},
};
use tower_workos::testing::Signer;

use super::{
    log::Log,
    progress::Progress,
    queue::{Attempt, Next, Queue},
    retry::Backoff,
    stats::Stats,
};
use crate::{client::Client, net::Network};

pub(super) struct Settings {
    pub(super) signer: Signer,
    pub(super) network: Network,
    pub(super) check: Option<Network>,
    pub(super) concurrency: u16,
    pub(super) rate: Option<u32>,
    /// `None` sends nothing again.
    pub(super) backoff: Option<Backoff>,
    pub(super) keep_signature: bool,
    pub(super) timeout: Duration,
    pub(super) keep_state: bool,
    pub(super) events: u64,
    pub(super) seed: u64,
}

/// How it went.
pub(super) struct Outcome {
    pub(super) stats: Stats,
    pub(super) state: Option<State>,
    pub(super) log: Option<Log>,
    pub(super) acknowledged: u64,
    pub(super) given_up: u64,
    pub(super) uncertain: u64,
    /// Events under way when the simulation was interrupted.
    pub(super) open: u64,
    pub(super) dropped: u64,
    pub(super) elapsed: Duration,
    pub(super) interrupted: bool,
}

impl Outcome {
    pub(super) fn is_complete(&self) -> bool {
        self.given_up == 0 && self.open == 0
    }
}

pub(super) async fn run(settings: &Settings, deliveries: Deliveries<Life>) -> Outcome {
    let queue = Rc::new(RefCell::new(Queue::new(settings, deliveries)));
    let changed = Rc::new(Notify::new());
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
            let interrupted = tokio::select! {
                () = join(&mut workers) => false,
                () = interrupt() => true,
                () = show => false,
            };
            if interrupted {
                queue.borrow_mut().stop();
                changed.notify_waiters();
                // What is under way may still be answered; who has no patience presses again.
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

/// Ready at Ctrl-C or, on Unix, SIGTERM.
async fn interrupt() {
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

/// Sends one delivery after the other over a connection of its own.
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
            // No other task runs between the queue's answer and the wait, so no change of it is missed.
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
