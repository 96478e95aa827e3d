//! The samples of README.md and `docs/`, run as applications: see the tests.

/// The samples of `docs/servers.md`, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/servers.md")]
struct Servers;
