//! The truth about a directory: its life, the order in which its events arrive, and what must be known at the end.
//!
//! ```
//! use dsync_cli::directory::{Deliveries, Life, Order, Plan, State};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::new(7).users(20).events(200);
//! let order = Order::new(7).reorder(16).duplicates("10%".parse()?).late("2%".parse()?);
//!
//! // What an application that gets all of it, in a mess, must hold …
//! let mut state = State::default();
//! for delivery in Deliveries::new(Life::new(plan), order) {
//!     state.apply(&tower_workos::DirectoryEvent::parse(delivery.event().body().clone())?);
//! }
//!
//! // … is what the directory is.
//! let mut life = Life::new(plan);
//! while life.next().is_some() {}
//! assert_eq!(state.snapshot(), life.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! # The rules
//!
//! [`State`] follows what WorkOS documents about its events:
//!
//! - Of an object (directory, user, group), the version with the latest `updated_at` counts. The whole user and the
//!   whole group inside a membership event count as versions too.
//! - Of a membership, the event with the latest `created_at` counts: joining and leaving do not touch a user's
//!   `updated_at`.
//! - A deletion is final. Deleted ids never come back, and what comes late about them changes nothing.
//! - A deleted directory takes its users, its groups and their memberships with it, a deleted group its memberships, a
//!   deleted user theirs, without further events.
//! - A user or group belongs to one directory for life.
//! - Access is for users who are there and active (or of no said state), in a directory that is not deleted.
//!
//! So any order and any repetition of the same events leads to the same state.

mod body;
mod changes;
mod difference;
mod life;
mod names;
mod order;
mod plan;
mod random;
mod record;
mod snapshot;
mod state;
mod world;

pub use self::{
    difference::{Comparison, ComparisonError, Difference},
    life::{Event, Life},
    order::{Deliveries, Delivery, Order},
    plan::Plan,
    random::{Random, Share, ShareError, Ulid},
    record::{DirectoryRecord, GroupRecord, MembershipRecord, UserRecord},
    snapshot::{Section, Snapshot},
    state::State,
};
