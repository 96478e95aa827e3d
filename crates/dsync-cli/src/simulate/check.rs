//! Is the application's own state as it should be?

use std::time::Duration;

use dsync_cli::directory::{Comparison, Section, Snapshot};
use tokio::time::{Instant, sleep};

use crate::{client::Client, failure::Failure, net::Network, output::say};

/// Of each list, so many differences are shown.
const SHOWN: usize = 10;
/// How long to wait before the state is fetched again.
const PAUSE: Duration = Duration::from_millis(200);

/// Fetches the state until it is right or the time is over; says what is wrong with it.
pub(super) async fn check(
    network: &Network,
    snapshot: &Snapshot,
    settle: Duration,
    timeout: Duration,
) -> Result<bool, Failure> {
    let end = Instant::now() + settle;
    let mut client = Client::new(network.clone(), timeout).keep_text();
    loop {
        let comparison = compare(&mut client, network, snapshot).await?;
        if comparison.differences.is_empty() || Instant::now() >= end {
            report(&comparison, snapshot);
            return Ok(comparison.differences.is_empty());
        }
        sleep(PAUSE).await;
    }
}

async fn compare(
    client: &mut Client,
    network: &Network,
    snapshot: &Snapshot,
) -> Result<Comparison, Failure> {
    let from = network.endpoint();
    let failure = |what: String| Failure::no(format!("can't check the state at {from}: {what}"));
    let answer = client.fetch().await.map_err(|error| failure(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(failure(format!("it was answered {}", answer.status)));
    }
    snapshot.compare(&answer.text).map_err(|error| failure(error.to_string()))
}

fn report(comparison: &Comparison, snapshot: &Snapshot) {
    let compared: Vec<_> = comparison
        .compared
        .iter()
        .map(|section| format!("{section} {}", count(*section, snapshot)))
        .collect();
    let left_out: Vec<_> = comparison.left_out.iter().map(|section| section.name()).collect();
    let not_told = match left_out.as_slice() {
        [] => String::new(),
        names => format!("; it says nothing of {}", names.join(", ")),
    };
    let differences = &comparison.differences;
    if differences.is_empty() {
        say(format!(
            "check         the state is as it should be ({}){not_told}",
            compared.join(", ")
        ));
        return;
    }
    say(format!(
        "check         {} DIFFERENCES ({}){not_told}",
        differences.len(),
        compared.join(", ")
    ));
    for section in &comparison.compared {
        let prefix = format!("{section}: ");
        let lines = differences.iter().map(ToString::to_string);
        let lines: Vec<_> = lines.filter(|line| line.starts_with(&prefix)).collect();
        for line in lines.iter().take(SHOWN) {
            say(format!("  {line}"));
        }
        if lines.len() > SHOWN {
            say(format!("  {prefix}and {} more", lines.len() - SHOWN));
        }
    }
}

fn count(section: Section, snapshot: &Snapshot) -> usize {
    match section {
        Section::Access => snapshot.access.len(),
        Section::Directories => snapshot.directories.len(),
        Section::Groups => snapshot.groups.len(),
        Section::Memberships => snapshot.memberships.len(),
        Section::Users => snapshot.users.len(),
        _ => 0,
    }
}
