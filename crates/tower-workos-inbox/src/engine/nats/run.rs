//! The worker's loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{
    Message, StatusCode, Subscriber,
    connection::State,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, PullConsumer, pull},
    },
};
use futures_util::StreamExt as _;
use tokio::{
    select,
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Nats, TIMEOUT,
    attempt::Attempt,
    error::{diagnose, failed},
};
use crate::{
    engine::Run,
    error::{InboxError, InboxErrorKind},
};

/// The pause after a failure, which doubles up to the second one.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a worker that stops tries to store that jobs have ended. Then they are delivered again.
pub(super) const LAST: Duration = Duration::from_secs(5);
/// How long the server keeps a request for items if there are none. After a restart it has forgotten it, so this is short.
const EXPIRES: Duration = Duration::from_secs(2);
/// The consumer that all workers of the queue share.
const CONSUMER: &str = "worker";

/// Whether the last operation failed, so that only the first failure is logged.
#[derive(Default)]
pub(super) struct Health(AtomicBool);

impl Health {
    pub(super) fn succeeded(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "tower_workos_inbox::worker", "the worker works again");
        }
    }

    pub(super) fn failed(&self, error: &InboxError) {
        if !self.0.swap(true, Ordering::Relaxed) {
            let error = error.without_payload();
            tracing::warn!(
                target: "tower_workos_inbox::worker", %error, "the worker can't reach its streams: trying again"
            );
        }
    }
}

/// A request for items that the server has not answered completely.
struct Asked {
    inbox: String,
    missing: usize,
    /// When the server must have answered.
    end: Instant,
}

pub(super) struct Loop {
    engine: Nats,
    run: Run,
    /// Free places for handlers.
    places: Arc<Semaphore>,
    /// Notified when a handler has returned.
    freed: Arc<Notify>,
    /// Handlers, and outcomes that are not confirmed yet.
    running: JoinSet<()>,
    health: Arc<Health>,
}

