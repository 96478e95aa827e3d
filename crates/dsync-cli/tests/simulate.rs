//! `dsync simulate` against correct, incorrect and failing servers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use dsync_cli::directory::{Deliveries, Life, Order, Plan, Snapshot};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use support::{App, CORRECT, Example, Fault, Run, Server, command, finish, run};
use tower_workos::{AccessChange, EventData};

/// Returns the rest of the summary line that begins with `what`.
fn line<'a>(run: &'a Run, what: &str) -> &'a str {
    let line = run.stdout.lines().find(|line| line.starts_with(what));
    line.unwrap_or_else(|| panic!("no {what:?} in {run:?}")).get(what.len()..).unwrap().trim()
}

#[test]
fn the_axum_example_accepts_a_life() {
    let example = Example::start();
    let run = run(&["simulate", "--to", &example.url, "--seed", "7", "--events", "400"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(line(&run, "acknowledged"), "400 events");
    assert_eq!(line(&run, "responses"), "200: 400");
    assert_eq!(line(&run, "given up"), "0 events");
    // Without a terminal, the lines contain no control sequences.
    assert!(run.stderr.starts_with("seed 7, to http://127.0.0.1:"), "{run:?}");
    assert!(!run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'), "{run:?}");
}

#[test]
fn a_correct_application_passes_the_check_after_many_faults() {
    // Every fifth delivery is rejected and every eleventh response is lost, but each event at most three times.
    let fault = |number, seen| match (number % 5, number % 11) {
        (3, _) if seen < 4 => Fault::Reject,
        (_, 7) if seen < 4 => Fault::Lose,
        _ => Fault::None,
    };
    let server = Server::start(App { fault, ..CORRECT });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--check",
        &server.state(),
        "--state",
        file.to_str().unwrap(),
        "--seed",
        "11",
        "--events",
        "700",
        "--directories",
        "3",
        "--users",
        "60",
        "--groups",
        "9",
        "--duplicates",
        "10%",
        "--reorder",
        "40",
        "--late",
        "0.05",
        "--retry",
        "--time-scale",
        "1e-7",
        "--timeout",
        "150ms",
        "--concurrency",
        "24",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(line(&run, "acknowledged"), "700 events");
    assert_ne!(line(&run, "retried"), "0 deliveries");
    assert!(line(&run, "check").starts_with("the state is as expected (access "), "{run:?}");
    let expected: Snapshot = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(expected, server.snapshot());
    let plan = Plan::new(11).events(700).directories(3).users(60).groups(9);
    let mut life = Life::new(plan);
    life.by_ref().for_each(drop);
    assert!(expected == life.snapshot(), "the expected state is not the state of the life");
}

#[test]
fn an_application_that_misses_deactivations_fails_the_check() {
    // It handles only `user.deleted`.
    let app = App {
        apply: |held, event| match event.data() {
            EventData::UserCreated(user) => {
                held.access.insert(user.id.to_string());
            }
            EventData::UserDeleted(user) => {
                held.access.remove(user.id.as_str());
            }
            _ => {}
        },
        show: |held| serde_json::json!({ "access": held.access }),
        ..CORRECT
    };
    let server = Server::start(app);
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--check",
        &server.state(),
        "--settle",
        "0s",
        "--seed",
        "3",
        "--concurrency",
        "1",
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let check = line(&run, "check");
    assert!(
        check.contains("DIFFERENCES") && check.contains("not compared: directories, users"),
        "{check}"
    );
    assert!(run.stdout.contains("should NOT have access, but does"), "{run:?}");
    assert!(!run.stdout.contains("should have access, but does not"), "{run:?}");
}

#[test]
fn an_application_that_relies_on_the_order_fails_the_check_only_with_reordering() {
    let app = App {
        apply: |held, event| match event.access_change() {
            Some(AccessChange::Granted(user)) => {
                held.access.insert(user.id.to_string());
            }
            Some(AccessChange::Revoked(user)) => {
                held.access.remove(user.id.as_str());
            }
            _ => {}
        },
        show: |held| serde_json::json!({ "access": held.access }),
        ..CORRECT
    };
    let check = |disorder: &[&str]| {
        let server = Server::start(app);
        let (hooks, state) = (server.hooks(), server.state());
        let mut arguments = vec![
            "simulate",
            "--to",
            &hooks,
            "--check",
            &state,
            "--settle",
            "0s",
            // Long enough for a user to return, too short for a deleted directory.
            "--seed",
            "5",
            "--events",
            "49",
            "--users",
            "4",
            "--groups",
            "0",
            "--directories",
            "1",
            "--concurrency",
            "1",
        ];
        arguments.extend(disorder);
        run(&arguments)
    };
    let in_order = check(&[]);
    assert_eq!(in_order.code, Some(0), "{in_order:?}");
    let run = check(&["--reorder", "20"]);
    assert_eq!(run.code, Some(1), "{run:?}");
}

#[test]
fn a_seed_gives_the_same_deliveries_byte_for_byte() {
    let print = |seed: &str, extra: &[&str]| {
        let disorder = ["--duplicates", "20%", "--reorder", "9", "--late", "3%", "--drop", "5%"];
        let arguments =
            [&["simulate", "--print", "--events", "300", "--seed", seed], &disorder[..], extra]
                .concat();
        let run = run(&arguments);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    let lines = print("9", &[]);
    assert_eq!(lines, print("9", &[]));
    assert_ne!(lines, print("10", &[]));
    let share = |text: &str| text.parse().unwrap();
    let order =
        Order::new(9).duplicates(share("20%")).reorder(9).late(share("3%")).drop(share("5%"));
    let deliveries = Deliveries::new(Life::new(Plan::new(9).events(300)), order);
    let expected: Vec<_> =
        deliveries.map(|it| String::from_utf8(it.event().body().to_vec()).unwrap()).collect();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    let ids: HashSet<_> = lines.lines().map(|line| line.get(..38).unwrap()).collect();
    assert!(ids.len() < expected.len() && ids.len() < 300, "{} {}", ids.len(), expected.len());
}

#[test]
fn dropped_events_are_not_expected() {
    let server = Server::start(CORRECT);
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--check",
        &server.state(),
        "--seed",
        "2",
        "--events",
        "500",
        "--drop",
        "30%",
        "--reorder",
        "10",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let dropped = 500 - server.deliveries();
    assert!((100..200).contains(&dropped), "{dropped}");
    assert_eq!(line(&run, "dropped"), format!("{dropped} events were never sent (--drop)"));
    assert_eq!(line(&run, "acknowledged"), format!("{} events", server.deliveries()));
}

#[test]
fn without_retry_a_rejected_event_is_given_up_and_not_expected() {
    let server = Server::start(App {
        fault: |number, _| if number % 10 == 4 { Fault::Reject } else { Fault::None },
        ..CORRECT
    });
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--check",
        &server.state(),
        "--events",
        "200",
        "--seed",
        "4",
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(line(&run, "given up"), "20 events");
    assert_eq!(line(&run, "responses"), "200: 180  503: 20");
    assert!(line(&run, "check").starts_with("the state is as expected"), "{run:?}");
    assert!(!run.stdout.contains("uncertain"), "{run:?}");
}

#[test]
fn an_event_is_attempted_six_times() {
    let server = Server::start(App { fault: |_, _| Fault::Reject, ..CORRECT });
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--events",
        "20",
        "--seed",
        "4",
        "--retry",
        "--time-scale",
        "1e-7",
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(server.deliveries(), 120);
    assert_eq!(line(&run, "given up"), "20 events");
    assert_eq!(line(&run, "retried"), "100 deliveries");
}

#[test]
fn a_lost_response_makes_an_event_uncertain() {
    let server = Server::start(App {
        fault: |number, _| if number == 3 { Fault::Lose } else { Fault::None },
        ..CORRECT
    });
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--events",
        "50",
        "--seed",
        "4",
        "--timeout",
        "200ms",
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(line(&run, "given up"), "1 events");
    assert!(line(&run, "uncertain").starts_with("1 of them: no response arrived"), "{run:?}");
    assert_eq!(line(&run, "responses"), "200: 49  timed out: 1");
}

#[test]
fn ctrl_c_ends_with_the_summary() {
    let server = Server::start(CORRECT);
    let mut child = command()
        .args(["simulate", "--to", &server.hooks(), "--check", &server.state(), "--seed", "1"])
        // It ends without an interruption, too.
        .args(["--events", "6000", "--rate", "200"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut lines = String::new();
    // The first line, and one line of progress.
    stderr.read_line(&mut lines).unwrap();
    stderr.read_line(&mut lines).unwrap();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let run = finish(child);
    assert!(lines.lines().last().unwrap().contains(" events  "), "{lines}");
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(line(&run, "interrupted after").contains("(seed 1)"), "{run:?}");
    let acknowledged = format!("{} events", support::grouped(server.deliveries()));
    assert_eq!(line(&run, "acknowledged"), acknowledged);
    assert!(line(&run, "check").starts_with("the state is as expected"), "{run:?}");
}

#[test]
fn on_a_terminal_the_progress_is_drawn() {
    let server = Server::start(CORRECT);
    let size = PtySize { rows: 24, cols: 110, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut builder = CommandBuilder::new(env!("CARGO_BIN_EXE_dsync"));
    builder.args([
        "simulate",
        "--to",
        &server.hooks(),
        "--seed",
        "1",
        "--events",
        "300",
        "--rate",
        "400",
    ]);
    builder.env("WORKOS_WEBHOOK_SECRET", support::SECRET);
    builder.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(builder).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut output = Vec::new();
    // A closed terminal is an error on Linux.
    let _ = reader.read_to_end(&mut output);
    assert_eq!(child.wait().unwrap().exit_code(), 0);
    let text = String::from_utf8_lossy(&output);
    assert!(text.contains('\u{1b}') && text.contains('━'), "no bar: {text}");
    assert!(text.contains("300/300 events"), "{text}");
    let drawn = text.matches("p99").count();
    assert!(drawn > 3, "drawn {drawn} times: {text}");
    assert!(text.contains("acknowledged  300 events"), "{text}");
    assert!(!text.contains(support::SECRET));
}

#[test]
fn no_server_is_one_clear_line() {
    let run = run(&["simulate", "--to", "http://127.0.0.1:1/hooks"]);
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.stderr,
        "error: connection refused: is your server running at http://127.0.0.1:1/hooks?\n"
    );
    assert_eq!(run.stdout, "");
}

#[test]
fn the_rate_is_respected() {
    let server = Server::start(CORRECT);
    let begin = std::time::Instant::now();
    let run = run(&[
        "simulate",
        "--to",
        &server.hooks(),
        "--seed",
        "1",
        "--events",
        "101",
        "--rate",
        "100",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(begin.elapsed().as_millis() >= 1000, "{:?}", begin.elapsed());
}
