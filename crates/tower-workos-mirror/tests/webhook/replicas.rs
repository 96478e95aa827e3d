//! Several mirrors of one database.

use bytes::Bytes;
use dsync_cli::directory::{Deliveries, Life, Order, Plan, Snapshot, State};
use http::StatusCode;
use sqlx::{Row as _, postgres::PgPoolOptions};
use tokio::task::JoinSet;
use tower_workos::DirectoryEvent;
use tower_workos_mirror::{Mirror, MirrorPool, Webhook};

use crate::{
    database::Database,
    requests::{send_all, webhook},
};

fn deliveries(seed: u64) -> (Vec<Bytes>, Snapshot) {
    let plan = Plan::new(seed).users(60).events(1200);
    let order = Order::new(seed).reorder(50).duplicates("5%".parse().unwrap());
    let bodies: Vec<_> = Deliveries::new(Life::new(plan), order)
        .map(|delivery| delivery.event().body().clone())
        .collect();
    let mut state = State::default();
    for body in &bodies {
        state.apply(&DirectoryEvent::parse(body.clone()).unwrap());
    }
    (bodies, state.snapshot())
}

/// All replicas receive all deliveries, each starting at a different one.
async fn deliver(replicas: Vec<Webhook>, bodies: &[Bytes]) {
    let mut senders = JoinSet::new();
    let count = replicas.len();
    for (index, replica) in replicas.into_iter().enumerate() {
        let mut bodies = bodies.to_vec();
        let middle = bodies.len() * index / count;
        bodies.rotate_left(middle);
        senders.spawn(async move {
            for chunk in bodies.chunks(64) {
                for response in send_all(&replica, chunk.to_vec()).await {
                    assert_eq!(response.status(), StatusCode::OK);
                }
            }
        });
    }
    senders.join_all().await;
}

async fn check(database: &Database, snapshot: &Snapshot) {
    for (view, expected) in [
        ("users", snapshot.users.len()),
        ("groups", snapshot.groups.len()),
        ("memberships", snapshot.memberships.len()),
        ("access", snapshot.access.len()),
        ("directories", snapshot.directories.len()),
    ] {
        let count = database.int(&format!("SELECT count(*) FROM workos_{view}")).await;
        assert_eq!(usize::try_from(count).unwrap(), expected, "{view}");
    }
    // No change is reported twice.
    let repeated = "SELECT count(*) FROM (SELECT 1 FROM workos_mirror_change \
                    WHERE kind IN ('user_created', 'user_deleted', 'group_created', 'directory_created') \
                    GROUP BY kind, user_id, group_id, directory_id HAVING count(*) > 1) AS repeated";
    assert_eq!(database.int(repeated).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas() {
    for database in Database::all().await {
        database.migrate().await;
        let (bodies, snapshot) = deliveries(11);
        let mut replicas = Vec::new();
        for _ in 0..4 {
            replicas.push(webhook(&Mirror::new(database.pool().await)));
        }
        deliver(replicas, &bodies).await;
        check(&database, &snapshot).await;
        database.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_of_a_serializable_database() {
    let Some(database) = Database::postgres().await else { return };
    database.migrate().await;
    let (bodies, snapshot) = deliveries(12);
    let mut replicas = Vec::new();
    for _ in 0..4 {
        let serializable = [("default_transaction_isolation", "serializable")];
        let options = database.schema().options(&serializable);
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
        let isolation = sqlx::query("SHOW transaction_isolation").fetch_one(&pool).await.unwrap();
        assert_eq!(isolation.get::<String, _>(0), "serializable");
        replicas.push(webhook(&Mirror::new(MirrorPool::from(pool))));
    }
    deliver(replicas, &bodies).await;
    check(&database, &snapshot).await;
    database.drop().await;
}
