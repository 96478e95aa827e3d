#![doc = include_str!("../README.md")]
//!
//! # Stores
//!
//! `SqliteStore` and `PostgresStore` are [`SqlStore`] over different databases. Their documentation says what each one
//! promises, and which settings its pool needs. [`CompleteIn`] completes a claim in a handler's transaction.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `sqlite` | `SqliteStore` |
//! | `postgres` | `PostgresStore` |
//!
//! sqlx is used without TLS. If your database needs it, enable one of sqlx's `tls-*` features in your application.
//!
//! # Minimum supported Rust
//!
//! 1.94, which sqlx 0.9 requires. Raising it is a minor release.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod complete_in;
mod database;
mod error;
mod key;
mod migrate;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod schedule;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::sqlite::SqliteStore;
pub use self::{complete_in::CompleteIn, database::SqlDatabase, store::SqlStore};
