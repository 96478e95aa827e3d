//! What the pages show.

use std::{collections::HashMap, time::Duration};

use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, EventId, Timestamp};

use crate::{
    change::Change,
    read::{Directory, DriftSummary, Group, User},
};

/// The state of everything: the first page.
pub(super) struct Overview {
    pub(super) now: Timestamp,
    pub(super) verdict: Verdict,
    /// One for each environment whose lists were compared.
    pub(super) repairs: Vec<Repair>,
    pub(super) queues: Vec<QueueState>,
    pub(super) dead_letters: DeadLetters,
    /// When the latest event arrived.
    pub(super) last_event: Option<LastEvent>,
    pub(super) directories: Vec<DirectoryState>,
    /// The id after which the next directories begin.
    pub(super) next: Option<DirectoryId>,
}

/// Whether the tables are in step with WorkOS.
pub(super) struct Verdict {
    pub(super) level: Level,
    /// Empty if everything is in order.
    pub(super) problems: Vec<Problem>,
    /// The end of the latest successful comparison.
    pub(super) since: Option<Timestamp>,
}

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    InStep,
    /// Nothing is known to be wrong, but it can't be known that everything is right.
    Unknown,
    OutOfStep,
}

pub(super) struct Problem {
    pub(super) level: Level,
    /// What is wrong: a sentence.
    pub(super) text: String,
    /// What to do about it: a sentence.
    pub(super) hint: String,
}

pub(super) struct Repair {
    pub(super) environment: String,
    pub(super) last_success: Option<Timestamp>,
    pub(super) last_run: Option<Timestamp>,
    /// Whether the latest run was complete.
    pub(super) is_complete: bool,
    pub(super) drift: Vec<DriftSummary>,
    /// Whether there is a poller of the Events API.
    pub(super) is_polled: bool,
    /// When it last read the Events API to its end.
    pub(super) drained_at: Option<Timestamp>,
}

pub(super) struct QueueState {
    pub(super) name: String,
    /// `None` if the queue's storage did not respond.
    pub(super) status: Option<QueueFigures>,
}

pub(super) struct QueueFigures {
    pub(super) depth: u64,
    pub(super) oldest_age: Option<Duration>,
    pub(super) dead: u64,
}

#[derive(Default)]
pub(super) struct DeadLetters {
    pub(super) count: u64,
    /// The latest ones, without their bodies.
    pub(super) latest: Vec<DeadLetterFacts>,
}

pub(super) struct DeadLetterFacts {
    pub(super) event_id: Option<EventId>,
    pub(super) name: Option<String>,
    pub(super) reason: String,
    pub(super) arrived_at: Timestamp,
}

pub(super) struct LastEvent {
    pub(super) name: String,
    pub(super) happened_at: Option<Timestamp>,
    pub(super) arrived_at: Timestamp,
}

/// A directory, whether or not it is listed.
pub(super) struct DirectoryState {
    pub(super) id: DirectoryId,
    /// `None` if it was deleted or is absent.
    pub(super) listed: Option<Directory>,
    /// When it was deleted, and by which event; `None` if it was absent from the API for too long.
    pub(super) deleted: Option<(Timestamp, Option<EventId>)>,
    /// Since when the lists of the API don't contain it.
    pub(super) absent_since: Option<Timestamp>,
    pub(super) last_event: Option<LastEvent>,
    /// When its users and groups were last compared with the API.
    pub(super) compared_at: Option<Timestamp>,
}

/// The page of a directory.
pub(super) struct DirectoryFacts {
    pub(super) now: Timestamp,
    pub(super) state: DirectoryState,
    pub(super) users: Count,
    pub(super) users_with_access: Count,
    pub(super) groups: Count,
}

/// A number of rows, which were counted only up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) number: u64,
    pub(super) is_more: bool,
}

