//! Databases that earlier versions of the schema created, and processes of those versions on the current schema.
//!
//! `tests/fixtures/v*.*.sql` are such databases: the scripts of the versions up to that one, a line `-- rows`, and the rows,
//! written with the columns and the upserts of that version. Once a version is released, its files never change. Until then,
//! write those of the latest version again after each change of the schema:
//!
//! ```text
//! WRITE_FIXTURES=1 cargo test -p tower-workos-mirror --all-features --test it upgrade
//! ```
//!
//! For the next version, add its number to `FIXTURES`, its tables to `TABLES`, and its cells to `CELLS`.

use std::{env, fs, path::PathBuf};

use serde_json::json;
use tower_workos::DirectoryEvent;
use tower_workos_mirror::Mirror;

use crate::{
    at, both,
    databases::{Database, on_both},
    event, group,
    migrate::schema,
    shown::{check, expected, state, views},
    user,
};

const FIXTURES: [u32; 4] = [1, 2, 3, 4];
const ROWS: &str = "\n-- rows\n";

fn path(database: &Database, version: u32) -> PathBuf {
    let kind = if database.is_postgres() { "postgres" } else { "sqlite" };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("v{version}.{kind}.sql"))
}

/// The script and the rows.
fn fixture(database: &Database, version: u32) -> (String, String) {
    let text = fs::read_to_string(path(database, version)).unwrap();
    let (script, rows) = text.split_once(ROWS).unwrap();
    (script.to_owned(), rows.to_owned())
}

/// The events that the fixtures contain: what exists, and one of each tombstone.
fn before() -> Vec<DirectoryEvent> {
    let directory = |id| json!({"id": id, "name": id, "state": "active", "organization_id": "o", "updated_at": at(1)});
    let mut there = user("u1", "active", 1);
    let fields = there.as_object_mut().unwrap();
    fields.insert("custom_attributes".into(), json!({"job_title": "O'Brien's \"boss\" \\ é"}));
    let mut elsewhere = user("u5", "active", 1);
    *elsewhere.get_mut("directory_id").unwrap() = json!("d2");
    let member = |user, group_id| both(&user, &group(group_id, 1));
    vec![
        event("01", "activated", 1, &directory("d")),
        event("02", "activated", 1, &directory("d2")),
        event("03", "user.created", 1, &there),
        event("04", "user.created", 1, &user("u2", "inactive", 1)),
        event("05", "user.created", 1, &user("u3", "active", 1)),
        event("06", "user.deleted", 2, &json!({"id": "u3", "directory_id": "d"})),
        event("07", "group.created", 1, &group("g1", 1)),
        event("08", "group.deleted", 2, &json!({"id": "g2"})),
        event("09", "group.user_added", 2, &member(there.clone(), "g1")),
        event("10", "group.user_removed", 3, &member(user("u2", "inactive", 1), "g1")),
        event("11", "group.user_removed", 2, &member(user("u4", "active", 1), "g3")),
        event("12", "user.created", 1, &elsewhere),
        event("13", "deleted", 2, &json!({"id": "d2"})),
        event("14", "group.user_added", 2, &member(json!({"id": "u6"}), "g1")),
    ]
}

/// Late events and new ones.
fn later() -> Vec<DirectoryEvent> {
    let member = |user, group_id| both(&user, &group(group_id, 1));
    vec![
        event("21", "user.updated", 1, &user("u3", "active", 9)),
        event("22", "group.user_added", 9, &member(user("u1", "active", 1), "g2")),
        event("23", "group.user_added", 1, &member(user("u2", "active", 0), "g1")),
        event("24", "group.user_added", 1, &member(user("u4", "inactive", 0), "g3")),
        event("25", "user.updated", 3, &user("u2", "active", 3)),
        event("26", "user.deleted", 3, &json!({"id": "u1"})),
        event("27", "user.created", 3, &user("u6", "active", 3)),
        event("28", "user.created", 3, &user("u7", "active", 3)),
    ]
}

