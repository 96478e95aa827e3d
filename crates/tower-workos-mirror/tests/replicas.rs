//! Four processes of the example `app` on one Postgres, and a Postgres that is away for a while.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod databases;
mod folded;
#[allow(dead_code, unreachable_pub, reason = "shared with other test programs")]
#[path = "../../../tests/services/proxy.rs"]
mod proxy;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use app::{Sender, check, life, postgres_url, report, start};
use bytes::Bytes;
use databases::{Database, on_postgres, postgres_options};
use proxy::Proxy;
use tokio::{sync::Semaphore, task::JoinSet};

const REPLICAS: usize = 4;
const EVENTS: usize = 1000;
/// Events under way at the same time.
const CONCURRENCY: usize = 64;

fn random(below: usize) -> usize {
    usize::try_from(getrandom::u32().unwrap()).unwrap() % below
}

/// Delivers each of these to one of the addresses, and 30 % of them to two of them at once.
async fn deliver_all(sender: &Arc<Sender>, addresses: &Arc<Vec<String>>, bodies: Vec<Bytes>) {
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut senders = JoinSet::new();
    for body in bodies {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let (sender, addresses) = (Arc::clone(sender), Arc::clone(addresses));
        senders.spawn(async move {
            let first = random(addresses.len());
            let once = |replica: usize, body| {
                let address = addresses.get(replica % addresses.len()).unwrap();
                sender.deliver(|| address.clone(), body)
            };
            if addresses.len() > 1 && random(100) < 30 {
                let second = first + 1 + random(addresses.len() - 1);
                tokio::join!(once(first, body.clone()), once(second, body));
            } else {
                once(first, body).await;
            }
            drop(permit);
        });
    }
    senders.join_all().await;
}

/// A database of its own, so that its statistics are, too.
async fn four_replicas(isolation: &str) {
    on_postgres(async |admin| {
        let name = format!("{}_replicas", admin.schema());
        admin.run(&format!("CREATE DATABASE {name}")).await;
        let isolated = format!("default_transaction_isolation = '{isolation}'");
        admin.run(&format!("ALTER DATABASE {name} SET {isolated}")).await;
        let url = postgres_url(&postgres_options().database(&name), "public");
        let sender = Arc::new(Sender::new());
        let (bodies, expected) = life(getrandom::u32().unwrap().into(), EVENTS);
        // First, all of them create the tables at once. After that, a start always does the same.
        let mut statistics = Vec::new();
        for deliveries in [None, None, Some(bodies)] {
            let mut starting = JoinSet::new();
            for _ in 0..REPLICAS {
                let url = url.clone();
                starting.spawn(async move { start(&url) });
            }
            let replicas = starting.join_all().await;
            let addresses = Arc::new(replicas.iter().map(|it| it.address.clone()).collect());
            deliver_all(&sender, &addresses, deliveries.unwrap_or_default()).await;
            for replica in replicas {
                let (code, _, err) = replica.interrupt();
                // `None`: a signal ended it, because it had not begun to listen for one.
                assert!(matches!(code, Some(0) | None), "{code:?}");
                assert_eq!(err, "");
            }
            statistics.push(deadlocks_and_rollbacks(admin, &name).await);
        }
        check(&url, &expected).await;
        admin.run(&format!("DROP DATABASE {name}")).await;
        let log = sender.log();
        report(&format!("{REPLICAS} replicas, {isolation}: {statistics:?}, {log:?}"));
        assert_eq!(log.lost, 0);
        assert!(log.statuses.keys().eq([&200]), "{log:?}");
        let [first, second, third] = statistics.try_into().unwrap();
        // A batch that failed would be applied again, one by one, and no sender would notice.
        assert_eq!(third.0, 0, "deadlocks");
        // But the upkeep of each of the four may be interrupted at the end.
        let failed = (third.1 - second.1) - (second.1 - first.1);
        assert!((0..=4).contains(&failed), "{failed} transactions failed");
    })
    .await;
}

/// The numbers of deadlocks and of transactions that were rolled back so far, which a connection reports when it ends.
async fn deadlocks_and_rollbacks(admin: &Database, name: &str) -> (i64, i64) {
    let of_database = format!("WHERE datname = '{name}'");
    let begin = Instant::now();
    while admin.count(&format!("pg_stat_activity {of_database}")).await > 0 {
        assert!(begin.elapsed() < LIMIT, "the connections are still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let columns = ["deadlocks", "xact_rollback"];
    let rows = admin.texts(&columns, &format!("pg_stat_database {of_database}")).await;
    let mut numbers = rows.into_iter().flatten().flatten().map(|it| it.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_one_database() {
    four_replicas("read committed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_serializable_database() {
    four_replicas("serializable").await;
}

/// How long the database is away.
const OUTAGE: Duration = Duration::from_secs(10);
/// The mirror's default time-out, and a little for the processors that the tests share.
const LIMIT: Duration = Duration::from_millis(4000 + 1000);

/// Events arrive before, while and after `away(true)` … `away(false)`.
async fn outage(name: &str, away: impl Fn(&Proxy, bool)) {
    on_postgres(async |database| {
        let options = postgres_options();
        let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
        let schema = database.schema();
        let direct = postgres_url(&options, schema);
        let options = options.host("127.0.0.1").port(proxy.address.port());
        let app = start(&postgres_url(&options, schema));
        let addresses = Arc::new(vec![app.address.clone()]);
        let (mut bodies, expected) = life(getrandom::u32().unwrap().into(), 600);
        let later = bodies.split_off(100);

        let sender = Arc::new(Sender::new());
        deliver_all(&sender, &addresses, bodies).await;
        assert!(sender.log().statuses.keys().eq([&200]));
        let deliveries = {
            let (sender, addresses) = (Arc::clone(&sender), Arc::clone(&addresses));
            tokio::spawn(async move { deliver_all(&sender, &addresses, later).await })
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        away(&proxy, true);
        tokio::time::sleep(OUTAGE).await;
        assert!(!deliveries.is_finished());
        away(&proxy, false);
        let back = Instant::now();
        deliveries.await.unwrap();
        let log = sender.log();
        report(&format!("{name}: all arrived {:?} after the outage; {log:?}", back.elapsed()));
        assert!(back.elapsed() < LIMIT, "{:?}", back.elapsed());
        assert!(log.slowest < LIMIT, "{log:?}");
        assert!(log.statuses.contains_key(&503), "{log:?}");
        assert_eq!(log.lost, 0);
        check(&direct, &expected).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_connections() {
    outage("refused", Proxy::refuse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_silent() {
    outage("silent", Proxy::freeze).await;
}
