//! Runs the example `app` as a process, delivers events to it, and checks the result in its database.
#![allow(dead_code, reason = "each test program uses a part")]

#[path = "../../../../tests/examples/driver.rs"]
pub(crate) mod driver;

use std::{
    collections::BTreeMap,
    env,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dsync_cli::directory::{Deliveries, Life, Order, Plan, Snapshot, State};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, postgres::PgConnectOptions};
use tower_workos::{DirectoryEvent, WebhookSecret, testing::Signer};
use tower_workos_mirror::{Mirror, MirrorPool};

use self::driver::Example;
use crate::{
    databases::{Database, postgres_options},
    folded::{Folded, VIEWS},
};

/// The package that contains the example.
const PACKAGE: &str = env!("CARGO_PKG_NAME");
pub(crate) const SECRET: &str = "whsec_of_the_processes";
/// More than any response may take.
const SILENCE: Duration = Duration::from_secs(30);
/// Between two deliveries of the same event.
const PAUSE: Duration = Duration::from_millis(50);

/// A number from the environment.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// The example's `DATABASE_URL`.
pub(crate) fn url(database: &Database) -> String {
    match database {
        Database::Postgres { schema, .. } => postgres_url(&postgres_options(), schema),
        Database::Sqlite { folder, .. } => {
            format!("sqlite:{}", folder.path().join("mirror.db").display())
        }
    }
}

pub(crate) fn postgres_url(options: &PgConnectOptions, schema: &str) -> String {
    let mut url = options.to_url_lossy();
    url.query_pairs_mut().append_pair("options[search_path]", schema);
    url.into()
}

/// Starts the example on a free port.
pub(crate) fn start(url: &str) -> Example {
    start_with(url, &[])
}

/// Starts the example on a free port, with more settings.
pub(crate) fn start_with(url: &str, settings: &[(&str, &str)]) -> Example {
    let settings: Vec<_> = settings.iter().copied().chain([("DATABASE_URL", url)]).collect();
    tokio::task::block_in_place(|| Example::start_with("app", Some(SECRET), &settings))
}

/// The body of a response with 200.
pub(crate) async fn get(url: &str) -> Option<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = tokio::time::timeout(SILENCE, client.get(url.parse().unwrap())).await;
    let response = response.expect("a response").ok()?;
    let is_ok = response.status().is_success();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    is_ok.then_some(body)
}

/// The deliveries of a life in disorder, and the state after it.
pub(crate) fn life(seed: u64, events: usize) -> (Vec<Bytes>, Snapshot) {
    let plan = Plan::new(seed).directories(4).users(60).events(events.try_into().unwrap());
    let order = Order::new(seed).reorder(50);
    let order = order.duplicates("10%".parse().unwrap()).late("2%".parse().unwrap());
    let bodies: Vec<_> =
        Deliveries::new(Life::new(plan), order).map(|it| it.event().body().clone()).collect();
    let mut state = State::default();
    for body in &bodies {
        state.apply(&DirectoryEvent::parse(body.clone()).unwrap());
    }
    (bodies, state.snapshot())
}

/// Sends like WorkOS.
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    signer: Signer,
    log: Mutex<Log>,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

/// What the responses were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Deliveries without a response, because there was no server, or not any more.
    pub(crate) lost: usize,
    /// The longest time until a response.
    pub(crate) slowest: Duration,
}

impl Sender {
    pub(crate) fn new() -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
        Self { client, signer, log: Mutex::default() }
    }

    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends this body until it is acknowledged with 200. `address` is asked each time.
    pub(crate) async fn deliver(&self, address: impl Fn() -> String, body: Bytes) {
        while !self.attempt(&address(), body.clone()).await {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&self, address: &str, body: Bytes) -> bool {
        let delivery = self.signer.sign(body);
        let request = delivery.into_request(format!("{address}/webhooks/workos")).unwrap();
        let start = Instant::now();
        let response = tokio::time::timeout(SILENCE, self.client.request(request)).await;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(response) = response.expect("a response") else {
            log.lost += 1;
            return false;
        };
        log.slowest = log.slowest.max(start.elapsed());
        let status = response.status().as_u16();
        *log.statuses.entry(status).or_default() += 1;
        assert!(matches!(status, 200 | 503), "{status}");
        status == 200
    }
}

/// The state is the expected one, and the feed tells how it came about, without a repetition.
pub(crate) async fn check(url: &str, expected: &Snapshot) {
    let mirror = Mirror::connect(url).await.unwrap();
    let state = serde_json::to_vec(&mirror.state().await.unwrap()).unwrap();
    let comparison = expected.compare(&state).unwrap();
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.left_out, []);
    let (mut folded, mut after) = (Folded::default(), 0);
    loop {
        let page = mirror.changes_page(after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        page.iter().for_each(|change| folded.apply(change));
    }
    for (view, (key, name)) in folded.views().into_iter().zip(VIEWS) {
        let mut rows = texts(mirror.pool(), &format!("SELECT {key} FROM {name}")).await;
        rows.sort();
        assert_eq!(view, rows, "{name}");
    }
    assert_eq!(mirror.dead_letters(None, 1).await.unwrap().len(), 0);
    close(mirror).await;
}

/// The texts of a query's only column.
pub(crate) async fn texts(pool: &MirrorPool, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    match pool {
        MirrorPool::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        MirrorPool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        _ => unreachable!(),
    }
}

pub(crate) async fn close(mirror: Mirror) {
    match mirror.pool() {
        MirrorPool::Postgres(pool) => pool.close().await,
        MirrorPool::Sqlite(pool) => pool.close().await,
        _ => unreachable!(),
    }
}

/// Prints a line that the test runner does not hide.
pub(crate) fn report(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
