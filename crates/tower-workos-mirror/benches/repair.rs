//! What a comparison with the API costs: requests, memory, time, and how long deliveries wait.
//!
//! ```text
//! cargo bench -p tower-workos-mirror --all-features --bench repair
//! REPAIR_USERS=20000 cargo bench -p tower-workos-mirror --all-features --bench repair
//! ```
//!
//! The API is an emulator in another process. The client's request budgets don't wait, so the times are those of the
//! database and the processor: with WorkOS, the budgets decide. Without `--bench`, as in `cargo test --benches`, the world is
//! small. Needs Postgres as the tests do (`TEST_POSTGRES_URL`).
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    pin::Pin,
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dsync_emulator::Emulator;
use serde_json::json;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::{
    ApiClient, ApiKey, DriftAction, Mirror, MirrorPool, ReconcileReport, Reconciler, Timer,
};

const KEY: &str = "sk_test_bench";
const DIRECTORIES: u32 = 4;
/// In each directory.
const GROUPS: u32 = 10;
/// The most that a comparison may need above the idle process.
const MEGABYTES: u64 = 64;

/// Users in all directories. Each is a member of two groups.
fn users() -> u32 {
    let otherwise = if env::args().any(|it| it == "--bench") { 200_000 } else { 2_000 };
    env::var("REPAIR_USERS").ok().and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

fn user(directory: u32, n: u32, at: Timestamp) -> serde_json::Value {
    json!({
        "id": format!("directory_user_{directory}_{n:07}"), "directory_id": format!("directory_{directory}"),
        "organization_id": format!("org_{directory}"), "idp_id": format!("00u{n}"), "state": "active",
        "email": format!("user{n}@example.com"), "first_name": "First", "last_name": "Last", "name": "First Last",
        "role": {"slug": "member"}, "roles": [{"slug": "member"}], "created_at": at, "updated_at": at,
        "custom_attributes": {"job_title": "Engineer", "department_name": "Research and development"},
        "raw_attributes": {"externalId": format!("external{n}"), "displayName": "First Last", "locale": "en_US",
            "emails": [{"primary": true, "type": "work", "value": format!("user{n}@example.com")}]},
    })
}

fn event(name: &str, id: u64, at: Timestamp, data: &serde_json::Value) -> bytes::Bytes {
    let body = json!({
        "object": "event", "id": format!("event_{id:010}"), "event": format!("dsync.{name}"), "created_at": at, "data": data,
    });
    body.to_string().into()
}

/// Serves the world until its input ends. For each line of input, some users disappear.
async fn serve() {
    let emulator = Emulator::builder().api_key(KEY).start().await.unwrap();
    let at = Timestamp::from_unix_millis_saturating(Timestamp::now().as_unix_millis() - 600_000);
    let mut id = 0;
    let mut record = |name: &str, data: &serde_json::Value| {
        id += 1;
        emulator.record_silently(event(name, id, at, data)).unwrap();
    };
    for d in 0..DIRECTORIES {
        let (directory, organization) = (format!("directory_{d}"), format!("org_{d}"));
        record(
            "activated",
            &json!({"id": directory, "state": "active", "organization_id": organization, "created_at": at, "updated_at": at}),
        );
        for g in 0..GROUPS {
            record(
                "group.created",
                &json!({"id": format!("directory_group_{d}_{g}"), "directory_id": directory, "name": "Group",
                    "organization_id": organization, "created_at": at, "updated_at": at}),
            );
        }
        for n in 0..users() / DIRECTORIES {
            record("user.created", &user(d, n, at));
            let user = format!("directory_user_{d}_{n:07}");
            for group in [n % GROUPS, (n + 1) % GROUPS] {
                let group = format!("directory_group_{d}_{group}");
                emulator.set_membership(&user, &group, true).unwrap();
            }
        }
    }
    println!("{}", emulator.url());
    let (lines, mut next) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            lines.send(line.unwrap()).unwrap();
        }
    });
    while next.recv().await.is_some() {
        for n in 0..10 {
            emulator.remove_silently(&format!("directory_user_0_{n:07}")).unwrap();
        }
        println!("removed");
    }
}

/// Counts the time that the budgets would wait.
#[derive(Clone, Default)]
struct Skip(Arc<AtomicU64>);

impl Timer for Skip {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::Relaxed);
        Box::pin(tokio::task::yield_now())
    }
}

fn megabytes(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    found.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() / 1024
}

