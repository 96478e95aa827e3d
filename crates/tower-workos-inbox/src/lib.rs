#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without the feature of an engine, the crate is empty.
#![cfg(any(feature = "nats", feature = "postgres", feature = "sqlite"))]

mod backend;
mod batch;
mod builder;
mod connect;
mod dead_letter;
mod engine;
mod error;
mod job;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
mod names;
mod payload;
mod queue;
mod status;
mod time;
mod webhook;
mod worker;

pub use self::{
    backend::{Backend, QueueTransaction},
    builder::QueueBuilder,
    dead_letter::DeadLetter,
    error::{InboxError, InboxErrorKind},
    job::{Completion, Job},
    payload::Payload,
    queue::{Inbox, Queue, Stored},
    status::QueueStatus,
    webhook::{EventStore, Webhook, WebhookFuture},
    worker::{
        Worker,
        items::Items,
        retry::{Permanent, Retry, RetryAfter},
    },
};
