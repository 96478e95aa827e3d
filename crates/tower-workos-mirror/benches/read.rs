//! The mirror's queries, compared with equivalent queries on plain tables that apply none of its rules.
//!
//! ```text
//! cargo bench -p tower-workos-mirror --all-features --bench read
//! READ_USERS=1000000 cargo bench -p tower-workos-mirror --all-features --bench read
//! ```
//!
//! `READ_ANALYZE=0` leaves the databases without statistics. Needs Postgres as the tests do (`TEST_POSTGRES_URL`).
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgPool, Row as _, SqlitePool};
use tower_workos::{CustomAttributes, DirectoryGroupId, DirectoryId, DirectoryUserId, Timestamp};
use tower_workos_mirror::{Mirror, MirrorPool, Page, Person, UserFilter};

const ROUNDS: usize = 300;

fn setting(name: &str, otherwise: i64) -> i64 {
    env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

/// Users 0 to 10 % are in a deleted directory, and the next 10 % in its successor, in the same organization and all in one
/// group. The others are in directories of 1000. One in a hundred of these directories sends no organizations.
fn rows(users: i64) -> Vec<String> {
    let tenth = users / 10;
    let directory = format!(
        "CASE WHEN n < {tenth} THEN 'directory_old' WHEN n < 2 * {tenth} THEN 'directory_new' \
         ELSE 'directory_' || (n / 1000) END"
    );
    let organization = format!(
        "CASE WHEN n < 2 * {tenth} THEN 'org_moved' WHEN (n / 1000) % 100 = 99 THEN NULL ELSE 'org_' || (n / 1000) END"
    );
    let attributes = r#"{"department_name":"Engineering","employee_number":"E-00017","employee_type":"full_time","emails":[{"primary":true,"type":"work","value":"somebody@example.com"}],"job_title":"Senior Engineer","organization":"Example","username":"e00017"}"#;
    let time = 1_767_225_600_000_000_i64;
    vec![
        format!(
            "INSERT INTO workos_mirror_directory (id, organization_id, state, evidence_at, created_at, updated_at) \
             SELECT 'directory_' || n, 'org_' || n, 'active', {time}, {time}, {time} FROM series WHERE n <= {users} / 1000"
        ),
        format!(
            "INSERT INTO workos_mirror_directory (id, organization_id, state, evidence_at, deleted_at, deleted_by) VALUES \
             ('directory_old', NULL, NULL, NULL, {time}, 'event_1'), \
             ('directory_new', 'org_moved', 'active', {time}, NULL, NULL)"
        ),
        format!(
            "INSERT INTO workos_mirror_user (id, directory_id, organization_id, idp_id, email, email_key, first_name, \
             last_name, name, state, role, roles, custom_attributes, ev_updated, ev_at, ev_inactive, ev_event, evidence_at, \
             created_at, updated_at) \
             SELECT 'directory_user_' || (1000000000 + n), {directory}, {organization}, '00u' || n, \
             'user' || n || '@example.com', 'user' || n || '@example.com', 'First', 'Last', 'First Last', \
             CASE WHEN n % 10 = 3 THEN 'inactive' ELSE 'active' END, 'member', '[\"member\"]', '{attributes}', \
             {time}, {time}, 0, 'event_' || n, {time}, {time}, {time} FROM series WHERE n < {users}"
        ),
        format!(
            "INSERT INTO workos_mirror_group (id, directory_id, organization_id, name, evidence_at) VALUES \
             ('directory_group_big', 'directory_new', 'org_moved', 'All', {time}), \
             ('directory_group_old', 'directory_old', 'org_moved', 'All', {time})"
        ),
        format!(
            "INSERT INTO workos_mirror_member (group_id, user_id, op_at, op_removed, op_event) \
             SELECT CASE WHEN n < {tenth} THEN 'directory_group_old' ELSE 'directory_group_big' END, \
             'directory_user_' || (1000000000 + n), {time}, 0, 'event_1' FROM series WHERE n < 2 * {tenth}"
        ),
    ]
}

struct Bench {
    mirror: Mirror,
    users: i64,
}

/// What the bare queries read, in the same types as the mirror's.
macro_rules! bare_user {
    ($row:expr) => {{
        let row = $row;
        let texts: Vec<Option<String>> = (0..10).map(|column| row.get(column)).collect();
        let roles: Option<String> = row.get(10);
        let roles: Vec<String> = serde_json::from_str(&roles.unwrap()).unwrap();
        let attributes: Option<String> = row.get(11);
        let attributes: CustomAttributes = serde_json::from_str(&attributes.unwrap()).unwrap();
        let times: Vec<Option<i64>> = vec![row.get(12), row.get(13)];
        let times: Vec<_> = times
            .into_iter()
            .map(|it| it.map(|micros| Timestamp::from_unix_millis_saturating(micros / 1000)))
            .collect();
        std::hint::black_box((texts, roles, attributes, times));
    }};
}

impl Bench {
    async fn bare(&self, condition: &str, arguments: &[String]) -> usize {
        let sql = format!(
            "SELECT u.id, u.directory_id, u.organization_id, u.idp_id, u.email, u.first_name, u.last_name, u.name, u.state, \
             u.role, u.roles, u.custom_attributes, u.created_at, u.updated_at FROM {condition}"
        );
        macro_rules! run {
            ($pool:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for argument in arguments {
                    query = query.bind(argument.clone());
                }
                let rows = query.fetch_all($pool).await.unwrap();
                rows.iter().for_each(|row| bare_user!(row));
                rows.len()
            }};
        }
        match self.mirror.pool() {
            MirrorPool::Postgres(pool) => run!(pool),
            MirrorPool::Sqlite(pool) => run!(pool),
            _ => 0,
        }
    }

    async fn bare_state(&self, condition: &str, arguments: &[String]) -> bool {
        let sql = format!("SELECT u.state FROM workos_mirror_user u WHERE {condition}");
        macro_rules! run {
            ($pool:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for argument in arguments {
                    query = query.bind(argument.clone());
                }
                let rows = query.fetch_all($pool).await.unwrap();
                rows.iter().any(|row| row.get::<String, _>(0) == "active")
            }};
        }
        match self.mirror.pool() {
            MirrorPool::Postgres(pool) => run!(pool),
            MirrorPool::Sqlite(pool) => run!(pool),
            _ => false,
        }
    }

    fn user(&self, part: i64) -> String {
        format!("directory_user_{}", 1_000_000_000 + self.users * part / 100)
    }

    async fn users(&self, filter: &UserFilter, after: &str) -> usize {
        let users = self.mirror.users(filter, Page::new(50).after(after)).await.unwrap();
        users.items.len()
    }

    async fn run(&self) {
        let user = self.user(55);
        let number = self.users * 55 / 100;
        let (email, idp) = (format!("user{number}@example.com"), format!("00u{number}"));
        let directory = format!("directory_{}", number / 1000);
        let organization = format!("org_{}", number / 1000);
        let (old, new) = (self.user(1), self.user(11));

        macro_rules! compare {
            ($name:literal, $rows:expr, $mirror:expr, $bare:expr) => {{
                let (mut with, mut without) = (Vec::new(), Vec::new());
                for round in 0..ROUNDS + 20 {
                    let start = Instant::now();
                    assert_eq!(usize::from($mirror), $rows, $name);
                    let between = Instant::now();
                    std::hint::black_box($bare);
                    let end = Instant::now();
                    if round >= 20 {
                        with.push(between - start);
                        without.push(end - between);
                    }
                }
                let (with, without) = (median(with), median(without));
                let ratio = with.as_secs_f64() / without.as_secs_f64();
                println!("  {:<44} {:>9.1?} {:>9.1?}  {ratio:.2}", $name, with, without);
            }};
        }
        let id = DirectoryUserId::from(user.as_str());
        compare!(
            "has_access",
            1,
            self.mirror.has_access(&id).await.unwrap(),
            self.bare_state("u.id = $1", std::slice::from_ref(&user)).await
        );
        compare!(
            "has_access, deleted directory",
            0,
            self.mirror.has_access(&DirectoryUserId::from(old.as_str())).await.unwrap(),
            self.bare_state("u.id = $1", std::slice::from_ref(&old)).await
        );
        let person = Person::email(&email);
        compare!(
            "has_access_by e-mail",
            1,
            self.mirror.has_access_by(organization.as_str(), person.clone()).await.unwrap(),
            self.bare_state(
                "u.email_key = $1 AND u.organization_id = $2",
                &[email.clone(), organization.clone()]
            )
            .await
        );
        let person = Person::idp_id(&idp);
        compare!(
            "has_access_by idp_id",
            1,
            self.mirror.has_access_by(organization.as_str(), person.clone()).await.unwrap(),
            self.bare_state(
                "u.idp_id = $1 AND u.organization_id = $2",
                &[idp.clone(), organization.clone()]
            )
            .await
        );

        let all = "workos_mirror_user u";
        let page = |column: &str| {
            format!("{all} WHERE u.{column} = $1 AND u.id > $2 ORDER BY u.id LIMIT 51")
        };
        let filter = UserFilter::new().directory(directory.as_str());
        let first = "directory_user_1".to_owned();
        compare!(
            "50 users of a directory",
            50,
            self.users(&filter, &first).await,
            self.bare(&page("directory_id"), &[directory.clone(), first.clone()]).await
        );
        let filter = UserFilter::new().directory("directory_new");
        compare!(
            "50 users of a large directory",
            50,
            self.users(&filter, &new).await,
            self.bare(&page("directory_id"), &["directory_new".into(), new.clone()]).await
        );
        let filter = UserFilter::new().directory("directory_old");
        compare!(
            "a deleted directory",
            0,
            self.users(&filter, &first).await,
            self.bare(&page("directory_id"), &["directory_old".into(), first.clone()]).await
        );
        let filter = UserFilter::new().organization(organization.as_str());
        compare!(
            "50 users of an organization",
            50,
            self.users(&filter, &first).await,
            self.bare(&page("organization_id"), &[organization.clone(), first.clone()]).await
        );
        let filter = UserFilter::new().organization("org_moved");
        compare!(
            "50 users of a large organization",
            50,
            self.users(&filter, &new).await,
            self.bare(&page("organization_id"), &["org_moved".into(), new.clone()]).await
        );
        compare!(
            "the same, after a deleted directory",
            50,
            self.users(&filter, &first).await,
            self.bare(&page("organization_id"), &["org_moved".into(), first.clone()]).await
        );
        let filter = UserFilter::new().email(&email);
        compare!(
            "users by e-mail",
            1,
            self.users(&filter, &first).await,
            self.bare(&page("email_key"), &[email.clone(), first.clone()]).await
        );
        let filter = UserFilter::new().idp_id(&idp);
        compare!(
            "users by idp_id",
            1,
            self.users(&filter, &first).await,
            self.bare(&page("idp_id"), &[idp.clone(), first.clone()]).await
        );
        let members = "workos_mirror_member m JOIN workos_mirror_user u ON u.id = m.user_id \
                       WHERE m.group_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT 51";
        let group = DirectoryGroupId::from("directory_group_big");
        compare!(
            "50 members of a large group",
            50,
            self.mirror
                .members_of(&group, Page::new(50).after(new.as_str()))
                .await
                .unwrap()
                .items
                .len(),
            self.bare(members, &["directory_group_big".into(), new.clone()]).await
        );
        let group = DirectoryGroupId::from("directory_group_old");
        compare!(
            "members of a group in a deleted directory",
            0,
            self.mirror
                .members_of(&group, Page::new(50).after(first.as_str()))
                .await
                .unwrap()
                .items
                .len(),
            self.bare(members, &["directory_group_old".into(), first.clone()]).await
        );
        let filter = UserFilter::new();
        compare!(
            "50 of all users",
            50,
            self.users(&filter, &user).await,
            self.bare(
                &format!("{all} WHERE u.id > $1 ORDER BY u.id LIMIT 51"),
                std::slice::from_ref(&user)
            )
            .await
        );
        let old = DirectoryId::from("directory_old");
        compare!(
            "users_ever_in (compared with a page of users)",
            50,
            self.mirror
                .users_ever_in(&old, Page::new(50).after(first.as_str()))
                .await
                .unwrap()
                .items
                .len(),
            self.bare(&page("directory_id"), &["directory_old".into(), first.clone()]).await
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

async fn sqlite(users: i64, analyze: bool) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("read.db").display());
    let mirror = Mirror::connect(&url).await.unwrap();
    mirror.migrate().await.unwrap();
    let MirrorPool::Sqlite(pool) = mirror.pool().clone() else { return };
    let series = format!(
        "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {users})"
    );
    let run = async |pool: &SqlitePool, sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    };
    for sql in rows(users) {
        run(&pool, if sql.contains("series") { format!("{series} {sql}") } else { sql }).await;
    }
    if analyze {
        run(&pool, "ANALYZE".to_owned()).await;
    }
    println!("SQLite, {users} users, analyzed: {analyze}");
    Bench { mirror, users }.run().await;
}

