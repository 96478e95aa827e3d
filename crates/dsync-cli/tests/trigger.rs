//! `dsync trigger` against real servers, and errors and help of all commands.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use axum::http::StatusCode;
use support::{CORRECT, Example, SECRET, Server, command, finish, run, run_with};
use tower_workos::testing::sample;

#[test]
fn all_events_are_accepted() {
    let example = Example::start();
    let run = run(&["trigger", "--all", "--to", &example.url]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines.len(), sample::ALL.len());
    for (line, sample) in lines.iter().zip(sample::ALL.iter().copied()) {
        assert!(line.starts_with(&format!("{} event_01", sample.name())), "{line}");
        assert!(line.contains(": 200 OK in "), "{line}");
    }
}

#[test]
fn a_rejection_is_shown_and_exits_with_1() {
    let example = Example::start();
    let stale = run(&["trigger", "user.created", "--at", "-10m", "--to", &example.url]);
    assert_eq!(stale.code, Some(1));
    assert!(stale.stdout.contains(": 401 Unauthorized in "), "{stale:?}");
    assert!(
        stale.stdout.contains("  {\"type\":") && stale.stdout.contains("Stale signature"),
        "{stale:?}"
    );
    let server = Server::careless(StatusCode::FOUND);
    assert_eq!(run(&["trigger", "user.created", "--to", &server.hooks()]).code, Some(1));
}

#[test]
fn values_are_set_and_ids_are_new() {
    let server = Server::start(CORRECT);
    let hooks = server.hooks();
    let run = run(&[
        "trigger",
        "dsync.user.created",
        "--to",
        &hooks,
        "--seconds",
        "--count",
        "3",
        "--set",
        "data.email=zoë@b.example",
        "--set",
        "data.role.slug=\"5\"",
        "--set",
        "data.id=directory_user_7",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let ids: std::collections::HashSet<_> =
        run.stdout.lines().map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(ids.len(), 3, "{run:?}");
    let snapshot = server.snapshot();
    let user = &snapshot.users[0];
    assert_eq!(
        (user.id.as_str(), user.email.as_deref(), user.role.as_deref()),
        ("directory_user_7", Some("zoë@b.example"), Some("5"))
    );
    // The time is current, so that this version is the latest one.
    let age = std::time::SystemTime::now().duration_since(user.updated_at.unwrap().into()).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
    assert_eq!(snapshot.access, ["directory_user_7"]);
    support::run(&[
        "trigger",
        "user.deactivated",
        "--to",
        &hooks,
        "--set",
        "data.id=directory_user_7",
    ]);
    assert_eq!(server.snapshot().access, [""; 0]);
}

#[test]
fn a_file_is_sent_unchanged() {
    let server = Server::start(CORRECT);
    let hooks = server.hooks();
    let body = "{ \"id\":\"event_1\",\n\t\"event\":\"dsync.activated\", \"data\":{\"id\":\"directory_1\"}}\r\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.json");
    fs::write(&file, body).unwrap();
    let file = file.to_str().unwrap();
    for run in [
        run(&["trigger", "--file", file, "--to", &hooks]),
        run_with(&["trigger", "--file", "-", "--to", &hooks], body.as_bytes(), SECRET),
    ] {
        assert!(run.stdout.starts_with("dsync.activated event_1: 200 OK in "), "{run:?}");
    }
    let dry = run(&["trigger", "--file", file, "--dry-run", "--at", "0"]);
    assert!(dry.stdout.starts_with(body), "{dry:?}");
}

#[test]
fn the_printed_curl_command_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has no curl");
        return;
    }
    let example = Example::start();
    let dry = run(&[
        "trigger",
        "user.created",
        "--dry-run",
        "--to",
        &example.url,
        "--set",
        "data.last_name=O'Brien $(false) \\",
    ]);
    assert_eq!(dry.code, Some(0));
    assert!(
        dry.stdout.contains("O'Brien") && dry.stdout.contains("\nworkos-signature: t="),
        "{dry:?}"
    );
    let curl = dry.stdout.lines().find(|line| line.starts_with("curl ")).unwrap();
    let status = |curl: &str| {
        let output = Command::new("sh").args(["-c", curl]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    };
    assert!(status(curl).starts_with("HTTP/1.1 200"), "{curl}");
    assert!(status(&curl.replace("Rosalind", "Rosalynd")).starts_with("HTTP/1.1 401"));
}

