//! What the engines have in common.

#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::backend::Conn;
use crate::{
    backend::{Backend, QueueTransaction},
    dead_letter::DeadLetter,
    error::{InboxError, InboxErrorKind},
    job::Completion,
    names::Names,
    payload::Item,
    queue::Stored,
    status::QueueStatus,
};

/// A queue's storage. Cloning it increments reference counts.
#[derive(Clone)]
pub(crate) enum Engine {
    #[cfg(feature = "nats")]
    Nats(nats::Nats),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Sqlite),
}

/// An item that a worker got from the engine.
pub(crate) struct Delivery {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) body: Bytes,
    /// The number of this attempt, from 1.
    pub(crate) attempts: u32,
    /// How many of the attempts before this one, in a row, were cut short because their process ended. 0 if the engine doesn't
    /// know.
    pub(crate) cut_short: u32,
    /// In microseconds.
    pub(crate) stored_at: i64,
    pub(crate) claim: Claim,
}

/// What makes an attempt different from any other one, so that only the current attempt can end the job.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// NATS has no transactions.
    #[cfg(feature = "nats")]
    None,
    /// The lock of graphile_worker's job, and the statement that completes it.
    #[cfg(feature = "postgres")]
    Job { sql: Arc<postgres::Sql>, ticket: postgres::Ticket },
    /// The row and the number of its claim, in a table of this name.
    #[cfg(feature = "sqlite")]
    Row(Arc<sqlite::Held>),
}

/// What became of an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// Deliver the item again after this time. The error is shown in the table; it may contain a payload.
    Retry {
        after: Duration,
        error: String,
    },
    Dead {
        error: String,
    },
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The handler, for an engine. The future does not panic, and ends soon after the worker's grace period.
pub(crate) trait Handle: Send + Sync + 'static {
    fn handle(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Outcome>;
}

/// How an engine runs jobs.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) handle: Arc<dyn Handle>,
    /// How many jobs run at the same time at most. At least 1.
    pub(crate) concurrency: usize,
    /// After how long a job of a process that was killed is delivered again. It is renewed while the job runs.
    pub(crate) lease: Duration,
    /// Notified when there may be something new to do.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "NATS wakes the worker itself")
    )]
    pub(crate) wake: Arc<Notify>,
    /// Becomes `true` when the engine must take no more jobs, and return after those that run.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Engine {
    pub(crate) fn new(backend: Backend, names: Names, settings: &Settings) -> Self {
        match backend {
            #[cfg(feature = "nats")]
            Backend::Nats(context) => Self::Nats(nats::Nats::new(context, names, settings)),
            #[cfg(feature = "postgres")]
            Backend::Postgres(pool) => {
                Self::Postgres(postgres::Postgres::new(pool, names, settings))
            }
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(pool) => Self::Sqlite(sqlite::Sqlite::new(pool, names, settings)),
        }
    }
}

/// The settings that engines need.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) poll_interval: Duration,
    pub(crate) retention: Duration,
    /// For NATS.
    pub(crate) replicas: usize,
}

/// Calls the same method of each engine.
macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            #[cfg(feature = "nats")]
            Self::Nats($engine) => $call,
            #[cfg(feature = "postgres")]
            Self::Postgres($engine) => $call,
            #[cfg(feature = "sqlite")]
            Self::Sqlite($engine) => $call,
        }
    };
}

impl Engine {
    /// Creates or updates the tables or streams. Any number of processes can call it at the same time.
    pub(crate) async fn migrate(&self) -> Result<(), InboxError> {
        each!(self, engine => engine.migrate().await)
    }

    /// Returns an error if the item can never be stored.
    pub(crate) fn check(&self, item: &Item) -> Result<(), InboxError> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats(engine) => engine.check(item),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => {
                let _ = item;
                Ok(())
            }
        }
    }

    /// Stores all items durably, or returns an error. Items with a known key are not stored again. Safe to repeat.
    pub(crate) async fn store(&self, items: &[Item]) -> Result<Vec<Stored>, InboxError> {
        each!(self, engine => engine.store(items).await)
    }

    /// Stores all items in a transaction of the application.
    pub(crate) async fn store_in(
        &self,
        transaction: QueueTransaction<'_>,
        items: &[Item],
    ) -> Result<Vec<Stored>, InboxError> {
        let _ = items;
        match (self, transaction.0) {
            #[cfg(feature = "postgres")]
            (Self::Postgres(engine), Conn::Postgres(conn)) => engine.store_in(conn, items).await,
            #[cfg(feature = "sqlite")]
            (Self::Sqlite(engine), Conn::Sqlite(conn)) => engine.store_in(conn, items).await,
            #[allow(unreachable_patterns, reason = "with one database, there is no mismatch")]
            _ => Err(other_database()),
        }
    }

    /// Runs jobs until `run.stop`. Returns an error only if trying again is useless.
    pub(crate) async fn run(&self, run: Run) -> Result<(), InboxError> {
        each!(self, engine => engine.run(run).await)
    }

    pub(crate) async fn status(&self) -> Result<QueueStatus, InboxError> {
        each!(self, engine => engine.status().await)
    }

    /// Returns dead letters with a greater number than `after`, oldest first.
    pub(crate) async fn dead_letters(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, InboxError> {
        each!(self, engine => engine.dead_letters(after, limit).await)
    }

    /// Makes a dead letter a job again, with no attempts. Returns whether there was one.
    pub(crate) async fn revive(&self, seq: i64) -> Result<bool, InboxError> {
        each!(self, engine => engine.revive(seq).await)
    }

    /// Deletes a dead letter. Its key stays known. Returns whether there was one.
    pub(crate) async fn delete(&self, seq: i64) -> Result<bool, InboxError> {
        each!(self, engine => engine.delete(seq).await)
    }

    /// Forgets the keys of items that were handled and are older than the retention. Returns how many.
    pub(crate) async fn purge(&self) -> Result<u64, InboxError> {
        each!(self, engine => engine.purge().await)
    }
}

impl Claim {
    /// Marks the job as done in a transaction of the application.
    pub(crate) async fn complete_in(
        &self,
        transaction: QueueTransaction<'_>,
    ) -> Result<Completion, InboxError> {
        match (self, transaction.0) {
            #[cfg(feature = "postgres")]
            (Self::Job { sql, ticket }, Conn::Postgres(conn)) => {
                postgres::complete_in(conn, sql, ticket).await
            }
            #[cfg(feature = "sqlite")]
            (Self::Row(held), Conn::Sqlite(conn)) => held.complete_in(conn).await,
            #[allow(unreachable_patterns, reason = "without NATS, each claim is a row")]
            _ => Err(other_database()),
        }
    }
}

fn other_database() -> InboxError {
    let hint = "the transaction is not of the database that contains the queue";
    InboxError::new(InboxErrorKind::Transaction, hint)
}
