//! Calls cargo in a test.
#![allow(unreachable_pub, reason = "each test program uses it in its own way")]

use std::{env, process::Command};

/// What cargo sets for a test. Some build scripts run again if one of these changes, so a cargo that inherited them would build
/// dependencies that other tests use at the same time.
const OF_THE_TEST: [&str; 4] = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_"];

/// A command that finds everything as it was built for the tests.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars_os() {
        let is_of_the_test = |name: &str| OF_THE_TEST.iter().any(|it| name.starts_with(it));
        if name.to_str().is_some_and(is_of_the_test) {
            cargo.env_remove(name);
        }
    }
    cargo
}