impl Loop {
    pub(super) fn new(engine: Nats, run: Run) -> Self {
        Self {
            places: Arc::new(Semaphore::new(run.concurrency)),
            freed: Arc::default(),
            running: JoinSet::new(),
            health: Arc::default(),
            engine,
            run,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), InboxError> {
        let mut stop = self.run.stop.clone();
        let mut pause = PAUSE.0;
        while !*stop.borrow() {
            let begin = Instant::now();
            let Err(error) = self.listen().await else { break };
            let error = diagnose(&self.engine.context, &self.engine.streams, error).await;
            if error.kind() == InboxErrorKind::NotMigrated {
                return Err(error);
            }
            self.health.failed(&error);
            if begin.elapsed() > PAUSE.1 {
                pause = PAUSE.0;
            }
            select! {
                () = sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
            pause = (pause * 2).min(PAUSE.1);
            while self.running.try_join_next().is_some() {}
        }
        while self.running.join_next().await.is_some() {}
        Ok(())
    }

    /// Starts jobs until the worker is stopped or something fails. One request at a time asks for as many items as there are free
    /// places: while it is not answered completely, there are no more items.
    async fn listen(&mut self) -> Result<(), InboxError> {
        let what = "NATS delivers no items";
        let client = self.engine.context.client();
        let consumer = self.consumer().await?;
        let inbox = client.new_inbox();
        let items = client.subscribe(format!("{inbox}.*")).await;
        let mut items = items.map_err(|error| InboxError::storage(what).caused(error))?;
        let mut stop = self.run.stop.clone();
        let mut asked: Option<Asked> = None;
        let mut number = 0_u64;
        loop {
            while self.running.try_join_next().is_some() {}
            // Outcomes are confirmed while the next handlers run. Outcomes that can't be confirmed stop the worker, too.
            let unconfirmed = self.running.len().saturating_sub(self.run.concurrency);
            let free = self
                .places
                .available_permits()
                .min(self.run.concurrency.saturating_sub(unconfirmed));
            if asked.is_none() && free > 0 {
                if client.connection_state() != State::Connected {
                    return Err(InboxError::storage("the connection to NATS is lost"));
                }
                number += 1;
                let inbox = format!("{inbox}.{number}");
                let batch =
                    pull::BatchConfig { batch: free, expires: Some(EXPIRES), ..Default::default() };
                let asking = consumer.request_batch(batch, inbox.as_str().into()).await;
                asking.map_err(|error| failed(what, error))?;
                let end = Instant::now() + EXPIRES + TIMEOUT;
                asked = Some(Asked { inbox, missing: free, end });
            }
            let end = asked.as_ref().map(|asked| asked.end);
            let late = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            select! {
                message = items.next() => {
                    let message = message.ok_or_else(|| InboxError::storage("the connection to NATS is closed"))?;
                    self.receive(message, &mut asked)?;
                }
                () = self.freed.notified() => {}
                Some(_) = self.running.join_next() => {}
                // The server has forgotten the request.
                () = late => asked = None,
                () = stopped(&mut stop) => {
                    self.release(items).await;
                    return Ok(());
                }
            }
        }
    }

    /// Starts a job, or ends the request if this is a message of the server about it.
    fn receive(&mut self, message: Message, asked: &mut Option<Asked>) -> Result<(), InboxError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                if let Some(asked) = asked {
                    asked.missing = asked.missing.saturating_sub(1);
                }
                if asked.as_ref().is_some_and(|asked| asked.missing == 0) {
                    *asked = None;
                }
                self.health.succeeded();
                let message = jetstream::Message { message, context: self.engine.context.clone() };
                if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                    let attempt = Attempt {
                        engine: self.engine.clone(),
                        run: self.run.clone(),
                        health: Arc::clone(&self.health),
                        freed: Arc::clone(&self.freed),
                    };
                    self.running.spawn(attempt.handle(message, place));
                } else {
                    // An answer to a request that was late.
                    self.running.spawn(async move {
                        let _ = message.ack_with(AckKind::Nak(None)).await.is_ok();
                    });
                }
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            // There are no more items.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                asked.take_if(|asked| asked.inbox == message.subject.as_str());
                self.health.succeeded();
            }
            // For example, the consumer was deleted.
            Some(status) => {
                let hint = format!("NATS delivers no items: status {}", status.as_u16());
                return Err(InboxError::storage(hint));
            }
        }
        Ok(())
    }

    /// Gives back what the server has sent meanwhile.
    async fn release(&self, mut items: Subscriber) {
        let client = self.engine.context.client();
        let releasing = async {
            if items.drain().await.is_err() {
                return;
            }
            while let Some(message) = items.next().await {
                let is_item = matches!(message.status, None | Some(StatusCode::OK));
                if let (true, Some(reply)) = (is_item, message.reply) {
                    let _ = client.publish(reply, AckKind::Nak(None).into()).await.is_ok();
                }
            }
            let _ = client.flush().await.is_ok();
        };
        // Without a connection, the items are delivered again after the lease.
        let _ = timeout(TIMEOUT, releasing).await.is_ok();
    }

    /// Creates the consumer, or updates its lease. While other workers run, the longest lease of all counts: with a shorter one,
    /// the server would deliver their items a second time before they renew theirs.
    async fn consumer(&self) -> Result<PullConsumer, InboxError> {
        let what = "NATS did not create the consumer";
        let stream = self.engine.context.get_stream_no_info(&self.engine.streams.jobs).await;
        let stream = stream.map_err(|error| failed(what, error))?;
        let mut lease = self.run.lease;
        if let Ok(info) = stream.consumer_info(CONSUMER).await {
            let is_used = info.num_waiting > 0 || info.num_ack_pending > 0;
            if is_used {
                lease = lease.max(info.config.ack_wait);
            }
        }
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: lease,
            max_deliver: -1,
            // Items that wait for another attempt count as pending, and must not block the others.
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        stream.create_consumer(config).await.map_err(|error| failed(what, error))
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender is dropped with the worker.
    let _ = stop.wait_for(|it| *it).await.is_ok();
}
