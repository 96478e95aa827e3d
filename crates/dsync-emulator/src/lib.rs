//! WorkOS Directory Sync for tests, without a network and without WorkOS.
//!
//! - [`Emulator`] is a server with the API over a simulated world: lists of directories, users and groups, single objects, and
//!   the Events API. Its [`Clock`] is the only one, so that a test decides what time it is, and its [`Faults`] are those of
//!   networks, providers and APIs.
//! - [`directory`] is the model of simulated directories: [`Life`](directory::Life) generates the events of some directories
//!   from a seed, [`Deliveries`](directory::Deliveries) decides when each is delivered, and [`State`](directory::State) is the
//!   state that a correct application holds after any set of events, in any order.

mod clock;
pub mod directory;
mod emulator;
mod error;
mod faults;
mod options;
mod requests;
mod server;
mod world;

pub use self::{
    clock::Clock,
    emulator::{Emulator, EmulatorBuilder},
    error::WorldError,
    faults::{Faults, ListKind, RateLimits},
    requests::Requests,
};
