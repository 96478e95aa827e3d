//! Tests of the samples in README.md and `docs/`.

/// Compiles the samples of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Compiles the samples of `docs/adopt.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adopt.md")]
struct Adopt;

/// Compiles the samples of `docs/observability.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/observability.md")]
struct Observability;

/// Compiles the samples of `docs/operations.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/operations.md")]
struct Operations;

/// Compiles the samples of `docs/servers.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/servers.md")]
struct Servers;
