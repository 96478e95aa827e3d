//! Everything that belongs to a deleted directory is erased.

use std::time::Duration;

use tower_workos::{
    DirectoryEvent,
    testing::{SampleBuilder, sample},
};
use tower_workos_mirror::{Change, ChangeKind, MirrorPool};

use crate::{
    database::{Database, on_both},
    second,
};

pub(crate) const USERS: u32 = 603;

/// A directory of people whose data contains `marker`, all but two of them in the same group.
pub(crate) fn directory(id: &str, marker: &str) -> Vec<DirectoryEvent> {
    let named = |builder: SampleBuilder, user: &str| {
        builder
            .directory(id)
            .user(user)
            .user_data("first_name", format!("{marker} first"))
            .user_data("last_name", format!("{marker} last"))
            .user_data("name", format!("{marker} name"))
            .user_data("email", format!("{marker}@{user}.example"))
            .user_data("idp_id", format!("{marker}{user}"))
            .user_data("custom_attributes", serde_json::json!({"desk": format!("{marker} desk")}))
    };
    let mut events = Vec::new();
    for n in 0..USERS {
        let user = format!("{id}_user_{n}");
        events.push(named(sample::USER_CREATED.builder(), &user).at(second(1)).event());
        let joined = named(sample::GROUP_USER_ADDED.builder(), &user);
        let group = [0, 2, 1][usize::try_from(n.min(2)).unwrap()];
        let joined = joined.group(format!("{id}_group_{group}")).at(second(2));
        events.push(joined.event());
    }
    for n in 0..3 {
        let group = sample::GROUP_CREATED.builder().directory(id).group(format!("{id}_group_{n}"));
        events.push(group.data("name", format!("{marker} group")).at(second(1)).event());
    }
    events
}

fn deleted(id: &str) -> DirectoryEvent {
    sample::DIRECTORY_DELETED.builder().directory(id).at(second(100)).event()
}

/// The rows of all tables that contain a text in any column.
pub(crate) async fn rows_with(database: &Database, text: &str) -> u64 {
    let tables = if database.is_postgres() {
        "SELECT table_name::text FROM information_schema.tables \
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    };
    let mut rows = 0;
    let tables = database.texts(tables).await;
    assert!(tables.len() >= 8);
    for table in tables {
        let found = if database.is_postgres() {
            format!("{table} t WHERE t::text ILIKE '%{text}%'")
        } else {
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns = database.texts(&columns).await;
            let columns: Vec<_> =
                columns.iter().map(|it| format!("instr(lower(\"{it}\"), '{text}') > 0")).collect();
            format!("{table} WHERE {}", columns.join(" OR "))
        };
        rows += database.count(&found).await;
    }
    rows
}

#[tokio::test]
async fn nothing_personal_remains_of_a_deleted_directory() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        for (id, marker) in [("gone", "xanthippe"), ("kept", "kallisto")] {
            mirror.apply_all(&directory(id, marker)).await.unwrap();
        }
        assert!(rows_with(database, "xanthippe").await >= u64::from(USERS));
        let kept = rows_with(database, "kallisto").await;
        let changes = mirror.apply(&deleted("gone")).await.unwrap();
        assert!(changes.len() <= 2, "{changes:?}");

        let done = mirror.upkeep().await.unwrap();
        assert_eq!((done.erased_users, done.erased_groups), (u64::from(USERS), 3));
        assert_eq!(done.memberships, u64::from(USERS));
        assert_eq!(rows_with(database, "xanthippe").await, 0);
        assert_eq!(rows_with(database, "kallisto").await, kept);
        assert_eq!(database.count("workos_users").await, u64::from(USERS));
        assert_eq!(database.count("workos_memberships").await, u64::from(USERS));
        // The ids show which events are late, and which users a revocation affects.
        let ids = "workos_known_users WHERE directory_id = 'gone'";
        assert_eq!(database.count(ids).await, u64::from(USERS));
        assert_eq!(mirror.upkeep().await.unwrap(), Default::default());

        // Late events bring nothing back.
        let late = mirror.apply_all(&directory("gone", "xanthippe")).await.unwrap();
        assert_eq!(late, Vec::<Change>::new());
        assert_eq!(rows_with(database, "xanthippe").await, 0);
        assert_eq!(database.count("workos_memberships").await, u64::from(USERS));
    })
    .await;
}

