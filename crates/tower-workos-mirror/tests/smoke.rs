#![allow(missing_docs, clippy::unwrap_used)]
use dsync_cli::directory::{Deliveries, Life, Order, Plan, State};
use sqlx::Row as _;
use tower_workos::DirectoryEvent;
use tower_workos_mirror::Mirror;

fn deliveries() -> (Vec<DirectoryEvent>, dsync_cli::directory::Snapshot) {
    let plan = Plan::new(7).users(200).events(3000);
    let order =
        Order::new(7).reorder(50).duplicates("5%".parse().unwrap()).late("2%".parse().unwrap());
    let events: Vec<_> = Deliveries::new(Life::new(plan), order)
        .map(|it| DirectoryEvent::parse(it.event().body().clone()).unwrap())
        .collect();
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    (events, state.snapshot())
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("a.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mirror = Mirror::new(pool.clone());
    mirror.migrate().await.unwrap();
    mirror.migrate().await.unwrap();
    let (events, snapshot) = deliveries();
    let start = std::time::Instant::now();
    let mut n = 0;
    for chunk in events.chunks(256) {
        n += mirror.apply_all(chunk).await.unwrap().len();
    }
    println!("{} events, {n} changes, {:?}", events.len(), start.elapsed());
    for (view, expected) in [
        ("users", snapshot.users.len()),
        ("groups", snapshot.groups.len()),
        ("memberships", snapshot.memberships.len()),
        ("access", snapshot.access.len()),
        ("directories", snapshot.directories.len()),
    ] {
        let sql = format!("SELECT count(*) FROM workos_{view}");
        let count: i64 =
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(usize::try_from(count).unwrap(), expected, "{view}");
    }
    assert!(mirror.apply_all(&events).await.unwrap().is_empty());
    println!(
        "{:?}",
        sqlx::query_as::<_, (String, String, Option<String>, bool)>(
            "SELECT id, custom_attributes, updated_at, has_access FROM workos_users LIMIT 1"
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    );
}

#[tokio::test]
async fn postgres() {
    let admin = sqlx::PgPool::connect("postgres://postgres@127.0.0.1:5432/postgres").await.unwrap();
    sqlx::raw_sql("DROP SCHEMA IF EXISTS smoke CASCADE; CREATE SCHEMA smoke")
        .execute(&admin)
        .await
        .unwrap();
    let mirror = Mirror::builder(admin.clone()).schema("smoke").build().unwrap();
    mirror.migrate().await.unwrap();
    mirror.migrate().await.unwrap();
    let (events, snapshot) = deliveries();
    let start = std::time::Instant::now();
    let mut n = 0;
    for chunk in events.chunks(256) {
        n += mirror.apply_all(chunk).await.unwrap().len();
    }
    println!("{} events, {n} changes, {:?}", events.len(), start.elapsed());
    for (view, expected) in [
        ("users", snapshot.users.len()),
        ("groups", snapshot.groups.len()),
        ("memberships", snapshot.memberships.len()),
        ("access", snapshot.access.len()),
        ("directories", snapshot.directories.len()),
    ] {
        let sql = format!("SELECT count(*) FROM smoke.workos_{view}");
        let count: i64 =
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&admin).await.unwrap().get(0);
        assert_eq!(usize::try_from(count).unwrap(), expected, "{view}");
    }
    assert!(mirror.apply_all(&events).await.unwrap().is_empty());
}
