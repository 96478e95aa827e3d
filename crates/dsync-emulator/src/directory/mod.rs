//! A model of directories: the events of their life, the order of the deliveries, and the resulting state.
//!
//! ```
//! use dsync_emulator::directory::{Deliveries, Life, Order, Plan, State};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::new(7).users(20).events(200);
//! let order = Order::new(7).reorder(16).duplicates("10%".parse()?).late("2%".parse()?);
//!
//! // The state that an application must hold after it received all events out of order …
//! let mut state = State::default();
//! for delivery in Deliveries::new(Life::new(plan), order) {
//!     state.apply(&tower_workos::DirectoryEvent::parse(delivery.event().body().clone())?);
//! }
//!
//! // … is the state of the directory itself.
//! let mut life = Life::new(plan);
//! while life.next().is_some() {}
//! assert_eq!(state.snapshot(), life.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! # The rules
//!
//! [`State`] follows the WorkOS documentation. Where the documentation is silent, its rules prevent access by mistake.
//! The time of an event is its [`created_at`](tower_workos::DirectoryEvent::created_at). An unknown time counts as
//! earlier than all others.
//!
//! - **Versions.** For a directory, a user or a group, the version with the latest `updated_at` counts. If those are
//!   equal, the version whose event is later; then the version that is not active; then the one with the greater event
//!   id.
//! - A user is active if its state is `active`. A group is always active. A directory is not active in a state that ends
//!   access: `inactive`, `deleting`, an unknown state, or one that can't be read.
//! - An active version without an `updated_at` loses to every other version. For a version that is not active, the time
//!   of its event counts instead.
//! - **Evidence.** An object exists if an event about it, or a `dsync.group.user_added` that contains it, arrived.
//!   `dsync.group.user_removed` and deletions are not evidence, because they can arrive without the creation.
//! - The user and the group inside a membership event, including a removal, count as versions too, unless the `updated_at`
//!   or the user's `state` is absent. (A `state` that was sent but can't be read is present and not active.) An object
//!   without a version has only its id and its directory.
//! - **Deletions** are final, even for an id that was never seen. A deleted id is never used again, and late events
//!   about it change nothing.
//! - **Directories.** Any event that names the directory of a user or a group sets it: the object's own `directory_id`,
//!   or if it has none, that of the membership. It is never cleared. If events disagree, the smallest id counts.
//! - Deleting a directory also deletes its users, its groups and their memberships, without further events. A directory
//!   that was never seen counts as present.
//! - **Memberships.** The event with the latest time counts, because joining or leaving a group does not change the
//!   user's `updated_at`. If two have the same time, the removal counts. Deleting a group or a user also deletes its
//!   memberships.
//! - **Access.** A user has access if it exists, its state is `active`, and the state of its directory does not end
//!   access. The states `active`, `validating` and `invalid_credentials` do not, nor does an absent one.
//!
//! As a result, every order and every repetition of the same events leads to the same state.

mod body;
mod changes;
mod difference;
mod life;
mod names;
mod order;
mod plan;
mod random;
mod record;
mod section;
mod snapshot;
mod state;
mod world;

pub use self::{
    difference::{Comparison, ComparisonError, Difference},
    life::{Event, Life},
    order::{Deliveries, Delivery, Order, Schedule},
    plan::Plan,
    random::{Random, Share, ShareError},
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    section::Section,
    snapshot::Snapshot,
    state::State,
};
pub use ulid::Ulid;
