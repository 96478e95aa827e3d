//! WorkOS Directory Sync for tests.
//!
//! [`directory`] is the model of simulated directories: [`Life`](directory::Life) generates the events of some directories
//! from a seed, [`Deliveries`](directory::Deliveries) decides when each is delivered, and [`State`](directory::State) is the state
//! that a correct application holds after any set of events, in any order.

pub mod directory;
