//! A PostgreSQL database that can't store every character.

use std::{
    borrow::Cow,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Barrier;
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Inbox, Payload, Permanent, Queue, Retry, Stored};

use crate::{
    postgres::execute,
    support::{Place, events, on_engines, run, until},
};

on_engines!(
    postgres Postgres:
    an_error_that_cannot_be_stored_strands_nothing,
    keys_and_names_of_any_language_are_stored
);

/// LATIN1 does not contain this apostrophe.
const ERROR: &str = "can\u{2019}t connect";
const STORED: &str = "the handler failed with an error that the database can't store";

/// Creates a database for the test.
async fn latin1(place: &Place) -> (PgPool, String) {
    let name = format!("{}latin1", place.prefix);
    let create = format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    execute(&place.postgres().await, create).await;
    let options: PgConnectOptions = place.url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(20);
    (pool.connect_with(options.database(&name)).await.unwrap(), name)
}

async fn drop_database(place: &Place, pool: PgPool, name: String) {
    pool.close().await;
    execute(&place.postgres().await, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

async fn an_error_that_cannot_be_stored_strands_nothing(place: &Place) {
    let (pool, name) = latin1(place).await;
    let inbox = Inbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    // All end at the same time, so that graphile_worker completes them together.
    let together = Arc::new(Barrier::new(8));
    let service = {
        let calls = calls.clone();
        service_fn(move |event: DirectoryEvent| {
            let (calls, together) = (calls.clone(), together.clone());
            async move {
                calls.fetch_add(1, Ordering::Relaxed);
                together.wait().await;
                match event.id().as_str() {
                    "event_00000" => Err(io::Error::other(ERROR)),
                    "event_00001" => Err(io::Error::other(Permanent::new(ERROR))),
                    _ => Ok(()),
                }
            }
        })
    };
    let hour = Duration::from_secs(60 * 60);
    let running = run(inbox.worker(service).retry(Retry::default().wait(hour, hour)));
    let mut transaction = pool.begin().await.unwrap();
    inbox.store_in(&mut transaction, &events(8)).await.unwrap();
    transaction.commit().await.unwrap();
    let status = async || inbox.status().await.unwrap();
    until("one waits", async || (status().await.depth, status().await.dead) == (1, 1)).await;
    running.stop().await;
    assert_eq!(calls.load(Ordering::Relaxed), 8);
    let letters = inbox.dead_letters(0, 10).await.unwrap();
    let letters: Vec<_> = letters.iter().map(|letter| (&*letter.key, &*letter.error)).collect();
    assert_eq!(letters, [("event_00001", STORED)]);
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT key, error FROM workos_inbox_job WHERE state = 0")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(rows, [("event_00000".to_owned(), STORED.to_owned())]);
    drop_database(place, pool, name).await;
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Odd {
    key: String,
    name: String,
}

impl Payload for Odd {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

async fn keys_and_names_of_any_language_are_stored(place: &Place) {
    let (pool, name) = latin1(place).await;
    let queue: Queue<Odd> = Queue::new(pool.clone());
    queue.migrate().await.unwrap();
    let odd = |key: &str, name: &str| Odd { key: key.to_owned(), name: name.to_owned() };
    let items = [odd("1", "user.created.\u{3b1}"), odd("event_\u{3b1}", "user.created")];
    let mut stored = Vec::new();
    for item in &items {
        stored.push(queue.store(item).await.ok());
    }
    assert_eq!(stored, [Some(Stored::New), Some(Stored::New)]);
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT key, name FROM workos_inbox_job ORDER BY seq")
            .fetch_all(&pool)
            .await
            .unwrap();
    // The hash of the key's UTF-8.
    let hash = "sha256:af1438e4cde32202b4ce69adc754f0751fb3cac2540127fe148b76e41967fcdc";
    let expected = [("1", "user.created.\\u{3b1}"), (hash, "user.created")];
    assert_eq!(rows, expected.map(|(key, name)| (key.to_owned(), name.to_owned())));
    drop_database(place, pool, name).await;
}
