#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without the feature of a database, the crate is empty.
#![cfg(any(feature = "postgres", feature = "sqlite"))]

#[cfg(feature = "reconcile")]
mod api;
mod apply;
mod builder;
mod change;
mod connect;
mod dead_letter;
mod error;
mod feed;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
mod middleware;
mod migrate;
mod mirror;
mod outbox;
#[cfg(feature = "page")]
#[cfg_attr(docsrs, doc(cfg(feature = "page")))]
pub mod page;
#[cfg(feature = "reconcile")]
mod poller;
mod pool;
mod read;
#[cfg(feature = "reconcile")]
mod reconcile;
mod rules;
mod sql;
mod text;
mod upkeep;
pub mod views;
mod webhook;
mod writer;

#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub use self::api::{
    client::{ApiClient, ApiClientBuilder},
    error::{ApiError, ApiErrorKind},
    key::ApiKey,
    timer::Timer,
};
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub use self::poller::{
    CursorStore, Drain, EventsCursor, EventsPoller, MemoryCursor, PollError, PollErrorKind,
    ServicePoller,
};
#[cfg(feature = "reconcile")]
#[cfg_attr(docsrs, doc(cfg(feature = "reconcile")))]
pub use self::reconcile::{
    DirectoryOutcome, DirectoryReport, Drift, DriftAction, DriftCount, ReconcileError,
    ReconcileErrorKind, ReconcileProgress, ReconcileProgressStream, ReconcileReport, Reconciler,
    ReconcilerBuilder, Repair,
};
pub use self::{
    builder::MirrorBuilder,
    change::{Change, ChangeKind},
    dead_letter::{DeadLetter, Replay, ReplaySummary},
    error::{ConfigError, MirrorError, MirrorErrorKind},
    feed::{consumer::Consumer, error::FeedError, page::FeedRange, stream::Changes},
    middleware::{AppliedChanges, MirrorFuture, MirrorLayer, MirrorService},
    mirror::Mirror,
    pool::{MirrorPool, MirrorTransaction},
    read::{
        Directory, DirectoryFilter, DriftSummary, Group, GroupFilter, Listing, Membership, Page,
        Person, RepairStatus, State, User, UserFilter,
    },
    text::email_key,
    upkeep::Upkeep,
    webhook::{Webhook, WebhookFuture},
};
