//! Items whose process ended before are handled one at a time, in case one of them was the cause.

use std::{
    io,
    sync::{Arc, Mutex},
};

use sqlx::AssertSqlSafe;
use tower::service_fn;
use tower_workos::DirectoryEvent;

use crate::support::{Handled, Kind, Place, events, on_engines, run, until};

on_engines!(postgres Postgres: one_that_hangs_does_not_stop_the_others);
on_engines!(sqlite Sqlite: one_that_hangs_does_not_stop_the_others);

/// Changes the table as if the process had been killed while it handled all items.
async fn kill(place: &Place) {
    let prefix = &place.prefix;
    match place.kind {
        Kind::Postgres => {
            let sql =
                format!("UPDATE \"{prefix}$inbox_graphile_worker\"._private_jobs SET attempts = 1");
            let pool = place.postgres().await;
            assert_eq!(
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap().rows_affected(),
                16
            );
        }
        Kind::Sqlite => {
            let sql = format!("UPDATE {prefix}inbox_job SET open_claims = 1, attempts = 1");
            let pool = place.sqlite().await;
            assert_eq!(
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap().rows_affected(),
                16
            );
        }
        Kind::Nats => unreachable!("not tested"),
    }
}

async fn one_that_hangs_does_not_stop_the_others(place: &Place) {
    let inbox = place.inbox().await;
    let events = events(20);
    // As many as there are places.
    for event in &events[..16] {
        inbox.store(event).await.unwrap();
    }
    kill(place).await;

    let handled = Handled::default();
    let hanging = Arc::new(Mutex::new(None));
    let service = {
        let (handled, hanging) = (handled.clone(), hanging.clone());
        service_fn(move |event: DirectoryEvent| {
            let (handled, hanging) = (handled.clone(), hanging.clone());
            async move {
                let is_first = {
                    let mut hanging = hanging.lock().unwrap();
                    let is_first = hanging.is_none();
                    hanging.get_or_insert(event.id().as_str().to_owned());
                    is_first
                };
                if is_first {
                    std::future::pending::<()>().await;
                }
                handled.add(&event);
                Ok::<_, io::Error>(())
            }
        })
    };
    let running = run(inbox.worker(service));
    until("one hangs", async || hanging.lock().unwrap().is_some()).await;
    for event in &events[16..] {
        inbox.store(event).await.unwrap();
    }
    until("the others are handled", async || handled.len() == 19).await;
    until("their ends are stored", async || inbox.status().await.unwrap().depth == 1).await;
    let hanging = hanging.lock().unwrap().clone().unwrap();
    let mut others: Vec<_> = events.iter().map(|event| event.id().as_str().to_owned()).collect();
    others.retain(|id| *id != hanging);
    assert_eq!(handled.sorted(), others);
    running.kill().await;
}
