//! Any permutation and repetition of events, from any number of concurrent writers, gives the state of
//! `dsync_cli::directory::State`. `PROPTEST_CASES` scales the number of cases.

use std::sync::Arc;

use dsync_cli::directory::{Deliveries, Life, Order, Plan};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Runtime, task::JoinSet};
use tower_workos::DirectoryEvent;
use tower_workos_mirror::{Change, Mirror, MirrorPool};

use crate::{
    databases::Database,
    history::history,
    shown::{check, state},
};

/// How a writer applies some events.
#[derive(Clone, Copy, Debug)]
enum Way {
    OneByOne,
    Together,
    InTransaction,
    /// In a transaction that is rolled back, and again in one that is committed.
    Twice,
}

/// The next events belong to this writer, which applies this many in this way.
type Step = (usize, usize, Way);

const WRITERS: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let way = prop::sample::select(vec![
        Way::OneByOne,
        Way::Together,
        Way::Together,
        Way::InTransaction,
        Way::Twice,
    ]);
    prop::collection::vec((0..WRITERS, 1..9_usize, way), 1..9)
}

async fn in_transaction(mirror: &Mirror, events: &[DirectoryEvent], commit: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    macro_rules! apply {
        ($transaction:expr) => {{
            let mut transaction = $transaction.await.unwrap();
            for event in events {
                changes.extend(mirror.apply_in(&mut transaction, event).await.unwrap());
            }
            if commit {
                transaction.commit().await.unwrap();
                changes
            } else {
                transaction.rollback().await.unwrap();
                Vec::new()
            }
        }};
    }
    match mirror.pool() {
        MirrorPool::Postgres(pool) => apply!(pool.begin()),
        MirrorPool::Sqlite(pool) => apply!(pool.begin_with("BEGIN IMMEDIATE")),
        _ => panic!("another database"),
    }
}

async fn write(mirror: &Mirror, events: &[DirectoryEvent], way: Way) -> Vec<Change> {
    match way {
        Way::OneByOne => {
            let mut changes = Vec::new();
            for event in events {
                changes.extend(mirror.apply(event).await.unwrap());
            }
            changes
        }
        Way::Together => mirror.apply_all(events).await.unwrap(),
        Way::InTransaction => in_transaction(mirror, events, true).await,
        Way::Twice => {
            in_transaction(mirror, events, false).await;
            in_transaction(mirror, events, true).await
        }
    }
}

/// Applies the deliveries with concurrent writers, and returns the changes.
async fn deliver(mirror: &Mirror, deliveries: Vec<DirectoryEvent>, steps: &[Step]) -> Vec<Change> {
    let mut parts: [Vec<(Vec<DirectoryEvent>, Way)>; WRITERS] = Default::default();
    let mut rest = &*deliveries;
    for (writer, size, way) in steps.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (events, others) = rest.split_at(*size.min(&rest.len()));
        parts.get_mut(*writer).unwrap().push((events.to_vec(), *way));
        rest = others;
    }
    let mut writers = JoinSet::new();
    for part in parts {
        let mirror = mirror.clone();
        writers.spawn(async move {
            let mut changes = Vec::new();
            for (events, way) in part {
                changes.extend(write(&mirror, &events, way).await);
            }
            changes
        });
    }
    writers.join_all().await.concat()
}

/// The events in random order, some of them repeatedly.
fn deliveries(
    events: impl Strategy<Value = Vec<DirectoryEvent>>,
) -> impl Strategy<Value = Vec<DirectoryEvent>> {
    (events, prop::collection::vec(any::<prop::sample::Index>(), 0..12)).prop_flat_map(
        |(events, repeated)| {
            let repeated = repeated.iter().filter(|_| !events.is_empty());
            let repeated: Vec<_> = repeated.map(|it| it.get(&events).clone()).collect();
            Just([events, repeated].concat()).prop_shuffle()
        },
    )
}

/// The deliveries of a simulated life, out of order.
fn life() -> impl Strategy<Value = Vec<DirectoryEvent>> {
    any::<u64>().prop_map(|seed| {
        let plan = Plan::new(seed).directories(3).users(20).groups(5).events(150);
        let order = Order::new(seed).reorder(50).late("2%".parse().unwrap());
        Deliveries::new(Life::new(plan), order)
            .map(|it| DirectoryEvent::parse(it.event().body().clone()).unwrap())
            .collect()
    })
}

fn random(contradict: bool) -> impl Strategy<Value = Vec<DirectoryEvent>> {
    history(contradict, 0..40)
}

/// Runs this many cases of 256.
fn run(
    database: impl AsyncFn() -> Option<Database>,
    cases: u32,
    contradict: bool,
    events: impl Strategy<Value = Vec<DirectoryEvent>>,
) {
    let runtime = Runtime::new().unwrap();
    let Some(database) = runtime.block_on(database()) else { return };
    let database = Arc::new(database);
    let mirror = runtime.block_on(database.mirror());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = (config.cases * cases / 256).max(1);
    let mut runner = TestRunner::new(ProptestConfig { cases, max_shrink_iters: 200, ..config });
    let result = runner.run(&(deliveries(events), steps()), |(deliveries, steps)| {
        runtime.block_on(async {
            database.empty().await;
            let snapshot = state(&deliveries);
            let changes = deliver(&mirror, deliveries.clone(), &steps).await;
            check(&database, &snapshot, &changes, contradict).await;
            // Every event has been applied already.
            assert_eq!(mirror.apply_all(&deliveries).await.unwrap(), []);
        });
        Ok(())
    });
    drop(mirror);
    runtime.block_on(Arc::into_inner(database).unwrap().drop());
    if let Err(error) = result {
        panic!("{error}");
    }
}

async fn sqlite() -> Option<Database> {
    Some(Database::sqlite().await)
}

#[test]
fn a_life_in_any_order_on_postgres() {
    run(Database::postgres, 15, false, life());
}

#[test]
fn a_life_in_any_order_on_sqlite() {
    run(sqlite, 20, false, life());
}

#[test]
fn random_histories_on_postgres() {
    run(Database::postgres, 80, false, random(false));
}

#[test]
fn random_histories_on_sqlite() {
    run(sqlite, 120, false, random(false));
}

#[test]
fn random_histories_with_contradictions_on_postgres() {
    run(Database::postgres, 40, true, random(true));
}

#[test]
fn random_histories_with_contradictions_on_sqlite() {
    run(sqlite, 60, true, random(true));
}
