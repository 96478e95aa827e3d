//! The tables and schemas of queues in PostgreSQL.

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tower_workos_inbox::{Inbox, InboxErrorKind, Stored};

use crate::{
    postgres::{count, execute, is_empty, postgres_tests},
    support::{Handled, Kind, Place, events, run, until},
};

postgres_tests!(
    migrations_do_not_touch_what_the_application_has,
    names_that_are_too_long_are_rejected,
    queues_and_prefixes_do_not_mix,
    queues_that_only_differ_in_the_search_path_share_nothing,
    without_tables_the_kind_says_so,
);

mod test {
    use super::*;

    pub(super) async fn migrations_do_not_touch_what_the_application_has(place: &Place) {
        let (server, name) = (place.postgres().await, format!("{}app", place.prefix));
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let options: PgConnectOptions = place.url.parse().unwrap();
        let options = options.database(&name);
        let pool = PgPoolOptions::new().connect_with(options.clone()).await.unwrap();
        execute(&pool, "CREATE TABLE _sqlx_migrations (version bigint)").await;
        execute(&pool, "CREATE SCHEMA graphile_worker").await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let options = options.clone();
                tokio::spawn(async move {
                    let pool = PgPoolOptions::new().max_connections(2);
                    let pool = pool.connect_with(options).await.unwrap();
                    let inbox = Inbox::new(pool.clone());
                    inbox.migrate().await.unwrap();
                    inbox.migrate().await.unwrap();
                    inbox.store(&events(1)[0]).await.unwrap();
                    pool.close().await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let handled = Handled::default();
        let inbox = Inbox::new(pool.clone());
        let running = run(inbox.worker(handled.service()));
        until("it is handled", async || is_empty(&inbox).await).await;
        running.stop().await;
        assert_eq!(handled.len(), 1);
        let schemas: Vec<String> = sqlx::query_scalar(
            "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%graphile%' ORDER BY 1",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        assert_eq!(schemas, ["graphile_worker", "workos_$inbox_graphile_worker"]);
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace \
             WHERE relkind = 'r' AND nspname IN ('public', 'graphile_worker') ORDER BY 1",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        let ours =
            ["public._sqlx_migrations", "public.workos_inbox_job", "public.workos_inbox_migration"];
        assert_eq!(tables, ours);
        assert_eq!(count(&pool, "SELECT count(*) FROM _sqlx_migrations").await, 0);
        drop(inbox);
        pool.close().await;
        execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }

    pub(super) async fn queues_that_only_differ_in_the_search_path_share_nothing(place: &Place) {
        let pool = place.postgres().await;
        let (mut inboxes, mut handled) = (Vec::new(), Vec::new());
        for schema in ["a", "b"].map(|it| format!("{}{it}", place.prefix)) {
            execute(&pool, format!("CREATE SCHEMA {schema}")).await;
            let options: PgConnectOptions = place.url.parse().unwrap();
            let options = options.options([("search_path", &schema)]);
            let pool = PgPool::connect_with(options).await.unwrap();
            let inbox = Inbox::builder(pool).prefix(&place.prefix).build().unwrap();
            inbox.migrate().await.unwrap();
            inboxes.push(inbox);
            handled.push(Handled::default());
        }
        // The rows have the same numbers.
        for event in events(10) {
            inboxes[0].store(&event).await.unwrap();
        }
        for event in &events(20)[10..] {
            inboxes[1].store(event).await.unwrap();
        }
        let running = run(inboxes[0].worker(handled[0].service()));
        until("the first queue is empty", async || is_empty(&inboxes[0]).await).await;
        assert_eq!(inboxes[1].status().await.unwrap().depth, 10);
        let other = run(inboxes[1].worker(handled[1].service()));
        until("the second queue is empty", async || is_empty(&inboxes[1]).await).await;
        running.stop().await;
        other.stop().await;
        assert_eq!(handled[0].sorted()[0], "event_00000");
        assert_eq!(handled[1].sorted()[0], "event_00010");
        assert_eq!((handled[0].len(), handled[1].len()), (10, 10));
    }

    pub(super) async fn names_that_are_too_long_are_rejected(place: &Place) {
        let pool = place.postgres().await;
        let name = |length| "q".repeat(length);
        let long = |queue| Inbox::builder(pool.clone()).prefix(name(18)).name(name(queue)).build();
        assert!(long(28).is_ok());
        assert_eq!(long(29).unwrap_err().kind(), InboxErrorKind::Config);
    }

    pub(super) async fn queues_and_prefixes_do_not_mix(place: &Place) {
        let other = format!("{}x_", place.prefix);
        let mut handlers = Vec::new();
        for (prefix, name) in
            [(&place.prefix, "inbox"), (&place.prefix, "second"), (&other, "inbox")]
        {
            let pool = place.postgres().await;
            let inbox = Inbox::builder(pool).prefix(prefix).name(name).build().unwrap();
            inbox.migrate().await.unwrap();
            let handled = Handled::default();
            let running = run(inbox.worker(handled.service()));
            handlers.push((inbox, handled, running));
        }
        let events = events(30);
        for (inbox, _, _) in &handlers {
            for event in &events {
                assert_eq!(inbox.store(event).await.unwrap(), Stored::New);
            }
        }
        for (inbox, handled, running) in handlers {
            until("all are handled", async || is_empty(&inbox).await).await;
            running.stop().await;
            let expected: Vec<_> = events.iter().map(|it| it.id().as_str().to_owned()).collect();
            assert_eq!(handled.sorted(), expected);
        }
        let drop = format!("DROP TABLE {other}inbox_job, {other}inbox_migration");
        execute(&place.postgres().await, drop).await;
    }

    pub(super) async fn without_tables_the_kind_says_so(place: &Place) {
        let pool = place.postgres().await;
        let inbox = Inbox::builder(pool.clone()).prefix(&place.prefix).build().unwrap();
        let handled = Handled::default();
        let worker = || inbox.worker(handled.service()).run_until(std::future::pending());
        let kind = InboxErrorKind::NotMigrated;
        assert_eq!(worker().await.unwrap_err().kind(), kind);
        assert_eq!(inbox.store(&events(1)[0]).await.unwrap_err().kind(), kind);
        inbox.migrate().await.unwrap();
        execute(&pool, format!("DROP SCHEMA {}$inbox_graphile_worker CASCADE", place.prefix)).await;
        assert_eq!(worker().await.unwrap_err().kind(), kind);
        assert_eq!(inbox.store(&events(1)[0]).await.unwrap_err().kind(), kind);
        assert!(is_empty(&inbox).await);
        inbox.migrate().await.unwrap();
        assert_eq!(inbox.store(&events(1)[0]).await.unwrap(), Stored::New);
    }
}