const TABLES: [(&str, &str); 13] = [
    ("directory", "id"),
    ("group", "id"),
    ("user", "id"),
    ("member", "group_id, user_id"),
    ("applied", "event_id"),
    ("change", "seq"),
    ("cursor", "stream"),
    ("dead_letter", "seq"),
    ("outbox", "name"),
    ("poll", "stream"),
    ("repair", "environment"),
    ("run", "subject"),
    ("stage", "directory_id, kind, id, user_id"),
];

/// What no event brings: the tables contain it after a repair from the API, or because an outbox was registered. None of it is
/// visible.
const CELLS: &str = "
    INSERT INTO workos_mirror_cursor (stream, after, moved_at) VALUES ('consumer mail', 3, 1767603600000000);
    UPDATE workos_mirror_directory SET environment = 'default', listed_at = 1767603600000000 WHERE id = 'd';
    UPDATE workos_mirror_group SET listed_at = 1767603600000000 WHERE id = 'g1';
    INSERT INTO workos_mirror_user (id, directory_id, evidence_at, absent_at, list_at, list_updated, state)
        VALUES ('u8', 'd', 1767603599000000, 1767603600000000, 1767603599000000, 1767603598000000, 'active');
    INSERT INTO workos_mirror_poll (stream, started_at, after, event_at, drained_at)
        VALUES ('default', 1767603600000000, 'event_14', 1767603602000000, 1767603662000000);
    INSERT INTO workos_mirror_repair (environment, first_at, succeeded_at, finished_at, report)
        VALUES ('default', 1767603600000000, 1767603660000000, 1767603660000000, '{\"is_complete\":true,\"counts\":[]}');
    INSERT INTO workos_mirror_run (subject, run, expires_at) VALUES ('environment default', '1f', 1767603680000000);
    INSERT INTO workos_mirror_stage (directory_id, kind, id, user_id, item)
        VALUES ('d', 'user', 'u8', '', '{\"id\":\"u8\"}'), ('d', 'member', 'g1', 'u8', NULL);
    INSERT INTO workos_mirror_outbox (name, registered_at) VALUES ('sessions', 1767603600000000);
";

/// Writes the database that this version of the crate creates.
async fn write(database: &Database, version: u32) {
    let mirror = Mirror::new(database.pool());
    let scripts = mirror.migrations();
    assert_eq!(scripts.len(), usize::try_from(version).unwrap(), "earlier versions are released");
    let script = scripts.join("\n");
    database.run(&script).await;
    mirror.apply_all(&before()).await.unwrap();
    database.run(CELLS).await;
    let mut text = format!("{script}{ROWS}");
    for (table, key) in TABLES {
        let table = format!("workos_mirror_{table}");
        let (name, columns, quote) = if database.is_postgres() {
            let columns = format!(
                "information_schema.columns WHERE table_schema = current_schema() AND table_name = '{table}'"
            );
            ("column_name", columns, "quote_nullable")
        } else {
            ("name", format!("pragma_table_info('{table}')"), "quote")
        };
        let columns = database.column(name, &columns).await;
        let quoted: Vec<_> = columns.iter().map(|it| format!("{quote}({it})")).collect();
        let row = quoted.join(" || ', ' || ");
        let overriding =
            if key == "seq" && database.is_postgres() { " OVERRIDING SYSTEM VALUE" } else { "" };
        let update: Vec<_> = columns
            .iter()
            .filter(|column| !key.split(", ").any(|key| key == *column))
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let (columns, update) = (columns.join(", "), update.join(", "));
        for row in database.column(&row, &table).await {
            text.push_str(&format!(
                "INSERT INTO {table} ({columns}){overriding} VALUES ({row}) ON CONFLICT ({key}) DO UPDATE SET {update};\n"
            ));
        }
        if key == "seq" && database.is_postgres() {
            text.push_str(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'seq'), coalesce(max(seq), 1)) FROM {table};\n"
            ));
        }
    }
    fs::create_dir_all(path(database, version).parent().unwrap()).unwrap();
    fs::write(path(database, version), text).unwrap();
    // Only the tables of the fixture are read afterwards.
    let drops: Vec<_> = ["known_users", "memberships", "access", "users", "groups", "directories"]
        .map(|view| format!("DROP VIEW workos_{view};"))
        .into_iter()
        .chain(TABLES.map(|(table, _)| format!("DROP TABLE workos_mirror_{table};")))
        .chain(["DROP TABLE workos_mirror_migration;".to_owned()])
        .collect();
    database.run(&drops.concat()).await;
}

