//! Creating the tables.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tokio::{task::JoinSet, time::sleep};
use tower_workos_mirror::{Mirror, MirrorErrorKind};

use crate::{
    databases::{Database, Texts, on_both, on_postgres, on_sqlite, postgres_options},
    event, user,
};

/// Everything that a migration creates.
pub(crate) async fn schema(database: &Database) -> Vec<Texts> {
    if !database.is_postgres() {
        let sql = "replace(sql, '\n', ' ')";
        let from = "sqlite_master WHERE name LIKE '%mirror%' OR type = 'view'";
        return database.texts(&["type", "name", sql], from).await;
    }
    let columns = ["table_name", "column_name", "data_type", "is_nullable", "column_default"];
    let columns = [&columns[..], &["identity_generation"]].concat();
    let from = "information_schema.columns WHERE table_schema = current_schema()";
    let mut schema = database.texts(&columns, from).await;
    let name = format!("'{}.'", database.schema());
    let cut = |column: &str| format!("replace({column}, {name}, '')");
    let (index, view) = (cut("indexdef"), cut("definition"));
    let from = "pg_indexes WHERE schemaname = current_schema()";
    schema.extend(database.texts(&[&index], from).await);
    let from = "pg_views WHERE schemaname = current_schema()";
    schema.extend(database.texts(&["viewname", &view], from).await);
    schema
}

async fn versions(database: &Database) -> Vec<String> {
    database.column("version", "workos_mirror_migration").await
}

/// The numbers of the versions that this crate knows.
fn all_versions(mirror: &Mirror) -> Vec<String> {
    (1..=mirror.migrations().len()).map(|version| version.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_replicas_migrate_at_once() {
    on_both(async |database| {
        let mut replicas = JoinSet::new();
        for _ in 0..8 {
            let mirror = database.builder().build().unwrap();
            replicas
                .spawn(async move { mirror.migrate().await.map_err(|error| format!("{error:?}")) });
        }
        while let Some(done) = replicas.join_next().await {
            done.unwrap().unwrap();
        }
        let mirror = database.mirror().await;
        assert_eq!(versions(database).await, all_versions(&mirror));
    })
    .await;
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let before = schema(database).await;
        mirror.apply(&event("1", "user.created", 1, &user("u", "active", 1))).await.unwrap();
        mirror.migrate().await.unwrap();
        database.mirror().await;
        assert_eq!(schema(database).await, before);
        assert_eq!(database.count("workos_users").await, 1);
    })
    .await;
}

/// A replica of the previous version starts during a rolling deploy.
#[tokio::test]
async fn a_later_version_is_left_alone() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        database
            .run("INSERT INTO workos_mirror_migration (version, applied_at) VALUES (999, 0)")
            .await;
        let before = schema(database).await;
        mirror.migrate().await.unwrap();
        assert_eq!(schema(database).await, before);
        mirror.apply(&event("1", "user.created", 1, &user("u", "active", 1))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_scripts_give_the_same_tables() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let expected = schema(database).await;
        let other = if database.is_postgres() {
            Database::postgres().await.unwrap()
        } else {
            Database::sqlite().await
        };
        let by_hand = other.builder().build().unwrap();
        for script in by_hand.migrations() {
            other.run(&format!("BEGIN; {script} COMMIT;")).await;
        }
        assert_eq!(schema(&other).await, expected);
        assert_eq!(versions(&other).await, all_versions(&mirror));
        by_hand.migrate().await.unwrap();
        by_hand.apply(&event("1", "user.created", 1, &user("u", "active", 1))).await.unwrap();
        assert_eq!(schema(&other).await, expected);
        other.drop().await;
    })
    .await;
}

/// The other transaction creates one of the tables, so that the migration waits in the middle of its script.
#[tokio::test]
async fn a_migration_waits_for_a_lock_in_postgres_but_not_forever() {
    on_postgres(async |database| {
        let options = postgres_options().options([("search_path", database.schema())]);
        let mut other = sqlx::PgConnection::connect_with(&options).await.unwrap();
        let mirror = database.builder().build().unwrap();
        for commits_after in [None, Some(Duration::from_millis(1500))] {
            let mut transaction = other.begin().await.unwrap();
            sqlx::raw_sql("CREATE TABLE workos_mirror_change (seq bigint)")
                .execute(&mut *transaction)
                .await
                .unwrap();
            let start = Instant::now();
            if let Some(time) = commits_after {
                let release = async {
                    sleep(time).await;
                    transaction.rollback().await.unwrap();
                };
                let (migrated, ()) = tokio::join!(mirror.migrate(), release);
                migrated.unwrap();
                assert!(start.elapsed() < Duration::from_secs(5));
            } else {
                let error = mirror.migrate().await.unwrap_err();
                assert_eq!(error.kind(), MirrorErrorKind::Database);
                assert!(error.to_string().contains("kept them locked"), "{error}");
                assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
                transaction.rollback().await.unwrap();
                assert_eq!(schema(database).await, Vec::<Texts>::new());
            }
        }
    })
    .await;
}

