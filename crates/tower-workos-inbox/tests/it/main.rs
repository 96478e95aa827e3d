//! Tests of a queue on each engine, over real servers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod basics;
mod encodings;
mod gated;
mod names;
mod nats;
mod nats_server;
mod postgres;
mod postgres_schemas;
#[path = "../outage/proxy.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod proxy;
mod retries;
mod sqlite;
mod stops;
mod support;
mod suspects;
mod tables;
mod webhook;
