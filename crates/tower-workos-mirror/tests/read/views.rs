use serde_json::json;
use tower_workos_mirror::MirrorPool;

use crate::{
    databases::Database,
    events::{directory, event, group, member, user, user_data, user_inactive},
};

const DOCUMENTATION: &str = include_str!("../../src/views.md");

fn examples() -> Vec<&'static str> {
    let blocks = DOCUMENTATION.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// Creates tables such as an application has.
async fn application(database: &Database) {
    let [ada, bob] = ["Ada@Example.com", "bob@example.com"].map(tower_workos_mirror::email_key);
    database
        .script(&format!(
            "CREATE TABLE accounts (id text PRIMARY KEY, organization_id text, email_key text, workos_user_id text);
             CREATE TABLE sessions (id text PRIMARY KEY, account_id text);
             INSERT INTO accounts VALUES ('account_ada', 'org_1', '{ada}', 'user_1'),
                ('account_bob', 'org_1', '{bob}', 'user_2'), ('account_cy', 'org_2', '{ada}', NULL);
             INSERT INTO sessions VALUES ('s_1', 'account_ada'), ('s_2', 'account_bob'), ('s_3', 'account_cy')"
        ))
        .await;
    let events = [
        directory("directory_1", "org_1"),
        user("user_1", "directory_1", Some("org_1"), "ada@example.COM"),
        user_inactive("user_2", "directory_1", None, "bob@example.com"),
        group("group_1", "directory_1", None),
        member("group_1", "user_1", "directory_1", 2, true),
    ];
    database.mirror.apply_all(&events).await.unwrap();
}

#[tokio::test]
async fn the_documented_examples_work() {
    for database in Database::both().await {
        application(&database).await;
        let examples = examples();
        let arguments: [(&[&str], &[&[&str]]); 6] = [
            (
                &["org_1"],
                &[&[
                    "user_1",
                    "ada@example.COM full",
                    "ada@example.COM",
                    "ada@example.COM department",
                ]],
            ),
            (&["account_ada"], &[&["account_ada", "ada@example.COM full"]]),
            (&[], &[&["s_2"], &["s_3"]]),
            (&["directory_1"], &[&["s_1"], &["s_2"]]),
            (&["org_1", "Name of group_1"], &[&["user_1", "ada@example.COM"]]),
            (&[], &[]),
        ];
        assert_eq!(examples.len(), arguments.len());
        for (example, (arguments, expected)) in examples.into_iter().zip(arguments) {
            if example.contains("AS has_access") {
                let sql = format!("SELECT count(*) || '' FROM ({example}) AS t WHERE has_access");
                let rows = database.texts(&sql, &[]).await;
                assert_eq!(rows, [[Some("1".to_owned())]]);
                continue;
            }
            let mut rows = database.texts(example, arguments).await;
            rows.sort_unstable();
            let rows: Vec<Vec<_>> =
                rows.into_iter().map(|it| it.into_iter().flatten().collect()).collect();
            assert_eq!(rows, expected, "{example}");
        }
        database.end().await;
    }
}

/// Every view has the columns that the documentation lists, with their types.
#[tokio::test]
async fn columns_have_the_documented_types() {
    for database in Database::both().await {
        let events = [
            directory("directory_1", "org_1"),
            user("user_1", "directory_1", Some("org_1"), "ada@example.com"),
            event("dsync.user.created", 1, json!({"id": "user_2", "object": "directory_user"})),
            group("group_1", "directory_1", None),
        ];
        database.mirror.apply_all(&events).await.unwrap();
        for section in DOCUMENTATION.split("\n# `").skip(1) {
            let (view, rest) = section.split_once('`').unwrap();
            for line in rest.lines().filter(|line| line.starts_with("| `")) {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                for column in cells[1].split(", ") {
                    let column = column.trim_matches('`');
                    let not_null = cells[3].contains("never NULL");
                    check(&database, view, column, cells[2], not_null).await;
                }
            }
        }
        database.end().await;
    }
}

