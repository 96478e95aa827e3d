//! Whether the tables are in step with WorkOS.

use std::time::{Duration, SystemTime};

use tower_workos::{DirectoryId, Timestamp};

use crate::page::facts::{Level, Problem, QueueState, Repair, Verdict};

/// How long ago the latest comparison may be. [`Repair`](crate::Repair) compares every hour.
const COMPARED: Duration = Duration::from_secs(3 * 60 * 60);
/// How long ago the Events API may have been read to its end. The poller stays about a minute behind.
const POLLED: Duration = Duration::from_secs(10 * 60);
/// How long a job may wait.
const WAITING: Duration = Duration::from_secs(10 * 60);

pub(super) fn verdict(
    now: Timestamp,
    repairs: &[Repair],
    queues: &[QueueState],
    dead_letters: u64,
    disconnected: &[(DirectoryId, String)],
) -> Verdict {
    let mut problems = Problems(Vec::new());
    if dead_letters > 0 {
        problems.add(
            Level::OutOfStep,
            format!("{} could not be applied.", number(dead_letters, "event", "events")),
            "One of them may end a user's access: read them now (“Dead letters”, Mirror::dead_letters). After the cause is fixed, \
             call Mirror::replay_dead_letters.",
        );
    }
    for repair in repairs {
        compared(&mut problems, now, repair);
    }
    if repairs.is_empty() {
        problems.add(
            Level::Unknown,
            "The tables have never been compared with WorkOS.".to_owned(),
            "Run Repair (feature “reconcile”). Without it, a change whose deliveries were all lost stays unknown.",
        );
    }
    for queue in queues {
        processed(&mut problems, queue);
    }
    for (_, name) in disconnected {
        problems.add(
            Level::Unknown,
            format!(
                "WorkOS can't read the directory “{}”: its credentials are invalid.",
                short(name)
            ),
            "The customer must reconnect it. Until then, changes at the provider don't arrive.",
        );
    }
    let Problems(mut problems) = problems;
    // The worst first. The sort is stable.
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    let level = problems.first().map_or(Level::InStep, |worst| worst.level);
    let since = repairs.iter().map(|repair| repair.last_success).min().flatten();
    Verdict { level, problems, since }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, level: Level, text: String, hint: &str) {
        self.0.push(Problem { level, text, hint: hint.to_owned() });
    }
}

/// Repair, and the poller of the Events API.
fn compared(problems: &mut Problems, now: Timestamp, repair: &Repair) {
    let whose = if repair.environment == "default" {
        String::new()
    } else {
        format!(" (environment “{}”)", short(&repair.environment))
    };
    match repair.last_success {
        None => problems.add(
            Level::Unknown,
            format!("No comparison with WorkOS has succeeded yet{whose}."),
            "The first one can take some minutes. If it does not end, read the log of Repair.",
        ),
        Some(at) if age(now, at) > COMPARED => problems.add(
            Level::Unknown,
            format!(
                "The latest successful comparison with WorkOS is {} old{whose}.",
                hours(age(now, at))
            ),
            "Check that Repair runs, and read its log.",
        ),
        Some(at) if !repair.is_complete && repair.last_run.is_some_and(|run| run > at) => problems
            .add(
                Level::Unknown,
                format!("The latest comparison with WorkOS was not complete{whose}."),
                "Usually the next one is. If not, read the log of Repair.",
            ),
        Some(_) => {}
    }
    let left = repair.drift.iter().filter(|drift| drift.action != "applied");
    let left = left.map(|drift| drift.count).sum();
    if left > 0 {
        problems.add(
            Level::OutOfStep,
            format!("{} found but not repaired{whose}.", were(left, "difference from WorkOS", "differences from WorkOS")),
            "Read the report of the latest run (Repair::on_report). A first run removes nothing; the next one does. An unusually \
             large removal needs allow_mass_removal.",
        );
    }
    if repair.is_polled && repair.drained_at.is_none() {
        problems.add(
            Level::Unknown,
            format!("The Events API has not been read to its end yet{whose}."),
            "The first time can take some minutes. If it does not end, read the log of the poller.",
        );
    }
    if let Some(at) = repair.drained_at.filter(|at| age(now, *at) > POLLED) {
        problems.add(
            Level::Unknown,
            format!("The Events API was last read to its end {} ago{whose}.", hours(age(now, at))),
            "Check that the poller runs, and read its log.",
        );
    }
}

fn processed(problems: &mut Problems, queue: &QueueState) {
    let name = short(&queue.name);
    let Some(status) = &queue.status else {
        problems.add(
            Level::Unknown,
            format!("The state of the queue “{name}” could not be read."),
            "Check that its storage can be reached.",
        );
        return;
    };
    if status.dead > 0 {
        problems.add(
            Level::OutOfStep,
            format!(
                "{} of the queue “{name}” became dead letters.",
                number(status.dead, "job", "jobs")
            ),
            "Read why with Queue::dead_letters, fix the cause, then retry them.",
        );
    }
    if let Some(oldest) = status.oldest_age.filter(|age| *age > WAITING) {
        problems.add(
            Level::OutOfStep,
            format!("The oldest job of the queue “{name}” has waited for {}.", hours(oldest)),
            "Check that a worker runs, and read its log.",
        );
    }
}

fn age(now: Timestamp, at: Timestamp) -> Duration {
    SystemTime::from(now).duration_since(at.into()).unwrap_or_default()
}

fn hours(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => number(minutes, "minute", "minutes"),
        (hours, _) if hours >= 48 => number(hours / 24, "day", "days"),
        (hours, _) => number(hours, "hour", "hours"),
    }
}

fn number(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn were(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count, one, many), if count == 1 { "was" } else { "were" })
}

fn short(name: &str) -> String {
    const MOST: usize = 60;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST).chain(['…']).collect()
}
