//! The example `app` and the command `dsync simulate --check`, as a user runs them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod databases;
mod folded;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Once,
};

use app::{SECRET, driver::program, setting, start, url};
use databases::{Database, on_postgres, on_sqlite};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// The `dsync` program, built with the profile of this test.
fn dsync() -> PathBuf {
    static BUILD: Once = Once::new();
    let examples = program("app");
    let profile = examples.parent().unwrap().parent().unwrap();
    BUILD.call_once(|| {
        let name = match profile.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let mut cargo = app::driver::nested::cargo();
        cargo.args(["build", "--quiet", "--offline", "--package", "dsync-cli", "--all-features"]);
        // With an example, its dependencies have the same features as in the tests of that package, and are not built twice.
        cargo.args(["--bin", "dsync", "--example", "answer", "--profile", name]);
        assert!(cargo.status().unwrap().success(), "dsync doesn't build");
    });
    profile.join("dsync")
}

/// Runs the command that the example prints, with disorder.
async fn simulate(database: &Database, seed: usize) {
    let mut app = start(&url(database));
    let command = app.read_until("dsync simulate");
    let mut arguments = command.split_whitespace();
    assert_eq!(arguments.next(), Some("dsync"));
    let output = tokio::process::Command::new(dsync())
        .args(arguments)
        .args(["--seed", &seed.to_string(), "--concurrency", "32", "--retry"])
        .args(["--duplicates", "5%", "--reorder", "50", "--late", "2%"])
        .env("WORKOS_WEBHOOK_SECRET", SECRET)
        .output()
        .await
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "seed {seed}: {out}{err}");
    for line in ["acknowledged  1,000 events", "retried       0", "the state is as expected"] {
        assert!(out.contains(line), "seed {seed}: {out}");
    }
    let (code, _, err) = app.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), ""), "seed {seed}");
}

/// The seeds for each of the two databases.
fn seeds() -> std::ops::RangeInclusive<usize> {
    1..=setting("SIMULATE_SEEDS", 20).div_ceil(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_seeds_on_sqlite() {
    for seed in seeds() {
        on_sqlite(async |database| simulate(database, seed).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_seeds_on_postgres() {
    for seed in seeds() {
        on_postgres(async |database| simulate(database, 1_000_000 + seed).await).await;
    }
}

async fn get(url: String) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_is_503() {
    databases::on_both(async |database| {
        let app = start(&url(database));
        let empty = r#"{"directories":[],"groups":[],"users":[],"memberships":[],"access":[]}"#;
        assert_eq!(get(format!("{}/state", app.address)).await, (200, empty.to_owned()));
        assert_eq!(get(format!("{}/users", app.address)).await.0, 200);
        database.run("ALTER TABLE workos_mirror_user RENAME TO elsewhere").await;
        for path in ["state", "users"] {
            let response = get(format!("{}/{path}", app.address)).await;
            assert_eq!(response, (503, String::new()), "{path}");
        }
    })
    .await;
}

/// Runs the example, which can't start. Returns its exit code, output and errors.
fn failing(settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(program("app"));
    command.env("PORT", "0").env("WORKOS_WEBHOOK_SECRET", SECRET).envs(settings.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn bad_settings_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("app.db").display());
    let file = folder.path().join("text.db");
    std::fs::write(&file, "not a database ".repeat(100)).unwrap();
    let file = format!("sqlite:{}", file.display());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    for (name, value, expected) in [
        ("DATABASE_URL", "", "must begin with postgres: or sqlite:"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/app", "must begin with postgres:"),
        ("DATABASE_URL", "postgres://root:hunter2@127.0.0.1:x/app", "is not valid"),
        ("DATABASE_URL", "postgres://root:hunter2@127.0.0.1:1/app", "can't be reached"),
        ("DATABASE_URL", "sqlite:/no/folder/app.db", "unable to open database file"),
        ("DATABASE_URL", &file, "file is not a database"),
        ("PORT", &taken, "can't listen on 127.0.0.1:"),
        ("PORT", "abc", "can't listen on 127.0.0.1:abc: invalid port value"),
        ("PORT", "70000", "can't listen on 127.0.0.1:70000: invalid port value"),
        ("WORKOS_WEBHOOK_SECRET", "", "the webhook secret is empty"),
        ("WORKOS_WEBHOOK_SECRET", "\"hunter2\"", "the webhook secret is in quotes"),
    ] {
        let (code, out, err) = failing(&[("DATABASE_URL", &database), (name, value)]);
        let what = format!("{name}={value}: {err}");
        assert_eq!((code, out.as_str()), (Some(1), ""), "{what}");
        assert!(err.starts_with("error: ") && err.contains(expected), "{what}");
        assert!(err.ends_with('\n') && err.lines().count() == 1, "{what}");
        assert!(!err.contains("hunter2"), "{what}");
    }
}
