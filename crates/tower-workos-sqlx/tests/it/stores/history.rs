//! Random histories of concurrent claims, completions, releases, transactions and purges, checked from the outside.
//!
//! To run them for longer: `HISTORY_SECONDS=60 cargo test -p tower-workos-sqlx --all-features --test it histor`.

use std::{
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, ClaimToken, Completion, DedupeKey},
};
use tower_workos_sqlx::{PostgresStore, SqlDatabase, SqlStore};

use super::{LONG, key};
use crate::{
    databases::{self, Schema},
    services,
};

/// An acquired claim.
#[derive(Clone, Debug)]
struct Holding {
    key: u64,
    /// Between `from` and `to`, this holder must be the only one: from the result of the claim until the shortest possible
    /// lease ended or the holder began to release it. `None` means forever: it was completed.
    from: Instant,
    to: Option<Instant>,
}

/// The claims and completions of all keys.
#[derive(Debug, Default)]
struct Log {
    holdings: Vec<Holding>,
    /// The key of a successful completion, and when it started and returned.
    completions: Vec<(u64, Instant, Instant)>,
    /// The key of a claim, when it started and returned, and whether the result was `Done`.
    claims: Vec<(u64, Instant, Instant, bool)>,
}

struct Random(u64);

impl Random {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        Self(u64::from_le_bytes(seed) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    async fn sleep(&mut self, most: u64) {
        let micros = self.below(most * 1000);
        if micros > most * 100 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}

struct Worker<DB: SqlDatabase> {
    store: SqlStore<DB>,
    prefix: String,
    random: Random,
    log: Arc<Mutex<Log>>,
    /// Most keys up to this one are done.
    current: Arc<AtomicU64>,
}

impl<DB: SqlDatabase> Worker<DB> {
    fn key(&self, number: u64) -> DedupeKey {
        key(&format!("{}_{number}", self.prefix))
    }

    async fn run(mut self, end: Instant) {
        while Instant::now() < end {
            let newest = self.current.load(Ordering::SeqCst);
            let number = newest.saturating_sub(self.random.below(3));
            match self.random.below(10) {
                0 => drop(self.store.purge().await.unwrap()),
                1 | 2 => self.in_a_transaction(number).await,
                _ => self.alone(number).await,
            }
        }
    }

    fn answered<T>(&self, number: u64, start: Instant, claim: &Claim<T>) {
        let done = matches!(claim, Claim::Done);
        if done {
            self.current.fetch_max(number + 1, Ordering::SeqCst);
        }
        self.log.lock().unwrap().claims.push((number, start, Instant::now(), done));
    }

    fn held(&self, key: u64, from: Instant, to: Option<Instant>) {
        self.log.lock().unwrap().holdings.push(Holding { key, from, to });
    }

    async fn alone(&mut self, number: u64) {
        let key = self.key(number);
        let lease = Duration::from_millis(5 + self.random.below(40));
        let start = Instant::now();
        let claim = self.store.claim(&key, lease).await.unwrap();
        self.answered(number, start, &claim);
        let Claim::Acquired(token) = claim else { return };
        let (from, expired) = (Instant::now(), start + lease);
        self.random.sleep(40).await;
        match self.random.below(10) {
            0 | 1 => {
                let completing = Instant::now();
                let completion = self.store.complete(&key, &token, LONG).await.unwrap();
                self.completed(number, from, expired, lease, completing, completion);
            }
            2..=4 => {
                self.held(number, from, Some(expired.min(Instant::now())));
                self.store.release(&key, &token).await.unwrap();
            }
            5 | 6 => {
                let mut tx = self.store.begin().await.unwrap();
                let completing = Instant::now();
                let completion = SqlStore::<DB>::complete_in(&mut tx, &key, &token, LONG).await;
                if completion.unwrap() == Completion::Stale {
                    return self.held(number, from, Some(expired));
                }
                self.finish(number, from, lease, completing, tx, &key, token).await;
            }
            // A crash.
            _ => self.held(number, from, Some(expired)),
        }
    }

    async fn in_a_transaction(&mut self, number: u64) {
        let key = self.key(number);
        let lease = Duration::from_millis(5 + self.random.below(40));
        let mut tx = self.store.begin().await.unwrap();
        let start = Instant::now();
        let claim = SqlStore::<DB>::claim_in(&mut tx, &key, lease).await.unwrap();
        self.answered(number, start, &claim);
        let Claim::Acquired(token) = claim else { return };
        let from = Instant::now();
        self.random.sleep(20).await;
        let completing = Instant::now();
        let completion = SqlStore::<DB>::complete_in(&mut tx, &key, &token, LONG).await.unwrap();
        if completion == Completion::Stale {
            return self.held(number, from, Some(completing));
        }
        self.finish(number, from, lease, completing, tx, &key, token).await;
    }

    /// Commits or rolls back a completion.
    #[expect(clippy::too_many_arguments, reason = "a test's helper")]
    async fn finish(
        &mut self,
        number: u64,
        from: Instant,
        lease: Duration,
        completing: Instant,
        tx: sqlx::Transaction<'static, DB>,
        key: &DedupeKey,
        token: ClaimToken,
    ) {
        self.random.sleep(20).await;
        if self.random.below(3) == 0 {
            tx.commit().await.unwrap();
            self.completed(number, from, from, lease, completing, Completion::Completed);
            let confirmed = self.store.confirm(key, &token).await.unwrap();
            assert_eq!(confirmed, Completion::Completed);
        } else {
            self.held(number, from, Some(Instant::now()));
            tx.rollback().await.unwrap();
            assert_eq!(self.store.confirm(key, &token).await.unwrap(), Completion::Stale);
        }
    }

    fn completed(
        &self,
        number: u64,
        from: Instant,
        expired: Instant,
        lease: Duration,
        start: Instant,
        completion: Completion,
    ) {
        if completion == Completion::Stale {
            return self.held(number, from, Some(expired));
        }
        // The resolution of the databases' clocks is a millisecond.
        let latest = from + lease + Duration::from_millis(5);
        assert!(start <= latest, "completed {:?} after the lease", start - latest);
        self.held(number, from, None);
        self.log.lock().unwrap().completions.push((number, start, Instant::now()));
    }
}

fn judge(log: &Log) -> String {
    let mut holdings = log.holdings.clone();
    holdings.sort_by_key(|holding| (holding.key, holding.from));
    for (index, first) in holdings.iter().enumerate() {
        for second in holdings[index + 1..].iter().take_while(|second| second.key == first.key) {
            let apart = first.to.is_some_and(|to| to <= second.from)
                || second.to.is_some_and(|to| to <= second.from);
            assert!(apart, "two holders at once: {first:?}, {second:?}");
        }
    }
    for (key, start, answered, done) in &log.claims {
        let completions = || log.completions.iter().filter(|(completed, ..)| completed == key);
        if *done {
            let begun = completions().any(|(_, begun, _)| begun <= answered);
            assert!(begun, "done without a completion: {key}");
        } else {
            let ended = completions().any(|(.., ended)| ended < start);
            assert!(!ended, "completed but not done: {key}");
        }
    }
    let (claims, holdings, done) = (log.claims.len(), holdings.len(), log.completions.len());
    format!(
        "{claims} claims, {holdings} acquired, {done} events completed: no two holders at once, no false answer"
    )
}

async fn history<DB: SqlDatabase>(name: &str, stores: Vec<SqlStore<DB>>) {
    let seconds = env::var("HISTORY_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let (log, current) = (Arc::default(), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    let prefix = services::unique();
    for store in stores.iter().cycle().take(12) {
        let worker = Worker {
            store: store.clone(),
            prefix: prefix.clone(),
            random: Random::new(),
            log: Arc::clone(&log),
            current: Arc::clone(&current),
        };
        workers.spawn(worker.run(end));
    }
    workers.join_all().await;
    let log: &Mutex<Log> = &log;
    services::report(format!("{name}: {}", judge(&log.lock().unwrap())));
    // Keys that are not done become free.
    tokio::time::sleep(Duration::from_millis(60)).await;
    for number in 0..=current.load(Ordering::SeqCst) {
        let claim = stores[0].claim(&key(&format!("{prefix}_{number}")), LONG).await.unwrap();
        assert!(!matches!(claim, Claim::InFlight { .. }), "{name}: {number} is not free");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_over_postgres() {
    let Some(schema) = Schema::create().await else { return };
    let first = schema.store().await;
    let second = PostgresStore::new(schema.pool().await);
    history("Postgres", vec![first, second]).await;
    let serializable = schema.pool_with(8, ("default_transaction_isolation", "serializable")).await;
    history("Postgres, serializable", vec![PostgresStore::new(serializable)]).await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let stores = vec![databases::sqlite_store(&file).await, databases::sqlite_store(&file).await];
    history("SQLite", stores).await;
}