async fn postgres(users: i64, analyze: bool) {
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    let schema = format!("tower_workos_read_{}", std::process::id());
    let admin = PgPool::connect(&url).await.unwrap();
    let run = async |pool: &PgPool, sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    };
    run(&admin, format!("CREATE SCHEMA {schema}")).await;
    let mirror = Mirror::connect(&format!("{url}?options[search_path]={schema}")).await.unwrap();
    mirror.migrate().await.unwrap();
    let MirrorPool::Postgres(pool) = mirror.pool().clone() else { return };
    if !analyze {
        for table in ["directory", "group", "user", "member"] {
            let off = "SET (autovacuum_enabled = off)";
            run(&pool, format!("ALTER TABLE workos_mirror_{table} {off}")).await;
        }
    }
    let series = format!("WITH series AS (SELECT generate_series(0, {users}::bigint) AS n)");
    for sql in rows(users) {
        run(&pool, if sql.contains("series") { format!("{series} {sql}") } else { sql }).await;
    }
    if analyze {
        run(&pool, "ANALYZE workos_mirror_directory, workos_mirror_group, workos_mirror_user, workos_mirror_member".to_owned()).await;
    }
    println!("Postgres, {users} users, analyzed: {analyze}");
    Bench { mirror, users }.run().await;
    run(&admin, format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::main]
async fn main() {
    if env::var_os("READ_SQL").is_some() {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .init();
    }
    let users = setting("READ_USERS", 20_000);
    let analyze = setting("READ_ANALYZE", 1) == 1;
    println!("  {:<44} {:>9} {:>9}  ratio", "", "mirror", "bare");
    if setting("READ_SQLITE", 1) == 1 {
        sqlite(users, analyze).await;
    }
    if setting("READ_POSTGRES", 1) == 1 {
        postgres(users, analyze).await;
    }
}
