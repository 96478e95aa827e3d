//! `dsync emulate` with applications that read from its API, and without.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod process;
#[path = "../support/mod.rs"]
mod support;

use std::{io::BufRead as _, time::Instant};

use dsync_cli::directory::Snapshot;
use process::{EVENTS, Emulate, LIMIT, differences, get, read};
use serde_json::{Value, json};
use support::{App, CORRECT, Server, run, run_with};
use tower_workos::{DirectoryEvent, Timestamp};

#[test]
fn the_api_serves_the_state_that_it_announces() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let mut emulate = Emulate::start(
        None,
        &["--drop", "100%", "--events", "600", "--seed", "4", "--state", file.to_str().unwrap()],
    );
    emulate.wait_for("state ");
    let expected: Snapshot = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(expected.users.len() > 50 && expected.memberships.len() > 50, "{expected:?}");
    assert_eq!(differences(&expected, &read(&emulate)), [""; 0]);

    // One clock.
    let reply = emulate.get("/directories");
    let date = reply.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap().to_owned();
    let date = httpdate(&date);
    assert!((date - Timestamp::now().as_unix_millis()).abs() < 20_000, "{reply:?}");
    let newest = emulate.get(&format!("{EVENTS}&limit=1")).body["data"][0].take();
    let created_at: Timestamp = newest["created_at"].as_str().unwrap().parse().unwrap();
    assert!((date - created_at.as_unix_millis()).abs() < 20_000, "{newest}");

    assert_eq!(get(&emulate.address, "/directories", "sk_test_wrong").status, 401);
    emulate.signal("INT");
    let run = emulate.finish();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("dropped       600 events were never sent"), "{run:?}");
    assert!(run.stdout.contains("API requests  "), "{run:?}");
}

/// Unix milliseconds of a date in lower case.
fn httpdate(date: &str) -> i64 {
    let parts: Vec<_> = date.split(' ').collect();
    let months = "jan feb mar apr may jun jul aug sep oct nov dec";
    let month = months.split(' ').position(|month| month == parts[2]).unwrap() + 1;
    let time = format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4]);
    time.parse::<Timestamp>().unwrap().as_unix_millis()
}

#[test]
fn webhooks_are_dated_when_they_happen() {
    let app = App {
        apply: |held, event| {
            let now = Timestamp::now().as_unix_millis();
            let age = now - event.created_at().unwrap().as_unix_millis();
            let signed = event.signature().unwrap().issued_at().as_unix_millis();
            if !(0..30_000).contains(&age) || (now - signed).abs() > 30_000 {
                held.access.insert(event.id().to_string());
            }
            held.state.apply(event);
        },
        show: |held| {
            let mut state = (CORRECT.show)(held);
            if !held.access.is_empty() {
                state["access"] = json!(held.access);
            }
            state
        },
        ..CORRECT
    };
    let server = Server::start(app);
    let emulate = Emulate::start(
        Some("sk_test_from_the_environment"),
        &[
            "--to",
            &server.hooks(),
            "--check",
            &server.state(),
            "--events",
            "400",
            "--seed",
            "9",
            "--reorder",
            "30",
            "--duplicates",
            "10%",
            "--settle",
            "30s",
        ],
    );
    assert_eq!(emulate.get("/directories").status, 200);
    let run = emulate.finish();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("acknowledged  400 events"), "{run:?}");
    assert!(run.stdout.contains("check         the state is as expected (access "), "{run:?}");
    assert!(!run.stdout.contains("sk_test") && !run.stderr.contains("sk_test"), "{run:?}");
}

#[test]
fn lost_webhooks_are_missing_until_the_application_reads_them() {
    let arguments = ["--drop", "30%", "--events", "400", "--seed", "12", "--concurrency", "1"];
    let server = Server::start(CORRECT);
    let (hooks, state) = (server.hooks(), server.state());
    let to = ["--to", &hooks, "--check", &state, "--settle", "0s"];
    let run = Emulate::start(None, &[&arguments[..], &to].concat()).finish();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("DIFFERENCES"), "{run:?}");
    let why = ", DECIDES, but it was never acknowledged: only the API shows it";
    assert!(run.stdout.contains(why), "{run:?}");

    // An application that also reads the events.
    let server = Server::start(CORRECT);
    let (hooks, state) = (server.hooks(), server.state());
    let to = ["--to", &hooks, "--check", &state, "--withhold", "0s"];
    let emulate = Emulate::start(None, &[&arguments[..], &to].concat());
    let begin = Instant::now();
    let mut after = String::new();
    let mut count = 0;
    while count < 400 {
        assert!(begin.elapsed() < LIMIT, "{count} events");
        let page = emulate.get(&format!("{EVENTS}&order=asc&limit=100&after={after}")).body;
        for event in page["data"].as_array().unwrap() {
            server.apply(&DirectoryEvent::parse(event.to_string().into()).unwrap());
            event["id"].as_str().unwrap().clone_into(&mut after);
            count += 1;
        }
    }
    let run = emulate.finish();
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn it_waits_for_the_application() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (hooks, state) = (format!("http://{address}/hooks"), format!("http://{address}/state"));
    let mut emulate = Emulate::start(None, &["--to", &hooks, "--check", &state, "--events", "60"]);
    let mut stderr = emulate.stderr();
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("waiting for your application at {hooks}"));
    let reply = emulate.get(&format!("{EVENTS}&order=desc"));
    assert_eq!((reply.status, &reply.body["data"]), (200, &json!([])));
    let server = Server::start_at(CORRECT, std::net::TcpListener::bind(address).unwrap());
    let run = emulate.finish();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(server.deliveries() >= 60);
}

