//! A model of directories: the events of their life, the order of the deliveries, and the resulting state.
//!
//! ```
//! use dsync_cli::directory::{Deliveries, Life, Order, Plan, State};
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
//! [`State`] follows the WorkOS documentation:
//!
//! - For a directory, a user or a group, the version with the latest `updated_at` counts. The user and the group inside a
//!   membership event count as versions too.
//! - For a membership, the event with the latest `created_at` counts, because joining or leaving a group does not change
//!   the user's `updated_at`.
//! - A deletion is final. A deleted id is never used again, and late events about it change nothing.
//! - Deleting a directory also deletes its users, its groups and their memberships, without further events. Deleting a
//!   group or a user also deletes its memberships.
//! - A user or a group always belongs to the same directory.
//! - A user has access if its state is `active` and its directory is not deleted.
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
    order::{Deliveries, Delivery, Order},
    plan::Plan,
    random::{Random, Share, ShareError},
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    section::Section,
    snapshot::Snapshot,
    state::State,
};
pub use ulid::Ulid;
