//! Runs the examples as a user does, with real processes, sockets and databases.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod databases;
#[path = "../../../tests/examples/driver.rs"]
mod driver;

use databases::Schema;
use driver::{Example, post};
use sqlx::Row;
use tower_workos::{
    WebhookSecret,
    testing::{Signer, sample},
};

/// The package that contains the examples.
const PACKAGE: &str = env!("CARGO_PKG_NAME");

/// Both examples print one line that starts with "handled" for each event. The response to duplicates is also 200.
fn handles_each_event_once(name: &str, settings: &[(&str, &str)]) {
    let mut example = Example::start_with(name, None, settings);
    let text = example.read_until("Ctrl-C to stop");
    assert_eq!(
        text.lines().filter(|line| line.trim().starts_with("handled")).count(),
        2,
        "{name}: {text}"
    );
    assert_eq!(text.matches("response: 200").count(), 4, "{name}: {text}");
    let (code, out, err) = example.interrupt();
    assert_eq!((code, out.as_str()), (Some(0), "bye\n"), "{name}: {err}");

    // The record survives a restart.
    let secret = "whsec_of_an_endpoint";
    let signer = Signer::new(WebhookSecret::new(secret).unwrap());
    let id = format!("event_{}", std::process::id());
    for life in 0..2 {
        let example = Example::start_with(name, Some(secret), settings);
        let delivery = signer.sign(sample::USER_DEACTIVATED.with_id(&id));
        assert_eq!(post(delivery.into_request(example.address.clone()).unwrap()), 200);
        let (_, out, _) = example.interrupt();
        assert_eq!(out.contains(&id), life == 0, "{name}, life {life}: {out}");
    }
}

#[test]
fn dedupe_sqlite_handles_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    handles_each_event_once("dedupe_sqlite", &[("DEDUPE_DB", file.to_str().unwrap())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dedupe_postgres_handles_each_event_once() {
    let Some(schema) = Schema::create().await else { return };
    let url = format!("{}?options[search_path]={}", databases::postgres_url(), schema.name);
    let run = move || handles_each_event_once("dedupe_postgres", &[("DATABASE_URL", &url)]);
    tokio::task::spawn_blocking(run).await.unwrap();
    let row = sqlx::query("SELECT count(*), count(DISTINCT event_id) FROM example_leavers")
        .fetch_one(&schema.pool().await)
        .await
        .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (3, 3));
    schema.drop().await;
}
