use tower_workos_mirror::{GroupFilter, Page, UserFilter};

use crate::{
    databases::Database,
    events::{
        directory, directory_deleted, event, group, member, user, user_data, user_deleted,
        user_inactive,
    },
};

const CANARY: &str = "canary.person@example.com";

/// Everything that the queries and views show, as one text.
async fn shown(database: &Database) -> String {
    let mirror = &database.mirror;
    let mut text = serde_json::to_string(&mirror.state().await.unwrap()).unwrap();
    let all = UserFilter::new;
    for filter in [
        all(),
        all().directory("directory_1"),
        all().organization("org_1"),
        all().group("group_1"),
        all().email(CANARY),
        all().idp_id(&format!("idp_{CANARY}")),
    ] {
        let users = mirror.users(&filter, Page::default()).await.unwrap();
        text += &serde_json::to_string(&users).unwrap();
    }
    text += &format!("{:?}", mirror.user(&"user_1".into()).await.unwrap());
    text += &format!("{:?}", mirror.groups_of(&"user_1".into()).await.unwrap());
    let groups = mirror.groups(&GroupFilter::new(), Page::default()).await.unwrap();
    text += &serde_json::to_string(&groups).unwrap();
    for view in ["users", "access", "groups", "memberships", "directories", "known_users"] {
        text += &database.dump(&format!("workos_{view}")).await;
    }
    text
}

/// Everything that the tables contain.
async fn stored(database: &Database) -> String {
    let mut text = String::new();
    for table in
        ["applied", "change", "cursor", "dead_letter", "directory", "group", "member", "user"]
    {
        text += &database.dump(&format!("workos_mirror_{table}")).await;
    }
    text
}

/// The events of a person, in a directory with somebody else.
async fn live(database: &Database) {
    let mut renamed = user_data("user_1", "directory_1", Some("org_1"), CANARY);
    renamed["updated_at"] = serde_json::json!(crate::events::time(4));
    let events = [
        directory("directory_1", "org_1"),
        user("user_1", "directory_1", Some("org_1"), CANARY),
        user("user_2", "directory_1", Some("org_1"), "other@example.com"),
        group("group_1", "directory_1", Some("org_1")),
        member("group_1", "user_1", "directory_1", 2, true),
        event("dsync.user.updated", 4, renamed),
        user_inactive("user_1", "directory_1", Some("org_1"), CANARY),
    ];
    for event in events {
        database.mirror.apply(&event).await.unwrap();
    }
    assert!(shown(database).await.contains("canary"));
    assert!(stored(database).await.contains("canary"));
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing() {
    for database in Database::both().await {
        live(&database).await;
        database.mirror.apply(&user_deleted("user_1", "directory_1", 9)).await.unwrap();
        for round in 0..2 {
            assert!(!shown(&database).await.contains("canary"), "{round}");
            assert!(!stored(&database).await.contains("canary"), "{round}");
            assert!(shown(&database).await.contains("other@example.com"));
            // A late event brings nothing back.
            let late = user("user_1", "directory_1", Some("org_1"), CANARY);
            database.mirror.apply(&late).await.unwrap();
        }
        in_files(&database).await;
        database.end().await;
    }
}

/// Its rows are cleared in the background, so the tables may still have them.
#[tokio::test]
async fn a_deleted_directory_shows_nothing() {
    for database in Database::both().await {
        live(&database).await;
        database.mirror.apply(&directory_deleted("directory_1", 9)).await.unwrap();
        for round in 0..2 {
            let shown = shown(&database).await;
            assert!(!shown.contains("canary"), "{round}");
            assert!(!shown.contains("other@example.com"), "{round}");
            assert!(!shown.contains("Name of"), "{round}");
            let late = user("user_3", "directory_1", Some("org_1"), CANARY);
            database.mirror.apply(&late).await.unwrap();
        }
        database.end().await;
    }
}

/// The file of SQLite contains no former data after a checkpoint of the write-ahead log.
async fn in_files(database: &Database) {
    let Some(folder) = database.folder() else { return };
    database.script("PRAGMA wal_checkpoint(TRUNCATE)").await;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found);
    }
}
