use std::time::Duration;

use tower_workos_mirror::{Mirror, MirrorErrorKind, MirrorPool};

use crate::databases::{Database, postgres_url};

#[tokio::test]
async fn sqlite_has_good_settings() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("new.db").display());
    let mirror = Mirror::connect(&url).await.unwrap();
    let MirrorPool::Sqlite(pool) = mirror.pool() else { panic!("not SQLite") };
    let pragma = async |name: &str| -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA {name}"));
        sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
    };
    assert_eq!(pragma("secure_delete").await, 1);
    assert_eq!(pragma("synchronous").await, 2);
    assert_eq!(pragma("busy_timeout").await, 3000);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
    assert_eq!(mode, "wal");
    assert!(pool.options().get_acquire_timeout() < Duration::from_secs(4));
}

/// The mirror turns `secure_delete` on for the connections that it writes with.
#[tokio::test]
async fn an_own_pool_deletes_securely() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    let mirror = Mirror::new(pool.clone());
    mirror.migrate().await.unwrap();
    mirror.apply(&crate::events::directory("directory_1", "org_1")).await.unwrap();
    let on: i64 = sqlx::query_scalar("PRAGMA secure_delete").fetch_one(&pool).await.unwrap();
    assert_eq!(on, 1);
}

#[tokio::test]
async fn memory_is_one_database() {
    let mirror = Mirror::connect("sqlite::memory:").await.unwrap();
    let MirrorPool::Sqlite(pool) = mirror.pool() else { panic!("not SQLite") };
    assert_eq!(pool.options().get_max_connections(), 1);
    assert_eq!(pool.options().get_idle_timeout(), None);
    mirror.migrate().await.unwrap();
    mirror.apply(&crate::events::directory("directory_1", "org_1")).await.unwrap();
    let all = (0..8).map(|_| {
        let mirror = mirror.clone();
        tokio::spawn(async move { mirror.directory(&"directory_1".into()).await.unwrap() })
    });
    for found in all.collect::<Vec<_>>() {
        assert!(found.await.unwrap().is_some());
    }
}

#[tokio::test]
async fn postgres_is_opened() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = Mirror::connect(&postgres_url()).await.unwrap();
    let MirrorPool::Postgres(pool) = mirror.pool() else { panic!("not Postgres") };
    assert!(pool.options().get_acquire_timeout() < Duration::from_secs(4));
    database.end().await;
}

#[tokio::test]
async fn errors_do_not_contain_the_url() {
    for (url, kind) in [
        ("mysql://u:canary@localhost/db", MirrorErrorKind::Config),
        ("canary", MirrorErrorKind::Config),
        ("", MirrorErrorKind::Config),
        ("postgres://u:canary@local host:x/db", MirrorErrorKind::Config),
        ("postgres://u:canary@127.0.0.1:1/db", MirrorErrorKind::Database),
        ("sqlite:/canary/does/not/exist.db", MirrorErrorKind::Database),
        ("sqlite:a.db?mode=canary", MirrorErrorKind::Config),
    ] {
        let error = Mirror::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}");
        let mut text = format!("{error:?} {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text += &error.to_string();
            cause = error.source();
        }
        assert!(!text.contains("canary"), "{text}");
    }
}
