//! `dsync simulate --check`: states that can't be compared, and the explanation of differences.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use axum::http::StatusCode;
use dsync_cli::directory::{Deliveries, Life, Order, Plan};
use serde_json::{Value, json};
use support::{App, CORRECT, Fault, Held, Run, Server, run};
use tower_workos::{DirectoryEvent, DirectoryUserState, EventData};

/// An application that relies on the order: the last delivery decides.
const TRUSTING: App = App {
    apply: |held, event| match event.data() {
        EventData::UserCreated(user) => {
            held.access.insert(user.id.to_string());
        }
        EventData::UserUpdated(change) => {
            if change.user.state == Some(DirectoryUserState::Active) {
                held.access.insert(change.user.id.to_string());
            } else {
                held.access.remove(change.user.id.as_str());
            }
        }
        EventData::UserDeleted(user) => {
            held.access.remove(user.id.as_str());
        }
        _ => {}
    },
    show: |held| json!({ "access": held.access }),
    ..CORRECT
};

fn check(server: &Server, state: &str, arguments: &[&str]) -> Run {
    let hooks = server.hooks();
    let all =
        ["simulate", "--to", &hooks, "--check", state, "--settle", "0s", "--concurrency", "1"];
    run(&[&all[..], arguments].concat())
}

#[test]
fn a_state_that_cannot_be_fetched_is_an_error_before_anything_is_sent() {
    let server = Server::start(CORRECT);
    let missing = format!("{}/missing", server.state());
    let text = Server::careless(StatusCode::OK);
    let broken = Server::careless(StatusCode::INTERNAL_SERVER_ERROR);
    let elsewhere = Server::careless(StatusCode::FOUND);
    let refused = "http://127.0.0.1:1/state".to_owned();
    for (state, reason) in [
        (missing, "the response is 404 Not Found"),
        (broken.state(), "the response is 500 Internal Server Error"),
        (elsewhere.state(), "the response is 302 Found"),
        (text.state(), "the application's state is not a JSON object"),
        (refused, "connection refused: is your server running at http://127.0.0.1:1/state?"),
    ] {
        let run = check(&server, &state, &["--events", "5"]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert_eq!(run.stderr, format!("error: can't check the state at {state}: {reason}\n"));
        assert_eq!(run.stdout, "");
    }
    assert_eq!(server.deliveries(), 0);
}

#[test]
fn a_state_that_cannot_be_compared_at_the_end_is_an_error() {
    let list: fn(&Held) -> Value = |held| if held.seen.is_empty() { json!({}) } else { json!([]) };
    let shape: fn(&Held) -> Value =
        |held| if held.seen.is_empty() { json!({}) } else { json!({ "users": 5 }) };
    for (show, reason) in [
        (list, "the application's state is not a JSON object"),
        (shape, "`users` is not a list of objects with an `id`"),
        (
            |_| json!({}),
            "the application's state has none of `access`, `directories`, `users`, `groups`, `memberships`",
        ),
    ] {
        let server = Server::start(App { show, ..CORRECT });
        let run = check(&server, &server.state(), &["--events", "5"]);
        assert_eq!(run.code, Some(2), "{run:?}");
        let expected = format!("error: can't check the state at {}: {reason}", server.state());
        assert_eq!(run.stderr.lines().last(), Some(&expected[..]));
        assert_eq!(server.deliveries(), 5);
    }
}

#[test]
fn an_application_that_is_not_empty_causes_a_warning() {
    let server =
        Server::start(App { show: |_| json!({ "access": ["directory_user_x"] }), ..CORRECT });
    let run = check(&server, &server.state(), &["--events", "1", "--seed", "1"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let warning = format!(
        "warning: the application at {} is not empty: everything in it will count as a difference",
        server.state()
    );
    assert_eq!(run.stderr.lines().next(), Some(&warning[..]));
    assert!(
        run.stdout.ends_with(
            "  access: directory_user_x should NOT have access, but does\n      \
             there is no event about it: was the application empty before the run?\n"
        ),
        "{run:?}"
    );
}

/// Computes every line again from the deliveries.
#[test]
fn a_difference_shows_the_deliveries_behind_it() {
    let server = Server::start(TRUSTING);
    let life =
        ["--seed", "5", "--events", "49", "--users", "4", "--groups", "0", "--directories", "1"];
    let disorder = ["--reorder", "20", "--duplicates", "40%"];
    let run = check(&server, &server.state(), &[&life[..], &disorder].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    let plan = Plan::new(5).events(49).users(4).groups(0).directories(1);
    let order = Order::new(5).reorder(20).duplicates("40%".parse().unwrap());
    let sent: Vec<_> = Deliveries::new(Life::new(plan), order).collect();

    let mut lines =
        run.stdout.lines().skip_while(|line| !line.starts_with("  access: ")).peekable();
    let mut blocks = 0;
    while let Some(difference) = lines.next() {
        let id = difference.strip_prefix("  access: ").unwrap().split(' ').next().unwrap();
        let mut all = Vec::new();
        for (place, delivery) in sent.iter().enumerate() {
            let event = DirectoryEvent::parse(delivery.event().body().clone()).unwrap();
            let (user, end) = match event.data() {
                EventData::UserCreated(user) => (user, false),
                EventData::UserUpdated(change) => (&change.user, false),
                EventData::UserDeleted(user) => (user, true),
                _ => continue,
            };
            if user.id.as_str() == id {
                let version = (end, delivery.event().sequence());
                all.push((place + 1, version, end, event.clone()));
            }
        }
        let (decisive, ..) = all.iter().rev().max_by_key(|(_, version, ..)| *version).unwrap();
        let mut expected = Vec::new();
        for (place, (number, version, end, event)) in all.iter().enumerate() {
            let mut line = format!("      #{number} {} {}", event.name(), event.id());
            line.push_str(&format!(" created_at {}", event.created_at().unwrap()));
            let user = match event.data() {
                EventData::UserCreated(user) | EventData::UserDeleted(user) => user,
                EventData::UserUpdated(change) => &change.user,
                _ => unreachable!(),
            };
            if !end {
                let state = user.state.as_ref().unwrap();
                line.push_str(&format!(" updated_at {} state {state}", user.updated_at.unwrap()));
            }
            line.push_str(": 200");
            if number == decisive {
                line.push_str(", DECIDES");
            }
            let before = &all[..place];
            if before.iter().any(|(_, _, _, earlier)| earlier.id() == event.id()) {
                line.push_str(", sent again");
            }
            if let Some((newer, ..)) = before.iter().rev().find(|it| it.1.1 > version.1) {
                line.push_str(&format!(", late: after #{newer}, which is newer"));
            }
            expected.push(line);
        }
        let shown: Vec<_> =
            std::iter::from_fn(|| lines.next_if(|line| line.starts_with("      "))).collect();
        let decided = expected.iter().position(|line| line.contains("DECIDES")).unwrap();
        let start = decided.saturating_sub(2).min(expected.len().saturating_sub(6));
        let end = expected.len().min(start + 6);
        let count = |count: usize| {
            if count == 1 { "1 delivery".into() } else { format!("{count} deliveries") }
        };
        let mut bounded = Vec::new();
        bounded.extend((start > 0).then(|| format!("      {} before these", count(start))));
        bounded.extend_from_slice(&expected[start..end]);
        let after = expected.len() - end;
        bounded.extend((after > 0).then(|| format!("      {} after these", count(after))));
        assert_eq!(shown, bounded, "{difference}");
        blocks += 1;
    }
    assert_eq!(blocks, 4, "{run:?}");
}

#[test]
fn rejected_and_unsent_events_are_reported() {
    // It rejects the user once, and then reports no users.
    let app = App {
        show: |_| json!({ "access": [] }),
        fault: |number, _| if number == 1 { Fault::Reject } else { Fault::None },
        ..CORRECT
    };
    let server = Server::start(app);
    let life =
        ["--seed", "5", "--events", "2", "--users", "1", "--groups", "0", "--directories", "1"];
    let run = check(
        &server,
        &server.state(),
        &[&life[..], &["--retry", "--time-scale", "1e-7"]].concat(),
    );
    assert_eq!(run.code, Some(1), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().rev().take(2).collect();
    assert!(lines[1].starts_with("      #2 dsync.user.created event_"), "{run:?}");
    assert!(lines[1].ends_with(" state active: 503"), "{run:?}");
    assert!(lines[0].starts_with("      #3 dsync.user.created event_"), "{run:?}");
    assert!(lines[0].ends_with(" state active: 200, DECIDES, sent again"), "{run:?}");
    // It never acknowledges the user, but has stored it.
    let app = App {
        apply: TRUSTING.apply,
        show: TRUSTING.show,
        fault: |number, _| if number == 1 { Fault::Lose } else { Fault::None },
    };
    let server = Server::start(app);
    let run = check(&server, &server.state(), &[&life[..], &["--timeout", "300ms"]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.ends_with("      none of the deliveries about it were acknowledged\n"),
        "{run:?}"
    );
    // The user is never sent, but the application has it from another source.
    let app = App {
        show: |_| {
            let user = Life::new(Plan::new(5).events(2).users(1).groups(0).directories(1)).nth(1);
            let event = DirectoryEvent::parse(user.unwrap().body().clone()).unwrap();
            let EventData::UserCreated(user) = event.data() else { unreachable!() };
            json!({ "access": [user.id.as_str()] })
        },
        ..CORRECT
    };
    let server = Server::start(app);
    let run = check(&server, &server.state(), &[&life[..], &["--drop", "100%"]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.ends_with("      none of the events about it were sent (--drop)\n"),
        "{run:?}"
    );
}

#[test]
fn no_more_than_ten_differences_of_a_list_are_explained() {
    let server = Server::start(App { show: |_| json!({ "access": [], "users": [] }), ..CORRECT });
    let run = check(
        &server,
        &server.state(),
        &["--seed", "1", "--events", "90", "--groups", "0", "--directories", "1"],
    );
    assert_eq!(run.code, Some(1), "{run:?}");
    let count = |what: &str| run.stdout.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!((count("  access: directory_user_"), count("  users: directory_user_")), (10, 10));
    let more = |list: &str| {
        let line =
            |line: &&str| line.starts_with(&format!("  {list}: ")) && line.ends_with(" more");
        run.stdout.lines().filter(line).count()
    };
    assert_eq!((more("access"), more("users")), (1, 1));
    assert_eq!(run.stdout.matches("DECIDES").count(), 20);
    assert!(count("      ") <= 20 * 8, "{run:?}");
}

#[test]
fn the_help_begins_with_the_empty_application() {
    let help = run(&["simulate", "--help"]).stdout;
    let (before, _) = help.split_once("Usage:").unwrap();
    let words: Vec<_> = before.split_whitespace().collect();
    let expected = "With --check, the application must be EMPTY before the run: no directories, users or groups";
    assert!(words.join(" ").contains(expected), "{before}");
}
