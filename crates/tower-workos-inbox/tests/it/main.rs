//! Tests of a queue on each engine, over real servers.

mod basics;
mod nats;
mod nats_server;
mod postgres;
mod retries;
mod sqlite;
mod support;
mod webhook;