#[test]
fn deliveries_share_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1 << 16];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                // A sample contains `}}` only at its end.
                if buffer[..length].ends_with(b"}}") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                }
            }
        }
    });
    let run = run(&["trigger", "user.created", "--to", &to, "--count", "5"]);
    assert_eq!((run.code, run.stdout.matches(": 200 OK in ").count()), (Some(0), 5), "{run:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn https_certificates_are_checked() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    fs::write(&trusted, certified.cert.pem()).unwrap();
    let server = support::tls_server(&certified);
    let url = format!("https://localhost:{}/hooks", server.port());
    let trigger = |certificates: &std::path::Path| {
        let mut command = command();
        command.args(["trigger", "user.created", "--to", &url]).env("SSL_CERT_FILE", certificates);
        finish(
            command
                .env_remove("SSL_CERT_DIR")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    };
    let run = trigger(&trusted);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(": 204 No Content in "), "{run:?}");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = folder.path().join("stranger.pem");
    fs::write(&stranger, other.cert.pem()).unwrap();
    let run = trigger(&stranger);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.starts_with(&format!("error: TLS with {url} failed: ")), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

#[test]
fn errors_are_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    let secret = SECRET;
    for (arguments, code, expected) in [
        (
            &["trigger", "user.created", "--to", "http://127.0.0.1:1/"][..],
            1,
            "connection refused: is your server running at http://127.0.0.1:1/?",
        ),
        (
            &["trigger", "user.created", "--to", "http://nowhere.invalid/"],
            1,
            "can't find the host `nowhere.invalid`",
        ),
        (
            &["trigger", "user.created", "--to", "localhost:3000"],
            2,
            "the URL does not begin with http:// or https://",
        ),
        (&["trigger", "user.creatd"], 2, "unknown event"),
        (&["trigger"], 2, "no event: name one"),
        (&["trigger", "user.created", "--all"], 2, "cannot be used with"),
        (&["trigger", "user.created", "--set", "x"], 2, "PATH=VALUE"),
        (
            &["trigger", "user.created", "--set", "id.x.y=1"],
            2,
            "`id` is neither an object nor a list",
        ),
        (&["trigger", "user.created", "--count", "0"], 2, "--count"),
        (&["trigger", "user.created", "--at", "soon"], 2, "give a time"),
        (&["trigger", "--file", missing], 2, "can't read"),
        (&["trigger", "user.created", "--secret-file", missing], 2, "can't read the secret"),
        (&["trigger", "user.created", secret], 2, "unexpected argument (not shown"),
        (&["trigger", "user.created", "--secrte", secret], 2, "did you mean `--secret`?"),
        (&["simulate", "--duplicates", "2"], 2, "give a share from 0 to 1"),
        (&["simulate", "--rate", "0"], 2, "--rate"),
        (&["simulate", "--time-scale", "2"], 2, "a number from 0 to 1"),
        (&["simulate", "--settle", "1s"], 2, "--check"),
        (&["tamper", "--slow", "5"], 2, "a number and a unit"),
        (&["tamper", "--to", "http://127.0.0.1:1/"], 2, "connection refused"),
        (&["verify"], 2, "--header"),
        (&["nonsense"], 2, "unknown command"),
    ] {
        let run = run(arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{arguments:?}: {run:?}");
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(expected),
            "{arguments:?}: {run:?}"
        );
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

/// Even if it doesn't look like a secret.
#[test]
fn a_secret_that_is_typed_in_the_wrong_place_is_not_repeated() {
    let typed = "s3cret-of_the-tests";
    let mut checked = 0;
    for command in ["trigger", "tamper", "simulate", "sign", "verify"] {
        let option = format!("--{typed}");
        let misspelled = format!("--secrte={typed}");
        let to = format!("--to={typed}");
        let at = format!("--at={typed}");
        let events = format!("--events={typed}");
        let file = format!("--secret-file={typed}");
        for arguments in [
            &[command, typed][..],
            &[command, typed, typed],
            &[command, "--", typed],
            &[command, &option],
            &[command, &misspelled],
            &[command, "--secrte", typed],
            &[command, &to],
            &[command, &at],
            &[command, &events],
            &[command, &file],
            &["help", command, typed],
            &[typed, command],
        ] {
            let run = run(arguments);
            assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
            assert_eq!(run.stderr.lines().count(), 1, "{arguments:?}: {run:?}");
            assert!(!run.stderr.contains(typed), "{arguments:?}: {run:?}");
            assert!(!run.stdout.contains(typed), "{arguments:?}: {run:?}");
            checked += 1;
        }
    }
    assert_eq!(checked, 60);
    assert_eq!(
        run(&["sign", typed]).stderr,
        "error: unexpected argument (not shown, because it may be a secret; pass the secret in WORKOS_WEBHOOK_SECRET or \
         with --secret-file)\n"
    );
    assert_eq!(
        run(&["simulate", "--rate", "0"]).stderr,
        "error: invalid value for '--rate <N>': it is not in 1..=4294967295\n"
    );
}

#[test]
fn an_event_id_cannot_forge_a_line() {
    let server = Server::start(CORRECT);
    let id = "event_1: 200 OK in 1.0ms\\ndsync.user.deleted event_2\\u001b[2J";
    let set = format!("id=\"{id}\"");
    let run = run(&["trigger", "user.created", "--to", &server.hooks(), "--set", &set]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let expected = "dsync.user.created event_1: 200 OK in 1.0ms\\ndsync.user.deleted event_2\\u{1b}[2J: 200 OK in ";
    assert!(run.stdout.starts_with(expected), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
}

#[test]
fn a_dry_run_shows_control_characters_as_escapes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.json");
    fs::write(&file, "{\r\n\t\"id\": \"\u{1b}[2J\"}").unwrap();
    let run = run(&["trigger", "--file", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stdout.starts_with("{\r\n\t\"id\": \"\\u{1b}[2J\"}\n\nworkos-signature: t="),
        "{run:?}"
    );
    assert_eq!(
        run.stderr,
        "warning: the body contains control characters, which are shown as escapes\n"
    );
}

#[test]
fn secrets_are_read_from_three_places() {
    let server = Server::start(CORRECT);
    let hooks = server.hooks();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\r\n")).unwrap();
    let trigger = ["trigger", "user.created", "--to", &hooks];
    let with_file = [&trigger[..], &["--secret-file", file.to_str().unwrap()]].concat();
    let run = run_with(&with_file, b"", "whsec_wrong");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let run = run_with(&[&trigger[..], &["--secret", SECRET]].concat(), b"", "whsec_wrong");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.starts_with("warning: others can see --secret"), "{run:?}");
    for (secret, expected) in [
        ("", "WORKOS_WEBHOOK_SECRET: the webhook secret is empty"),
        (" x", "begins or ends with white space"),
    ] {
        let run = run_with(&trigger, b"", secret);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
    }
    let mut none = command();
    none.args(trigger).env_remove("WORKOS_WEBHOOK_SECRET");
    let run = finish(none.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: no secret: set WORKOS_WEBHOOK_SECRET"), "{run:?}");
}

#[test]
fn help_is_a_short_manual() {
    for name in ["trigger", "tamper", "simulate", "sign", "verify"] {
        let run = run(&[name, "--help"]);
        assert_eq!(run.code, Some(0));
        for part in
            ["Usage: dsync ", "Exit codes:", "Examples:", "WORKOS_WEBHOOK_SECRET", "\n  dsync "]
        {
            let part = part.trim_start_matches('\n');
            assert!(run.stdout.contains(part), "{name} --help has no {part:?}: {}", run.stdout);
        }
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "{}", run.stdout);
    }
    let run = run(&["--help"]);
    for name in ["trigger", "tamper", "simulate", "sign", "verify", "Exit codes:", "Examples:"] {
        assert!(run.stdout.contains(name), "{run:?}");
    }
    assert!(support::run(&["--version"]).stdout.starts_with("dsync 0."));
}
