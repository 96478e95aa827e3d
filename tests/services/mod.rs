//! The services that tests use: local ones, or those that environment variables name.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part")]

pub mod proxy;

use std::{
    env,
    io::Write as _,
    sync::atomic::{AtomicU32, Ordering},
};

use tower_workos::RedisStore;

pub fn redis_url() -> String {
    env::var("TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/0".into())
}

/// The host and port of Redis.
pub fn redis_address() -> String {
    let url: http::Uri = redis_url().parse().unwrap();
    format!("{}:{}", url.host().unwrap(), url.port_u16().unwrap_or(6379))
}

/// Prints a line even if the test passes. The test runner hides the output of `eprintln!` in tests that pass.
pub fn report(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints which service is skipped and why. If `REQUIRE_SERVICES` is set, panics instead.
pub fn left_out<T>(what: &str, error: impl std::fmt::Display) -> Option<T> {
    assert!(env::var_os("REQUIRE_SERVICES").is_none(), "{what} can't be reached: {error}");
    report(format!("skipped: {what} can't be reached ({error})"));
    None
}

/// A name that is unique across tests and runs.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!(
        "tower_workos_test_{}_{nanos}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

pub async fn redis_store() -> Option<RedisStore> {
    match RedisStore::connect(&redis_url()).await {
        Ok(store) => Some(store),
        Err(error) => left_out("Redis", format!("{error:?}")),
    }
}