async fn pool(database: &str, folder: &tempfile::TempDir) -> MirrorPool {
    if database == "SQLite" {
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("repair.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(30));
        return SqlitePoolOptions::new().connect_with(options).await.unwrap().into();
    }
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    let admin = PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql("DROP SCHEMA IF EXISTS mirror_repair CASCADE; CREATE SCHEMA mirror_repair")
        .execute(&admin)
        .await
        .unwrap();
    admin.close().await;
    let options =
        PgConnectOptions::from_str(&url).unwrap().options([("search_path", "mirror_repair")]);
    PgPoolOptions::new().connect_with(options).await.unwrap().into()
}

/// Applies an event again and again, as deliveries do.
async fn deliveries(mirror: Mirror) {
    let at = Timestamp::now();
    for id in 0.. {
        let n = u32::try_from(id % 100).unwrap() + 50;
        let body = event("user.updated", 10_000_000_000 + id, at, &user(0, n, at));
        let body = DirectoryEvent::parse(body).unwrap();
        let start = Instant::now();
        mirror.apply(&body).await.unwrap();
        let waited = u64::try_from(start.elapsed().as_millis()).unwrap();
        LONGEST.fetch_max(waited, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The longest wait of a delivery, in milliseconds.
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// Compares with the emulator at this URL.
async fn compare(database: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::builder(pool(database, &folder).await)
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    mirror.migrate().await.unwrap();
    let skip = Skip::default();
    let api = ApiClient::builder(ApiKey::new(KEY).unwrap()).base_url(url).timer(skip.clone());
    let reconciler = Reconciler::new(mirror.clone(), api.build().unwrap());
    let per_directory = users() / DIRECTORIES;
    let pages = |items: u32| u64::from(items.div_ceil(100));
    let all = 1 + u64::from(DIRECTORIES)
        * (1 + pages(per_directory) + u64::from(GROUPS) * pages(2 * per_directory / GROUPS));
    println!("{database}: {} users, {} memberships, {all} pages", users(), 2 * users());
    let mut step = "an empty mirror";
    for again in ["without differences", "10 users have disappeared", ""] {
        // Peaks of earlier steps don't count.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let idle = megabytes("VmRSS:");
        LONGEST.store(0, Ordering::Relaxed);
        let waiting = (step != "an empty mirror").then(|| tokio::spawn(deliveries(mirror.clone())));
        let (start, waited) = (Instant::now(), skip.now());
        let report = reconciler.run().await.unwrap();
        let seconds = start.elapsed().as_secs_f64();
        if let Some(waiting) = waiting {
            waiting.abort();
        }
        let memory = megabytes("VmHWM:").saturating_sub(idle);
        let budget = (skip.now() - waited).as_secs();
        println!(
            "  {step:<28} {:>6} requests  {memory:>4} MB  {seconds:>7.1} s  budgets {budget:>5} s  a delivery waited at most {:>5} ms",
            report.requests,
            LONGEST.load(Ordering::Relaxed)
        );
        check(step, &report, all);
        assert!(memory <= MEGABYTES, "{database}: {memory} MB for {step}");
        if again == "10 users have disappeared" {
            println!("remove");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            // The margin of the second run must be later than the first.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        step = again;
    }
}

fn check(step: &str, report: &ReconcileReport, pages: u64) {
    assert!(report.is_complete(), "{step}: {:?}", report.directories);
    let limit = pages * 11 / 10 + report.confirmations;
    assert!(report.requests <= limit, "{step}: {} requests for {pages} pages", report.requests);
    let applied = report.total(DriftAction::Applied);
    match step {
        "an empty mirror" => assert!(applied >= 4 * u64::from(users())),
        "without differences" => assert_eq!(applied, 0),
        _ => assert_eq!((applied, report.confirmations), (10 * 4, 10)),
    }
}

fn start(role: &str, url: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(env::args().skip(1))
        .env("REPAIR_ROLE", role)
        .env("REPAIR_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match env::var("REPAIR_ROLE").as_deref() {
        Ok("emulator") => return runtime.block_on(serve()),
        Ok(database) => {
            return runtime.block_on(compare(database, &env::var("REPAIR_URL").unwrap()));
        }
        Err(_) => {}
    }
    for database in ["SQLite", "Postgres"] {
        let (mut emulator, mut out) = start("emulator", "");
        let mut url = String::new();
        out.read_line(&mut url).unwrap();
        let (mut compared, lines) = start(database, url.trim());
        for line in lines.lines() {
            let line = line.unwrap();
            if line != "remove" {
                println!("{line}");
                continue;
            }
            writeln!(emulator.stdin.as_mut().unwrap()).unwrap();
            out.read_line(&mut url).unwrap();
            writeln!(compared.stdin.as_mut().unwrap()).unwrap();
        }
        assert!(compared.wait().unwrap().success());
        drop(emulator.stdin.take());
        out.read_to_string(&mut url).unwrap();
        assert!(emulator.wait().unwrap().success());
    }
}
