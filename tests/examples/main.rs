//! Runs the examples as a user does: as processes, over sockets, with the printed `curl` command in a shell.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod driver;

use std::{
    env,
    io::Write as _,
    net::TcpListener,
    process::Command,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use driver::{Example, post, program};
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};

/// The package of the examples.
const PACKAGE: &str = "tower-workos-examples";

const SERVERS: [&str; 3] = ["axum", "hyper", "tonic"];

/// Runs a shell command that calls `curl` and returns the status line, or `None` if curl isn't installed.
fn curl(command: &str) -> Option<String> {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "curl is not installed in CI");
        let _ = writeln!(std::io::stderr(), "skipped: curl is not installed");
        return None;
    }
    let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[test]
fn without_settings_they_deliver_samples() {
    for name in SERVERS {
        let mut example = Example::start(name, None);
        let text = example.read_until("Ctrl-C to stop");
        for &sample in sample::ALL {
            let line = text.lines().find(|line| line.starts_with(&format!("{} ", sample.name())));
            let line = line.unwrap_or_else(|| panic!("{name}: no {} in {text}", sample.name()));
            assert!(line.contains("event_") && line.contains("access"), "{line}");
        }
        assert!(
            text.lines()
                .any(|line| line.starts_with("dsync.user.updated") && line.contains("REVOKED"))
        );

        let command = text.split_once("\ncurl ").unwrap().1.split_once("\n\n").unwrap().0;
        let command = format!("curl {command}");
        if let Some(status) = curl(&command) {
            assert!(status.starts_with("HTTP/1.1 200"), "{name}: {status}");
            assert!(example.read_until("event_by_hand").contains("REVOKED"));
            // The same command with one byte changed.
            let forged = curl(&command.replace("directory_user_7", "directory_user_8")).unwrap();
            assert!(forged.starts_with("HTTP/1.1 401"), "{name}: {forged}");
        }

        let (code, out, err) = example.interrupt();
        assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}: {err}");
    }
}

#[test]
fn with_a_secret_they_only_serve() {
    let text = "whsec_of_an_endpoint";
    for name in SERVERS {
        let mut example = Example::start(name, Some(text));
        let signer = Signer::new(WebhookSecret::new(text).unwrap());
        let deliver = |signer: &Signer, body: Bytes| {
            post(signer.sign(body).into_request(example.address.clone()).unwrap())
        };
        assert_eq!(deliver(&signer, sample::USER_CREATED.with_id("event_genuine")), 200);
        assert_eq!(
            deliver(&signer.clone().seconds(), sample::USER_DELETED.with_id("event_seconds")),
            200
        );
        let stale = signer.clone().at(SystemTime::now() - Duration::from_secs(181));
        assert_eq!(deliver(&stale, sample::USER_CREATED.with_id("event_stale")), 401);
        let other = Signer::new(WebhookSecret::new("whsec_of_another").unwrap());
        assert_eq!(deliver(&other, sample::USER_CREATED.with_id("event_forged")), 401);
        assert_eq!(deliver(&signer, Bytes::from_static(b"{}")), 422);

        let lines = example.read_until("event_seconds");
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 2, "one line per event and nothing else: {lines:?}");
        assert!(lines[0].contains("dsync.user.created") && lines[0].contains("event_genuine"));
        assert!(lines[1].contains("dsync.user.deleted") && lines[1].contains("REVOKED"));

        let (code, out, err) = example.interrupt();
        assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}");
        assert!(err.contains("hint="), "the log says what was rejected, with a hint: {err}");
        assert!(!err.contains(text) && !err.contains("northwind"), "{err}");
    }
}

#[test]
fn bad_settings_are_one_clear_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    for name in SERVERS {
        for (secret, port, expected) in [
            (Some(""), "0", "the webhook secret is empty"),
            (Some("x\n"), "0", "begins or ends with white space"),
            (None, taken.as_str(), "set PORT to a free port"),
            (None, "70000", "PORT is not a number"),
        ] {
            let mut command = Command::new(program(name));
            command.env_remove("WORKOS_WEBHOOK_SECRET").env("PORT", port);
            if let Some(secret) = secret {
                command.env("WORKOS_WEBHOOK_SECRET", secret);
            }
            let output = command.output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{name}: {err}");
            assert!(output.stdout.is_empty(), "{name}");
            assert_eq!(err.lines().count(), 1, "{name}: {err}");
            assert!(err.starts_with("error: ") && err.contains(expected), "{name}: {err}");
        }
    }
}

#[test]
fn rotate_secrets_loses_no_delivery() {
    let output = Command::new(program("rotate_secrets")).env("PORT", "0").output().unwrap();
    assert!(output.status.success());
    let statuses: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("signed with the ").map(str::to_owned))
        .collect();
    assert_eq!(statuses, ["old: 200", "new: 401", "old: 200", "new: 200", "old: 401", "new: 200"]);
}
