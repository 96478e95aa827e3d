//! What was absent for a long time counts as deleted.

use std::time::Duration;

use tower_workos::{Timestamp, testing::sample};
use tower_workos_mirror::{Change, Upkeep};

use crate::{
    database::{Database, on_both},
    second,
    sweep::{USERS, directory, rows_with},
};

const DAY: i64 = 86_400 * 1_000_000;

fn days_ago(days: i64) -> i64 {
    Timestamp::now().as_unix_millis() * 1000 - days * DAY
}

/// Makes rows absent, as a run of a reconciler does.
async fn absent(database: &Database, table: &str, condition: &str, days: i64) {
    let at = days_ago(days);
    let sql = format!("UPDATE workos_mirror_{table} SET absent_at = {at} WHERE {condition}");
    database.execute(&sql).await;
}

async fn deletions(database: &Database, table: &str) -> u64 {
    database.count(&format!("workos_mirror_{table} WHERE deleted_by = 'absent'")).await
}

#[tokio::test]
async fn absences_become_deletions_after_thirty_days() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&directory("d", "xanthippe")).await.unwrap();
        absent(database, "user", "id <> 'd_user_0'", 31).await;
        absent(database, "user", "id = 'd_user_1'", 29).await;
        absent(database, "group", "id = 'd_group_2'", 31).await;
        let (before, changes) =
            (database.count("workos_users").await, database.count("workos_mirror_change").await);
        let done = mirror.upkeep().await.unwrap();
        let expected = u64::from(USERS) - 2;
        // In several transactions. Each user is in one group, and the user 1 in the group 2.
        assert_eq!((done.absences, done.memberships), (expected + 1, expected + 1));
        assert_eq!(
            (deletions(database, "user").await, deletions(database, "group").await),
            (expected, 1)
        );
        let kept = rows_with(database, "xanthippe").await;
        assert_eq!(kept, 2, "the other users have contents");
        assert_eq!((before, database.count("workos_users").await), (1, 1));
        assert_eq!(database.count("workos_mirror_change").await, changes, "nothing is reported");
        assert_eq!(mirror.upkeep().await.unwrap(), Upkeep::default());

        let dated = "SELECT CAST(deleted_at AS text) FROM workos_mirror_user WHERE id = 'd_user_5'";
        let at: i64 = database.texts(dated).await[0].parse().unwrap();
        assert!((days_ago(31) - at).abs() < DAY / 10, "{at}");

        // Later evidence brings back what is absent, but nothing that is deleted.
        let now = Timestamp::now();
        let updated = |user: &str| sample::USER_UPDATED.builder().directory("d").user(user).at(now);
        let late = mirror.apply(&updated("d_user_5").event()).await.unwrap();
        assert_eq!(late, Vec::<Change>::new());
        assert!(!mirror.apply(&updated("d_user_1").event()).await.unwrap().is_empty());
        assert_eq!(database.count("workos_users").await, 2);
    })
    .await;
}

#[tokio::test]
async fn evidence_that_is_later_keeps_what_was_absent() {
    on_both(async |database| {
        let builder = database.builder(database.pool(4).await);
        let mirror = builder.absence_retention(Duration::ZERO).build().unwrap();
        mirror.apply_all(&directory("d", "xanthippe")).await.unwrap();
        // The user 0 was seen after the absence, and so were the groups.
        let millis = second(1).as_unix_millis();
        let seen = format!("UPDATE workos_mirror_user SET absent_at = {}", millis * 1000);
        database.execute(&seen).await;
        database.execute(&seen.replace("_user", "_group")).await;
        absent(database, "user", "id = 'd_user_7'", 0).await;
        let users = database.count("workos_users").await;
        assert_eq!(mirror.upkeep().await.unwrap().absences, 1);
        assert_eq!(deletions(database, "user").await, 1);
        assert_eq!(database.count("workos_users").await, users);

        // An event that is later than an absence removes the absence, so that its index stays small.
        absent(database, "user", "id = 'd_user_8'", 0).await;
        let later =
            Timestamp::from_unix_millis_saturating(Timestamp::now().as_unix_millis() + 1000);
        let event = sample::USER_UPDATED.builder().directory("d").user("d_user_8").at(later);
        mirror.apply(&event.event()).await.unwrap();
        assert_eq!(
            database.count("workos_mirror_user WHERE id = 'd_user_8' AND absent_at IS NULL").await,
            1
        );
        assert_eq!(mirror.upkeep().await.unwrap().absences, 0);
    })
    .await;
}

#[tokio::test]
async fn an_absent_directory_is_swept() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        for (id, marker) in [("gone", "xanthippe"), ("kept", "kallisto")] {
            let activated = sample::DIRECTORY_ACTIVATED.builder().directory(id).at(second(0));
            let mut events = directory(id, marker);
            events.push(activated.event());
            mirror.apply_all(&events).await.unwrap();
        }
        let kept = rows_with(database, "kallisto").await;
        absent(database, "directory", "id = 'gone'", 31).await;
        let done = mirror.upkeep().await.unwrap();
        let users = u64::from(USERS);
        assert_eq!((done.absences, done.erased_users, done.erased_groups), (1, users, 3));
        assert_eq!(done.memberships, users);
        assert_eq!(deletions(database, "directory").await, 1);
        assert_eq!(rows_with(database, "xanthippe").await, 0);
        assert_eq!(rows_with(database, "kallisto").await, kept);
        assert_eq!(mirror.upkeep().await.unwrap(), Upkeep::default());
    })
    .await;
}

/// The query that looks for work must not read the table.
#[tokio::test]
async fn an_index_finds_absences() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&directory("d", "xanthippe")).await.unwrap();
        for table in ["directory", "group", "user"] {
            let sql = format!(
                "SELECT absent_at FROM workos_mirror_{table} WHERE absent_at IS NOT NULL AND deleted_at IS NULL \
                 AND coalesce(evidence_at < absent_at, true) ORDER BY absent_at LIMIT 1"
            );
            let plan = database.plan(&sql).await;
            assert!(plan.contains(&format!("workos_mirror_{table}_absent")), "{plan}");
        }
    })
    .await;
}
