//! Ids for new events.

use std::hash::BuildHasher as _;

use ulid::Ulid;

/// Creates a unique id. `millis` is its Unix time in milliseconds.
pub(crate) fn fresh_id(millis: i64) -> Ulid {
    // The keys of std's hash maps come from the operating system's random numbers, and each map has its own.
    let random = || std::hash::RandomState::new().hash_one(());
    let entropy = u128::from(random()) << 64 | u128::from(random());
    Ulid::from_parts(u64::try_from(millis).unwrap_or(0), entropy)
}
