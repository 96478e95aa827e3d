//! Compares the application's state with the expected one.

use std::time::Duration;

use bytes::Bytes;
use dsync_cli::directory::{Comparison, ComparisonError, Difference, Section, Snapshot};
use tokio::time::{Instant, sleep};

use super::{explain::explain, log::Log};
use crate::{
    client::Client,
    failure::Failure,
    network::Network,
    output::{complain, say},
};

/// The number of differences that are printed for each list.
const SHOWN: usize = 10;
/// The pause before the state is fetched again.
const PAUSE: Duration = Duration::from_millis(200);

/// The expected state, and what the explanation of a difference needs.
pub(crate) struct Expected<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// The events of the life: their numbers and bodies.
    pub(crate) events: &'a dyn Fn() -> Box<dyn Iterator<Item = (u64, Bytes)> + 'a>,
    pub(crate) log: &'a Log,
    /// Whether the state contains all events, even those that were never acknowledged.
    pub(crate) is_all: bool,
}

/// Fetches the state before anything is sent, so that a wrong URL fails early. Warns if the state is not empty.
pub(crate) async fn prepare(network: &Network, timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(network.clone(), timeout).keep_text();
    let empty = Snapshot::default();
    match fetch(&client, network, &empty).await? {
        // An application may leave out empty lists.
        Err(ComparisonError::NothingToCompare) => Ok(()),
        Err(error) => Err(failure(network, error)),
        Ok(comparison) if comparison.differences.is_empty() => Ok(()),
        Ok(_) => {
            complain(format!(
                "warning: the application at {} is not empty: everything in it will count as a difference",
                network.endpoint()
            ));
            Ok(())
        }
    }
}

/// Fetches the state until it is as expected or `settle` is over, and prints the result. If the state must contain all
/// events, the application is repairing itself, and may not be running yet.
pub(crate) async fn check(
    network: &Network,
    expected: &Expected<'_>,
    settle: Duration,
    timeout: Duration,
) -> Result<bool, Failure> {
    let end = Instant::now() + settle;
    let client = Client::new(network.clone(), timeout).keep_text();
    loop {
        let fetched = fetch(&client, network, expected.snapshot).await;
        let fetched = match fetched {
            Err(_) if expected.is_all && Instant::now() < end => {
                sleep(PAUSE).await;
                continue;
            }
            fetched => fetched?,
        };
        let comparison = fetched.map_err(|error| failure(network, error))?;
        if comparison.differences.is_empty() || Instant::now() >= end {
            report(&comparison, expected);
            return Ok(comparison.differences.is_empty());
        }
        sleep(PAUSE).await;
    }
}

async fn fetch(
    client: &Client,
    network: &Network,
    snapshot: &Snapshot,
) -> Result<Result<Comparison, ComparisonError>, Failure> {
    let answer = client.fetch().await.map_err(|error| failure(network, error))?;
    if !answer.status.is_success() {
        return Err(failure(network, format!("the response is {}", answer.status)));
    }
    Ok(snapshot.compare(&answer.text))
}

/// Nothing was compared, so this is neither a success nor a difference.
fn failure(network: &Network, what: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("can't check the state at {}: {what}", network.endpoint()))
}

fn report(comparison: &Comparison, expected: &Expected<'_>) {
    let snapshot = expected.snapshot;
    let compared: Vec<_> = comparison
        .compared
        .iter()
        .map(|section| format!("{section} {}", count(*section, snapshot)))
        .collect();
    let left_out: Vec<_> = comparison.left_out.iter().map(|section| section.name()).collect();
    let not_compared = match left_out.as_slice() {
        [] => String::new(),
        names => format!("; not compared: {}", names.join(", ")),
    };
    let differences = &comparison.differences;
    if differences.is_empty() {
        say(format!(
            "check         the state is as expected ({}){not_compared}",
            compared.join(", ")
        ));
        return;
    }
    say(format!(
        "check         {} DIFFERENCES ({}){not_compared}",
        differences.len(),
        compared.join(", ")
    ));
    say(
        "  below each difference: the deliveries that led to it, in the order in which they were sent, with their responses",
    );
    let lists = comparison.compared.iter().map(|&section| {
        let all = differences.iter().filter(|it| section_of(it) == Some(section));
        (section, all.collect::<Vec<_>>())
    });
    let lists: Vec<_> = lists.collect();
    let shown: Vec<_> = lists.iter().flat_map(|(_, all)| all.iter().copied().take(SHOWN)).collect();
    let mut stories = explain(expected, &shown).into_iter();
    for (section, all) in &lists {
        for difference in all.iter().take(SHOWN) {
            say(format!("  {difference}"));
            for line in stories.next().into_iter().flatten() {
                say(format!("      {line}"));
            }
        }
        if all.len() > SHOWN {
            say(format!("  {section}: {} more", all.len() - SHOWN));
        }
    }
}

fn section_of(difference: &Difference) -> Option<Section> {
    match difference {
        Difference::Field { section, .. }
        | Difference::Missing { section, .. }
        | Difference::Unexpected { section, .. } => Some(*section),
        _ => None,
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
