//! A prefix and the name of a queue are parts of the names of schemas and streams.

use sqlx::AssertSqlSafe;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Inbox, Queue};

use crate::support::{Handled, Kind, Place, events, on_engines, run, until};

on_engines!(nats Nats: pairs_that_join_to_the_same_text_share_nothing);
on_engines!(postgres Postgres: pairs_that_join_to_the_same_text_share_nothing);

async fn queue(place: &Place, prefix: &str, name: &str) -> Queue<DirectoryEvent> {
    let builder = match place.kind {
        Kind::Nats => {
            let client = async_nats::connect(&place.url).await.unwrap();
            Inbox::builder(async_nats::jetstream::new(client))
        }
        Kind::Postgres => Inbox::builder(place.postgres().await),
        Kind::Sqlite => unreachable!("the prefix and the queue are in different columns"),
    };
    let queue = builder.prefix(prefix).name(name).build().unwrap();
    queue.migrate().await.unwrap();
    queue
}

async fn pairs_that_join_to_the_same_text_share_nothing(place: &Place) {
    let prefix = format!("{}hr_", place.prefix);
    let one = queue(place, &place.prefix, "hr_inbox").await;
    let other = queue(place, &prefix, "inbox").await;
    let events = events(21);
    for event in &events[..20] {
        one.store(event).await.unwrap();
    }
    // If it had the items of the first queue, it would begin with them.
    let handled = Handled::default();
    let running = run(other.worker(handled.service()).concurrency(1));
    other.store(&events[20]).await.unwrap();
    let last = events[20].id().as_str();
    until("the last is handled", async || handled.sorted().iter().any(|id| id == last)).await;
    until("nothing is left", async || other.status().await.unwrap().depth == 0).await;
    running.stop().await;
    assert_eq!(handled.sorted(), [last]);
    assert_eq!(one.status().await.unwrap().depth, 20);

    let handled = Handled::default();
    let running = run(one.worker(handled.service()));
    until("the others are handled", async || handled.len() == 20).await;
    until("nothing is left", async || one.status().await.unwrap().depth == 0).await;
    running.stop().await;
    let others: Vec<_> = events[..20].iter().map(|event| event.id().as_str()).collect();
    assert_eq!(handled.sorted(), others);
    if place.kind == Kind::Postgres {
        let sql = format!("DROP TABLE {prefix}inbox_job, {prefix}inbox_migration");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&place.postgres().await).await.unwrap();
    }
}
