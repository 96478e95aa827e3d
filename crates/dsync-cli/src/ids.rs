//! Ids for new events.

use std::hash::BuildHasher as _;

use dsync_cli::directory::Ulid;

/// An id of this time, in milliseconds of Unix time, that no other event has.
pub(crate) fn fresh_id(millis: i64) -> Ulid {
    // The keys of std's hash maps begin as the operating system's random numbers, and each map has others.
    let random = || std::hash::RandomState::new().hash_one(());
    let chance = u128::from(random()) << 64 | u128::from(random());
    Ulid::from_parts(u64::try_from(millis).unwrap_or(0), chance)
}
