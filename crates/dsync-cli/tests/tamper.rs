//! `dsync tamper` against a correct endpoint and some incorrect ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use axum::http::StatusCode;
use support::{CORRECT, Example, SECRET, Server, run, run_with};

#[test]
fn the_axum_example_responds_as_the_readme_says() {
    let example = Example::start();
    let run = run(&["tamper", "--exact", "--to", &example.url]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let last = run.stdout.lines().last().unwrap();
    assert_eq!(last, "115 requests: 115 as expected, 0 warnings, 0 forgeries accepted");
    for (case, status) in [
        ("a delivery", "200"),
        ("one byte of the body changed", "401"),
        ("stale: signed before the tolerance", "401"),
        ("signed in the future", "401"),
        ("signed with an empty secret", "401"),
        ("an empty body", "422"),
        ("two headers, a genuine and a forged one", "400"),
        ("oversized: 2 MiB in chunks", "413"),
        ("slow: one byte of the body at a time", "408"),
        ("GET", "405"),
    ] {
        let row = run.stdout.lines().find(|line| line.trim_start().starts_with(case));
        let row = row.unwrap_or_else(|| panic!("no {case:?} in {run:?}"));
        let received: Vec<_> = row.split_whitespace().rev().take(2).collect();
        assert_eq!(received, ["ok", status], "{row}");
    }
}

#[test]
fn an_endpoint_that_accepts_everything_is_reported() {
    let server = Server::careless(StatusCode::NO_CONTENT);
    let run = run(&["tamper", "--slow", "0s", "--to", &server.hooks()]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let forged = run.stdout.split("\nforged").nth(1).unwrap();
    let rows = forged.lines().filter(|line| line.contains(" 4xx (")).count();
    assert_eq!(forged.matches("FORGERY ACCEPTED").count(), rows, "{run:?}");
    assert!(rows > 30, "{rows}");
    assert!(
        run.stdout
            .contains("Anyone can forge deliveries to this endpoint without knowing the secret.")
    );
}

#[test]
fn an_endpoint_that_rejects_everything_proves_nothing() {
    let server = Server::start(CORRECT);
    let run =
        run_with(&["tamper", "--slow", "0s", "--to", &server.hooks()], b"", "whsec_of_somebody");
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("check the secret and the URL."), "{run:?}");
    assert!(run.stdout.contains(" 0 forgeries accepted"), "{run:?}");
    assert_eq!(server.deliveries(), 0);
}

#[test]
fn forged_only_sends_nothing_that_reaches_the_application() {
    let server = Server::start(CORRECT);
    let run = run(&["tamper", "--forged-only", "--to", &server.hooks()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(server.deliveries(), 0);
    assert!(!run.stdout.contains("genuine  ") && !run.stdout.contains("slow"), "{run:?}");
}

#[test]
fn a_server_error_is_a_warning() {
    let server = Server::careless(StatusCode::INTERNAL_SERVER_ERROR);
    let run = run(&["tamper", "--forged-only", "--to", &server.hooks()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let warnings = run.stdout.matches("warning: rejected with a server error").count();
    assert_eq!(warnings, run.stdout.lines().filter(|line| line.starts_with("  ")).count());
    assert!(!run.stdout.contains(SECRET));
}