#[tokio::test]
async fn memberships_of_deleted_users_and_groups_are_removed() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&directory("d", "kallisto")).await.unwrap();
        let user = sample::USER_DELETED.builder().directory("d").user("d_user_0").at(second(9));
        let group = sample::GROUP_DELETED.builder().directory("d").group("d_group_1").at(second(9));
        mirror.apply_all(&[user.event(), group.event()]).await.unwrap();
        let listed = database.count("workos_memberships").await;
        let done = mirror.upkeep().await.unwrap();
        assert_eq!(done.memberships, u64::from(USERS) - 1);
        assert_eq!((done.erased_users, done.erased_groups), (0, 0));
        assert_eq!(listed, 1);
        assert_eq!(database.count("workos_memberships").await, listed);
        assert_eq!(database.count("workos_mirror_member").await, listed);
        assert_eq!(mirror.upkeep().await.unwrap(), Default::default());

        // A late event about joining, of a user and a group that are gone.
        let joins = sample::GROUP_USER_ADDED.builder().directory("d").at(second(20));
        let late = [
            joins.clone().user("d_user_0").group("d_group_2").event(),
            joins.user("d_user_4").group("d_group_1").event(),
        ];
        // It changes the user, who still exists, but adds no membership.
        let changes = mirror.apply_all(&late).await.unwrap();
        assert_eq!(changes.iter().map(|it| it.kind).collect::<Vec<_>>(), [ChangeKind::UserUpdated]);
        assert_eq!(database.count("workos_memberships").await, listed);
    })
    .await;
}

#[tokio::test]
async fn replicas_share_the_work_while_others_write() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        for id in ["one", "two"] {
            mirror.apply_all(&directory(id, "xanthippe")).await.unwrap();
            mirror.apply(&deleted(id)).await.unwrap();
        }
        let (second, third) = (database.mirror().await, database.mirror().await);
        let writes = async {
            let events = directory("kept", "kallisto");
            for chunk in events.chunks(100) {
                mirror.apply_all(chunk).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let (one, two, ()) = tokio::join!(second.upkeep(), third.upkeep(), writes);
        let (one, two) = (one.unwrap(), two.unwrap());
        let users = u64::from(USERS);
        assert_eq!(one.erased_users + two.erased_users, 2 * users, "{one:?} {two:?}");
        assert_eq!(one.memberships + two.memberships, 2 * users);
        assert_eq!(rows_with(database, "xanthippe").await, 0);
        assert_eq!(database.count("workos_users").await, users);
        assert_eq!(database.count("workos_memberships").await, users);
    })
    .await;
}

/// SQLite keeps deleted contents in its file unless `secure_delete` overwrites them.
#[tokio::test]
async fn the_file_of_sqlite_keeps_no_deleted_data() {
    on_both(async |database| {
        let Database::Sqlite(folder) = database else { return };
        let mirror = database.mirror().await;
        mirror.apply_all(&directory("gone", "xanthippe")).await.unwrap();
        mirror.apply(&deleted("gone")).await.unwrap();
        mirror.upkeep().await.unwrap();
        let MirrorPool::Sqlite(pool) = mirror.pool() else { return };
        let traces = async || {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await.unwrap();
            let file = std::fs::read(folder.path().join("mirror.db")).unwrap();
            file.windows(9).filter(|it| it.eq_ignore_ascii_case(b"xanthippe")).count()
        };
        // Without `secure_delete`, there would be thousands. When SQLite splits a page, a copy may not be overwritten.
        let found = traces().await;
        assert!(found < 10, "{found} traces");
        sqlx::query("VACUUM").execute(pool).await.unwrap();
        assert_eq!(traces().await, 0);
    })
    .await;
}
