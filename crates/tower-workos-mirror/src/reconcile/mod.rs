//! Repair: compares the mirror with the API's lists.

mod absent;
mod builder;
mod confirm;
mod directories;
pub(crate) mod environment;
mod error;
mod fetch;
mod lease;
mod progress;
mod reconciler;
mod removal;
pub(crate) mod repair;
mod report;
mod retry;
mod run;
mod schedule;
mod stage;
mod status;
mod turn;
mod walk;

pub(crate) use self::builder::Settings;
pub use self::{
    builder::ReconcilerBuilder,
    error::{ReconcileError, ReconcileErrorKind},
    progress::{ReconcileProgress, ReconcileProgressStream},
    reconciler::Reconciler,
    report::{DirectoryOutcome, DirectoryReport, Drift, DriftAction, DriftCount, ReconcileReport},
    schedule::Repair,
};