async fn check(database: &Database, view: &str, column: &str, kind: &str, not_null: bool) {
    let is_type = match (database.is_postgres(), kind) {
        (true, "text") => format!("pg_typeof({column}) = 'text'::regtype"),
        (true, "boolean") => format!("pg_typeof({column}) = 'boolean'::regtype"),
        (true, "time") => format!("pg_typeof({column}) = 'timestamptz'::regtype"),
        (true, "JSON") => format!("pg_typeof({column}) = 'jsonb'::regtype"),
        (false, "text") => format!("typeof({column}) IN ('text', 'null')"),
        (false, "boolean") => format!("{column} IN (0, 1)"),
        (false, "time") => {
            format!("({column} IS NULL OR {column} LIKE '2026-01-15T00:0_:__.123456Z')")
        }
        (false, "JSON") => format!("json_valid({column})"),
        (_, other) => panic!("{other}"),
    };
    let not_null = if not_null { format!("AND {column} IS NOT NULL") } else { String::new() };
    let sql = format!("SELECT count(*) || '' FROM {view} WHERE {is_type} {not_null}");
    let all = database.texts(&format!("SELECT count(*) || '' FROM {view}"), &[]).await;
    assert_ne!(all, [[Some("0".to_owned())]]);
    assert_eq!(database.texts(&sql, &[]).await, all, "{view}.{column}");
}

#[tokio::test]
async fn times_are_exact() {
    for database in Database::both().await {
        for (number, time) in [
            "2026-01-15T12:00:00.999999Z",
            "1969-12-31T23:59:59.000001Z",
            "9999-12-30T20:00:00.000001Z",
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("user_{number}");
            let mut data = user_data(&id, "directory_1", None, "a@x");
            data["created_at"] = json!(time);
            database.mirror.apply(&event("dsync.user.created", 1, data)).await.unwrap();
            let user = database.mirror.user(&id.as_str().into()).await.unwrap().unwrap();
            let typed: tower_workos::Timestamp = time.parse().unwrap();
            assert_eq!(user.created_at, Some(typed));
            let sql = if database.is_postgres() {
                "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
                 FROM workos_users WHERE id = $1"
            } else {
                "SELECT created_at FROM workos_users WHERE id = $1"
            };
            let shown = database.texts(sql, &[&id]).await[0][0].clone().unwrap();
            let shown: tower_workos::Timestamp =
                shown.parse().unwrap_or_else(|_| panic!("{shown}"));
            assert_eq!(shown, typed, "{time}");
        }
        database.end().await;
    }
}

/// Conditions on the views use the indexes of the tables.
#[tokio::test]
async fn conditions_use_indexes() {
    for database in Database::both().await {
        application(&database).await;
        for (condition, index) in [
            ("id = 'x'", "mirror_user"),
            ("directory_id = 'x'", "workos_mirror_user_directory"),
            ("organization_id = 'x'", "workos_mirror_user_organization"),
            ("organization_id = 'x' AND has_access", "workos_mirror_user_organization"),
            ("email_key = 'x'", "workos_mirror_user_email"),
            ("idp_id = 'x'", "workos_mirror_user_idp"),
        ] {
            let sql = format!("SELECT * FROM workos_users WHERE {condition}");
            let plan = plan(&database, &sql).await;
            assert!(plan.contains(index), "{sql}: {plan}");
            assert!(!plan.contains("Seq Scan on workos_mirror_user"), "{sql}: {plan}");
            assert!(!plan.contains("SCAN u"), "{sql}: {plan}");
        }
        let join =
            "SELECT * FROM accounts JOIN workos_users ON workos_users.id = accounts.workos_user_id";
        let plan = plan(&database, join).await;
        assert!(!plan.contains("Seq Scan on workos_mirror_user"), "{plan}");
        assert!(!plan.contains("MATERIALIZE") && !plan.contains("SCAN u"), "{plan}");
        database.end().await;
    }
}

async fn plan(database: &Database, sql: &str) -> String {
    match database.mirror.pool() {
        MirrorPool::Postgres(pool) => {
            // The tables are so small that it would rather read them.
            let mut connection = pool.acquire().await.unwrap();
            sqlx::raw_sql("SET enable_seqscan = off").execute(&mut *connection).await.unwrap();
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {sql}"));
            let plan: Vec<String> =
                sqlx::query_scalar(explain).fetch_all(&mut *connection).await.unwrap();
            plan.join("\n")
        }
        MirrorPool::Sqlite(_) => {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let MirrorPool::Sqlite(pool) = database.mirror.pool() else { unreachable!() };
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
            let detail = rows.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail"));
            detail.collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?}"),
    }
}
