//! What a run found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, Timestamp};

use crate::{
    change::{Change, ChangeKind},
    rules::change::Draft,
};

/// The maximum number of differences that a report lists.
const ITEMS: usize = 1000;

/// What a run found and did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ReconcileReport {
    /// Whether the run only reported.
    pub dry_run: bool,
    /// Whether the mirror was not empty, and no earlier run had compared all of it. Then removals are withheld, except from
    /// directories that were compared before.
    pub is_first: bool,
    /// When the run began, minus the margin. Its lists contain everything that happened before this time.
    pub fence: Timestamp,
    /// The directories, sorted by id: those that the API listed, and those that it lacked.
    pub directories: Vec<DirectoryReport>,
    /// How many differences there were.
    pub counts: Vec<DriftCount>,
    /// The first 1000 differences.
    pub drift: Vec<Drift>,
    /// How many requests the client and its clones sent during the run. Each attempt counts.
    pub requests: u64,
    /// How many objects were requested one by one, because a list lacked them.
    pub confirmations: u64,
}

impl ReconcileReport {
    /// Whether every directory was compared with the API completely, and nothing was withheld. In this case, and
    /// unless it was a dry run, the mirror now shows what the API showed, apart from later changes.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.directories.iter().all(|it| it.outcome == DirectoryOutcome::Complete)
    }

    /// The total of [`counts`](Self::counts) with this action.
    #[must_use]
    pub fn total(&self, action: DriftAction) -> u64 {
        self.counts.iter().filter(|it| it.action == action).map(|it| it.count).sum()
    }
}

/// What a run did with a directory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// The directory.
    pub directory_id: DirectoryId,
    /// How it ended.
    pub outcome: DirectoryOutcome,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// How many groups the API listed.
    pub groups: u64,
    /// How many users the API listed.
    pub users: u64,
    /// How many memberships the API listed.
    pub memberships: u64,
}

/// How a run ended for a directory.
///
/// If it was [`Busy`](Self::Busy) or belongs to another [`Environment`](Self::Environment), nothing in it was changed. If it
/// [`Failed`](Self::Failed), the rest is left to the next run. In the other cases, what the API showed was merged. What it
/// lacked was removed only if the outcome is [`Complete`](Self::Complete).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DirectoryOutcome {
    /// So much is absent that it is probably the API's or the provider's mistake: see
    /// [`allow_mass_removal`](crate::ReconcilerBuilder::allow_mass_removal).
    Breaker,
    /// Another run is repairing this directory.
    Busy,
    /// Everything was compared.
    Complete,
    /// The directory belongs to another environment.
    Environment,
    /// A request or the database failed.
    Failed,
    /// The first run withholds removals.
    FirstRun,
    /// The lists contradict each other, or contain something that can't be read.
    Incomplete,
}

impl DirectoryOutcome {
    /// The name, for example `first_run`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Busy => "busy",
            Self::Complete => "complete",
            Self::Environment => "environment",
            Self::Failed => "failed",
            Self::FirstRun => "first_run",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for DirectoryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A difference between the mirror and the API. It contains ids and the names of fields, but no values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// The change that repairs it.
    pub kind: ChangeKind,
    /// Whether it was repaired.
    pub action: DriftAction,
    /// The directory; `None` for memberships.
    pub directory_id: Option<DirectoryId>,
    /// The group of a group's difference or a membership's.
    pub group_id: Option<DirectoryGroupId>,
    /// The user of a user's difference or a membership's.
    pub user_id: Option<DirectoryUserId>,
    /// The names of the columns that differ.
    pub fields: Vec<String>,
}

/// How many differences of a kind there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DriftCount {
    /// The change that repairs them.
    pub kind: ChangeKind,
    /// Whether they were repaired.
    pub action: DriftAction,
    /// How many there were.
    pub count: u64,
}

/// What a run did about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftAction {
    /// It was repaired.
    Applied,
    /// It was only reported: this was a dry run.
    Reported,
    /// Something is absent from the API, but it was not removed: the directory's [`DirectoryOutcome`] says why.
    Withheld,
}

impl DriftAction {
    /// The name, for example `applied`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Reported => "reported",
            Self::Withheld => "withheld",
        }
    }
}

impl fmt::Display for DriftAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Drift {
    pub(super) fn of_change(change: &Change) -> Self {
        Self {
            kind: change.kind,
            action: DriftAction::Applied,
            directory_id: change.directory_id.clone(),
            group_id: change.group_id.clone(),
            user_id: change.user_id.clone(),
            fields: change.fields.clone(),
        }
    }

    pub(super) fn of_draft(draft: Draft, action: DriftAction) -> Self {
        Self {
            kind: draft.kind,
            action,
            directory_id: draft.directory_id.map(DirectoryId::from),
            group_id: draft.group_id.map(DirectoryGroupId::from),
            user_id: draft.user_id.map(DirectoryUserId::from),
            fields: draft.fields.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Differences, counted completely and kept up to a limit.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    counts: BTreeMap<(&'static str, DriftAction), (ChangeKind, u64)>,
    items: Vec<Drift>,
}

impl Drifts {
    pub(super) fn add(&mut self, drift: Drift) {
        let key = (drift.kind.as_str(), drift.action);
        self.counts.entry(key).or_insert((drift.kind, 0)).1 += 1;
        if self.items.len() < ITEMS {
            self.items.push(drift);
        }
    }

    pub(super) fn counts(&self) -> Vec<DriftCount> {
        let counts = self.counts.iter();
        counts
            .map(|((_, action), (kind, count))| DriftCount {
                kind: *kind,
                action: *action,
                count: *count,
            })
            .collect()
    }

    pub(super) fn take(&mut self) -> Vec<Drift> {
        std::mem::take(&mut self.items)
    }
}
