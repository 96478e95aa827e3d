#![doc = include_str!("../README.md")]

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
