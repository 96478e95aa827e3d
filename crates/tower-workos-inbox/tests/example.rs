//! Runs the example `inbox` as a process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../tests/examples/driver.rs"]
mod driver;

use driver::{Example, post};
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};

/// The package that contains the example.
const PACKAGE: &str = env!("CARGO_PKG_NAME");
const SECRET: &str = "whsec_of_the_example";

fn deliver(address: &str, id: &str) -> u16 {
    let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
    let body = sample::USER_CREATED.builder().id(id).body();
    post(signer.sign(body).into_request(format!("{address}/webhooks/workos")).unwrap())
}

#[test]
fn one_process_or_two() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("inbox.db").display());

    let both = [("INBOX_URL", url.as_str())];
    let mut example = Example::start_with("inbox", Some(SECRET), &both);
    assert_eq!(deliver(&example.address, "event_1"), 200);
    assert_eq!(deliver(&example.address, "event_1"), 200);
    example.read_until("dsync.user.created event_1");
    let (code, out, err) = example.interrupt();
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));

    // One that only stores, then one that does both: it finds the event.
    let store = [("INBOX_URL", url.as_str()), ("ROLE", "store")];
    let example = Example::start_with("inbox", Some(SECRET), &store);
    assert_eq!(deliver(&example.address, "event_2"), 200);
    let (code, out, _) = example.interrupt();
    assert_eq!(code, Some(0));
    assert!(!out.contains("event_2"), "{out}");
    let mut example = Example::start_with("inbox", Some(SECRET), &both);
    example.read_until("dsync.user.created event_2");
    assert_eq!(example.interrupt().0, Some(0));
}

#[test]
fn a_bad_setting_is_one_line() {
    let run = |url: &str| {
        let mut command = std::process::Command::new(driver::program("inbox"));
        let output = command.env("INBOX_URL", url).env("PORT", "0").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run("mysql://root:hunter2@localhost/db");
    let expected =
        "error: the URL of the queue must begin with postgres:, sqlite:, nats: or tls:\n";
    assert_eq!((code, err.as_str()), (Some(1), expected));
    // Nothing listens there.
    for url in ["postgres://user:hunter2@127.0.0.1:9/db", "nats://user:hunter2@127.0.0.1:9"] {
        let (code, err) = run(url);
        assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
        assert!(err.contains("can't be reached") && !err.contains("hunter2"), "{err}");
    }
}