/// A page of users.
pub(super) struct UserList {
    pub(super) query: UserQuery,
    pub(super) users: Vec<User>,
    pub(super) next: Option<String>,
    /// Names of directories.
    pub(super) labels: Labels,
    /// The directories to choose from in the filter.
    pub(super) choices: Vec<(DirectoryId, String)>,
    /// The id that was searched for, if there is a page about it although no list contains it: a deleted user.
    pub(super) unlisted: Option<DirectoryUserId>,
}

/// What is in the query of the list of users. It is empty or absent for all users.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct UserQuery {
    /// The start of a name, an e-mail address or an id.
    pub(super) q: String,
    pub(super) directory: String,
    pub(super) group: String,
    /// `yes`, `no` or empty.
    pub(super) access: String,
    /// Where the page begins.
    pub(super) after: String,
}

/// The page of a user, whether or not the user is listed.
pub(super) struct UserFacts {
    pub(super) now: Timestamp,
    pub(super) id: DirectoryUserId,
    pub(super) access: Access,
    pub(super) user: Option<User>,
    pub(super) directory: Option<DirectoryState>,
    pub(super) groups: Vec<Group>,
    /// Other users with the same e-mail address in the same organization.
    pub(super) others: Vec<User>,
    pub(super) history: Vec<Entry>,
    /// Where the older entries begin.
    pub(super) older: Option<String>,
    /// Names of groups.
    pub(super) labels: Labels,
}

/// Why a user has, or has not, access.
pub(super) struct Access {
    pub(super) has_access: bool,
    pub(super) reason: Reason,
    /// When that happened.
    pub(super) at: Option<Timestamp>,
    /// The event that says so; `None` if no event did.
    pub(super) event: Option<EventId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The state is active, and the directory gives access.
    Active,
    /// The user was deleted.
    Deleted,
    /// The lists of the API don't contain the user.
    Absent,
    /// The user's directory was deleted.
    DirectoryDeleted,
    /// The lists of the API don't contain the directory.
    DirectoryAbsent,
    /// The directory has this state, which gives no access.
    DirectoryState(String),
    /// The user has this state, which is not `active`.
    State(String),
    /// No state is known.
    NoState,
    /// The id occurred only in events that don't show that the user exists, such as the end of a membership.
    NotSeen,
}

/// An event about a user or the user's directory, or a change without an event.
pub(super) struct Entry {
    /// `None` for a difference that a comparison with the API found.
    pub(super) event: Option<EventFacts>,
    /// When the event arrived, or when the change was stored.
    pub(super) at: Timestamp,
    /// What changed: empty if the event was late, stale or repeated.
    pub(super) changes: Vec<Change>,
}

pub(super) struct EventFacts {
    pub(super) id: EventId,
    /// Its name, for example `dsync.user.updated`; `None` if the history no longer has it.
    pub(super) name: Option<String>,
    pub(super) happened_at: Option<Timestamp>,
    /// Whether a later event about the user had arrived before it.
    pub(super) is_late: bool,
}

/// A page of groups.
pub(super) struct GroupList {
    pub(super) directory: String,
    pub(super) groups: Vec<Group>,
    pub(super) next: Option<String>,
    pub(super) labels: Labels,
    pub(super) choices: Vec<(DirectoryId, String)>,
}

/// The page of a group.
pub(super) struct GroupFacts {
    pub(super) group: Group,
    pub(super) members: Vec<User>,
    pub(super) next: Option<String>,
    pub(super) labels: Labels,
}

/// A page of the change feed, the latest first.
pub(super) struct ChangeList {
    pub(super) changes: Vec<Change>,
    /// The number before which the older changes begin.
    pub(super) older: Option<i64>,
    /// Whether these are the latest changes, so that new ones are added.
    pub(super) is_live: bool,
    pub(super) labels: Labels,
}

/// The names of objects. An object that is not listed has none.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) directories: HashMap<DirectoryId, String>,
    pub(super) groups: HashMap<DirectoryGroupId, String>,
    pub(super) users: HashMap<DirectoryUserId, String>,
}