#[test]
fn each_fault_is_an_option() {
    type Check = fn(&Emulate);
    let cases: [(&[&str], Check); 7] = [
        (&["--throttle", "100%", "--retry-after", "1h"], |emulate| {
            let reply = emulate.get("/directories");
            assert_eq!(reply.status, 429);
            assert!(reply.head.contains("retry-after: 3600"), "{reply:?}");
        }),
        (&["--errors", "100%", "--slow", "100%", "--slow-by", "20ms"], |emulate| {
            assert!(emulate.get("/directories").status >= 500);
        }),
        (&["--broken", "1", "--short-pages", "0.5", "--repeat-cursors", "1%"], |emulate| {
            assert_eq!(emulate.get("/directories").body, Value::Null);
        }),
        (&["--unknown-values", "1", "--odd-items", "1", "--null-fields", "0.1"], |emulate| {
            let one = emulate.get("/directories").body["data"][0].take();
            assert_eq!(one["state"], "hibernating");
            assert!(one.get("new_in_the_api").is_some());
        }),
        (&["--legacy-groups", "--replica-lag", "1ms"], |emulate| {
            let directory = emulate.get("/directories").body["data"][0]["id"].take();
            let directory = directory.as_str().unwrap();
            let path = format!("/directory_users?limit=100&directory={directory}");
            let users = emulate.get(&path).body["data"].take();
            let has_groups = |user: &Value| user["groups"] != json!([]);
            assert!(users.as_array().unwrap().iter().any(has_groups), "{users}");
        }),
        (&["--missing-ids", "1", "--rate-limits"], |emulate| {
            let one = emulate.get("/directories").body["data"][0].take();
            assert!(one["id"].as_str().unwrap_or_default().is_empty(), "{one}");
        }),
        (
            &["--failing-list", "directories", "--failing-page", "1", "--faults-after", "60"],
            |emulate| {
                assert_eq!(emulate.get("/directories").status, 500);
                assert_eq!(emulate.get(EVENTS).status, 200);
            },
        ),
    ];
    for (options, check) in cases {
        let arguments = [&["--drop", "100%", "--events", "60"], options].concat();
        let mut emulate = Emulate::start(None, &arguments);
        emulate.wait_for("responses ");
        check(&emulate);
        emulate.signal("TERM");
        let run = emulate.finish();
        assert_eq!(run.code, Some(0), "{options:?} {run:?}");
    }
}

#[test]
fn a_provider_suddenly_hides_its_users() {
    let users = |emulate: &Emulate| {
        let directories = emulate.get("/directories").body;
        let directory = directories.pointer("/data/0/id").and_then(Value::as_str);
        let path = format!("/directory_users?directory={}", directory.unwrap_or_default());
        emulate.get(&path)
    };
    let options = ["--visible-users", "0%", "--faults-after", "400", "--directories", "1"];
    let arguments =
        [&["--drop", "100%", "--events", "400", "--rate", "100"], &options[..]].concat();
    let mut emulate = Emulate::start(None, &arguments);
    let begin = Instant::now();
    while users(&emulate).body["data"].as_array().is_none_or(Vec::is_empty) {
        assert!(begin.elapsed() < LIMIT, "there are no users before the fault");
    }
    emulate.wait_for("responses ");
    let reply = users(&emulate);
    assert_eq!((reply.status, &reply.body["data"]), (200, &json!([])));
    emulate.signal("INT");
    assert_eq!(emulate.finish().code, Some(0));
}

#[test]
fn ctrl_c_ends_it_early() {
    let mut emulate = Emulate::start(None, &["--drop", "100%", "--events", "1000000"]);
    let begin = Instant::now();
    while emulate.get("/directories").body["data"] == json!([]) {
        assert!(begin.elapsed() < LIMIT);
    }
    emulate.signal("INT");
    emulate.wait_for("interrupted after");
    let run = emulate.finish();
    assert_eq!(run.code, Some(130), "{run:?}");
}

#[test]
fn what_can_not_work_is_one_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (arguments, message) in [
        (&["--listen", &*taken, "--drop", "100%"][..], "error: can't listen at "),
        (
            &["--api-key", "two words"],
            "error: invalid value for '--api-key <KEY>': the key must be",
        ),
        (&["--rate", "0"], "error: invalid value for '--rate <N>'"),
        (&["--rate", "1001"], "error: invalid value for '--rate <N>'"),
        (&["--failing-page", "3"], "error: the following required arguments were not provided"),
        (&["--start", "now"], "error: unknown option"),
        (&["--print"], "error: unknown option"),
        (&["--settle", "1s"], "error: the following required arguments were not provided"),
        (&["--to", "http://no-such-host.invalid/"], "error: can't find the host"),
    ] {
        let all = [&["emulate"], arguments].concat();
        let all = if arguments[0] == "--listen" {
            all
        } else {
            [&all[..], &["--listen", "127.0.0.1:0"]].concat()
        };
        let run = run(&all);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.starts_with(message), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(!run.stderr.contains("two words"));
    }
    let run = run_with(&["emulate", "--listen", "127.0.0.1:0"], b"", "");
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn help_is_a_manual() {
    let run = run(&["emulate", "--help"]);
    assert_eq!(run.code, Some(0));
    for text in ["Examples:", "Exit codes:", "WORKOS_API_KEY", "--replica-lag", "--visible-users"] {
        assert!(run.stdout.contains(text), "{text}");
    }
}
