//! Tests of a queue on each engine, over real servers.

mod basics;
mod retries;
mod sqlite;
mod support;
mod webhook;