/// Another transaction changes the table of versions.
#[tokio::test]
async fn an_up_to_date_database_can_be_locked() {
    on_postgres(async |database| {
        let mirror = database.mirror().await;
        let Database::Postgres { pool, .. } = database else { return };
        let mut transaction = pool.begin().await.unwrap();
        let lock = "LOCK TABLE workos_mirror_migration IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *transaction).await.unwrap();
        let start = Instant::now();
        let error = mirror.migrate().await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Database);
        assert!(error.to_string().contains("kept them locked"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        transaction.rollback().await.unwrap();
        mirror.migrate().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_migration_waits_for_a_lock_in_sqlite_but_not_forever() {
    on_sqlite(async |database| {
        let Database::Sqlite { pool, .. } = database else { return };
        let options = (*pool.connect_options()).clone().busy_timeout(Duration::from_millis(100));
        let impatient = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let mirror = Mirror::new(impatient);
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let start = Instant::now();
        let error = mirror.migrate().await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Database);
        assert!(error.to_string().contains("kept them locked"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        assert_eq!(schema(database).await, Vec::<Texts>::new());
        let release = async {
            sleep(Duration::from_secs(1)).await;
            transaction.rollback().await.unwrap();
        };
        let (migrated, ()) = tokio::join!(mirror.migrate(), release);
        migrated.unwrap();
    })
    .await;
}

/// Readers and writers of the application keep their locks while a replica of the same version starts.
#[tokio::test]
async fn an_up_to_date_database_is_not_locked() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        macro_rules! open {
            ($pool:expr, $begin:expr) => {{
                let mut transaction = $pool.begin_with($begin).await.unwrap();
                let sql = "UPDATE workos_mirror_migration SET applied_at = applied_at";
                sqlx::query(sql).execute(&mut *transaction).await.unwrap();
                let start = Instant::now();
                mirror.migrate().await.unwrap();
                assert!(start.elapsed() < Duration::from_secs(2));
                transaction.rollback().await.unwrap();
            }};
        }
        match database {
            Database::Postgres { pool, .. } => open!(pool, "BEGIN"),
            Database::Sqlite { pool, .. } => open!(pool, "BEGIN IMMEDIATE"),
        }
    })
    .await;
}

#[tokio::test]
async fn an_up_to_date_database_needs_no_privilege_to_create() {
    on_postgres(async |database| {
        database.mirror().await;
        let schema = database.schema();
        let role = format!("{schema}_role");
        database
            .run(&format!(
                "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};"
            ))
            .await;
        let options = postgres_options().options([("search_path", schema), ("role", &role)]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        let mirror = Mirror::builder(pool.clone()).schema(schema).build().unwrap();
        let migrated = mirror.migrate().await;
        let applied = mirror.apply(&event("1", "user.created", 1, &user("u", "active", 1))).await;
        // Check that the role really has no such privilege.
        let created = sqlx::raw_sql("CREATE TABLE mine (id int)").execute(&pool).await;
        let other = Mirror::builder(pool.clone()).schema(schema).prefix("other_").build().unwrap();
        let other = other.migrate().await;
        pool.close().await;
        database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role};")).await;
        migrated.unwrap();
        assert_eq!(applied.unwrap().len(), 2);
        assert!(created.is_err());
        assert_eq!(other.unwrap_err().kind(), MirrorErrorKind::Database);
    })
    .await;
}

#[tokio::test]
async fn mirrors_with_different_prefixes_do_not_mix() {
    on_both(async |database| {
        let staging = database.builder().prefix("staging_").build().unwrap();
        let bare = database.builder().prefix("").build().unwrap();
        let mirror = database.mirror().await;
        for other in [&staging, &bare] {
            other.migrate().await.unwrap();
        }
        for (mirror, id) in [(&mirror, "u1"), (&staging, "u2"), (&bare, "u3")] {
            mirror.apply(&event("1", "user.created", 1, &user(id, "active", 1))).await.unwrap();
        }
        for (view, id) in [("workos_users", "u1"), ("staging_users", "u2"), ("\"users\"", "u3")] {
            assert_eq!(database.column("id", view).await, [id]);
        }
    })
    .await;
}

#[tokio::test]
async fn mirrors_in_different_schemas_do_not_mix() {
    on_postgres(async |database| {
        let second = format!("{}_b", database.schema());
        database.run(&format!("CREATE SCHEMA {second}")).await;
        let other = database.builder().schema(&second).build().unwrap();
        other.migrate().await.unwrap();
        let mirror = database.builder().build().unwrap();
        let hired = event("1", "user.created", 1, &user("u", "active", 1));
        assert_eq!(mirror.apply(&hired).await.unwrap_err().kind(), MirrorErrorKind::NotMigrated);
        other.apply(&hired).await.unwrap();
        mirror.migrate().await.unwrap();
        let counts = [
            database.count("workos_users").await,
            database.count(&format!("{second}.workos_users")).await,
        ];
        database.run(&format!("DROP SCHEMA {second} CASCADE")).await;
        assert_eq!(counts, [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn only_plain_identifiers_are_names() {
    on_both(async |database| {
        for bad in ["a\"b", "a'b", "A", "1a", "a b", "a;b", "ä", &"a".repeat(31)] {
            let error = database.builder().prefix(bad).build().unwrap_err().to_string();
            assert!(error.contains("can't be a schema or a prefix"), "{error}");
            let error = database.builder().schema(bad).build().unwrap_err().to_string();
            let expected = if database.is_postgres() { "a-z, 0-9 and _" } else { "no schemas" };
            assert!(error.contains(expected), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_schema_is_an_error() {
    on_postgres(async |database| {
        let mirror = database.builder().schema("no_such_schema").build().unwrap();
        let error = mirror.migrate().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("no_such_schema"), "{source}");
    })
    .await;
}
