//! A queue in NATS JetStream.
//!
//! It consists of three streams: the jobs (a work queue), the dead letters, and the keys that are known. An item is stored in this
//! order: look up its key, publish it, remember its key. A crash in between can make a second job, and never loses an item. The
//! server recognizes the id of a message for an hour, which makes storing safe to repeat meanwhile.
//!
//! # What a 200 promises
//!
//! - The server has written the item to its file, but has not called `fsync`. By default it does so every two minutes. Since server
//!   2.10, this is the setting `sync_interval` in the section `jetstream`; `always` means before each acknowledgement.
//! - If the server's process is killed, nothing is lost, and delays and numbers of attempts stay. This is tested.
//! - If the machine crashes or loses power, the items since the last `fsync` can be lost, although they were acknowledged.
//! - With three [`replicas`](crate::QueueBuilder::replicas), a majority has the item before the 200, so it survives the loss of one
//!   machine. If several lose power at the same time, the items since the last `fsync` can still be lost. This is not tested.
//! - A full disk or an account's limit makes storing fail with 503. Nothing that is stored is discarded.
//! - The bodies of handled items stay in the server's files until it compacts them. Those of deleted dead letters are overwritten.
//! - A key is forgotten after the retention, even if its item was not handled yet.
//!
//! # Attempts
//!
//! The server does not tell attempts apart when it gets an acknowledgement. So a worker whose lease may have ended reports only
//! success, and the lease of a consumer is the longest one of its running workers. A worker that starts while no other one runs can
//! shorten it. A change moves the delays of items that wait by the difference.

mod attempt;
mod connect;
mod error;
mod letters;
mod message;
mod run;
mod store;
mod streams;

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{Context, stream::State};

pub(crate) use self::connect::connect;
use self::{
    message::{Meta, RESERVE},
    streams::Streams,
};
use crate::{
    engine::{Run, Settings},
    error::{InboxError, InboxErrorKind},
    names::Names,
    payload::Item,
    status::QueueStatus,
    time::{age, micros},
};

/// How long the server may take to respond to a request. Less than the time-out of a delivery, so that it gets a response.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub(crate) struct Nats {
    context: Context,
    streams: Arc<Streams>,
}

impl Nats {
    pub(crate) fn new(mut context: Context, names: Names, settings: &Settings) -> Self {
        context.set_timeout(TIMEOUT);
        Self { context, streams: Arc::new(Streams::new(&names, settings)) }
    }

    pub(crate) async fn migrate(&self) -> Result<(), InboxError> {
        self.streams.migrate(&self.context).await
    }

    /// Returns an error if the item is too large for the server, also as a dead letter.
    pub(crate) fn check(&self, item: &Item) -> Result<(), InboxError> {
        let max = self.context.client().max_payload();
        let size = item.body.len() + Meta::of(item).size() + RESERVE;
        if size <= max {
            return Ok(());
        }
        let hint = format!(
            "the item needs {size} bytes, and the NATS server accepts messages of up to {max}: raise its max_payload"
        );
        Err(InboxError::new(InboxErrorKind::TooLarge, hint))
    }

    pub(crate) async fn run(&self, run: Run) -> Result<(), InboxError> {
        run::Loop::new(self.clone(), run).run().await
    }

    pub(crate) async fn status(&self) -> Result<QueueStatus, InboxError> {
        let (jobs, dead) =
            tokio::join!(self.state(&self.streams.jobs), self.state(&self.streams.dead));
        let (jobs, dead) = (jobs?, dead?);
        let oldest = (jobs.messages > 0).then(|| age(micros(jobs.first_timestamp.into())));
        Ok(QueueStatus { depth: jobs.messages, oldest_age: oldest, dead: dead.messages })
    }

    async fn state(&self, stream: &str) -> Result<State, InboxError> {
        Ok(streams::describe(&self.context, stream).await?.state)
    }

    /// The server does it: the messages with the keys expire.
    pub(crate) async fn purge(&self) -> Result<u64, InboxError> {
        Ok(0)
    }
}