/// Applies the events that follow the fixture one by one, and checks everything.
async fn go_on(database: &Database, mirror: &Mirror) {
    // Its tables are those of another crate.
    database.run("DELETE FROM workos_mirror_outbox").await;
    assert_eq!(views(database).await, expected(&state(&before())));
    assert_eq!(mirror.apply_all(&before()).await.unwrap(), [], "everything is known");
    let known = database.count("workos_mirror_change").await;
    let mut changes = Vec::new();
    for event in later() {
        changes.extend(mirror.apply(&event).await.unwrap());
    }
    assert!(changes.len() > 5);
    assert_eq!(database.count("workos_mirror_change").await, known + changes.len());
    let events = [before(), later()].concat();
    assert_eq!(views(database).await, expected(&state(&events)));
    // The feed starts again for the check, which compares all of it with what was returned.
    database.empty().await;
    let changes = mirror.apply_all(&events).await.unwrap();
    check(database, &state(&events), &changes, false).await;
}

#[tokio::test]
async fn a_database_of_each_version_is_upgraded() {
    on_both(async |database| {
        if env::var_os("WRITE_FIXTURES").is_some() {
            write(database, *FIXTURES.last().unwrap()).await;
        }
        for version in FIXTURES {
            let old = if database.is_postgres() {
                Database::postgres().await.unwrap()
            } else {
                Database::sqlite().await
            };
            let (script, rows) = fixture(&old, version);
            old.run(&script).await;
            old.run(&rows).await;
            let mirror = old.builder().build().unwrap();
            mirror.migrate().await.unwrap();
            let current = database.mirror().await;
            assert_eq!(schema(&old).await, schema(database).await);
            assert_eq!(current.migrations().len(), old.count("workos_mirror_migration").await);
            if version >= 2 {
                let cells = ["environment", "listed_at"];
                let d = old.texts(&cells, "workos_mirror_directory WHERE id = 'd'").await;
                let expected = ["default", "1767603600000000"].map(|text| Some(text.to_owned()));
                assert_eq!(d, [expected]);
                assert_eq!(old.count("workos_mirror_stage").await, 2);
            }
            if version >= 3 {
                let names = old.column("name", "workos_mirror_outbox").await;
                assert_eq!(names, ["sessions"]);
            }
            go_on(&old, &mirror).await;
            old.drop().await;
        }
    })
    .await;
}

/// During a rolling deploy, processes of an earlier version write with their own statements.
#[tokio::test]
async fn statements_of_each_version_work_on_the_current_schema() {
    if env::var_os("WRITE_FIXTURES").is_some() {
        return;
    }
    on_both(async |database| {
        for version in FIXTURES {
            let mirror = database.mirror().await;
            database.empty().await;
            let (_, rows) = fixture(database, version);
            // New rows, then existing ones.
            database.run(&rows).await;
            database.run(&rows).await;
            for insert in rows.lines().filter(|line| line.starts_with("INSERT INTO")) {
                let (table, columns) = insert.split_once(" (").unwrap();
                let (columns, _) = columns.split_once(')').unwrap();
                let table = table.trim_start_matches("INSERT INTO ");
                database.run(&format!("SELECT {columns} FROM {table}")).await;
            }
            go_on(database, &mirror).await;
        }
    })
    .await;
}
