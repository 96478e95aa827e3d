//! Waiting readers receive new changes without polling, or by polling where the database can't wake them.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tower_workos_mirror::{ChangeKind, Changes, Mirror, MirrorPool};

use crate::{
    database::{Database, on_both, on_postgres, postgres_options},
    joined, soon,
};

/// Applies an event when the reader waits, and returns after the reader received its changes.
async fn wakes(reader: &mut Changes, writer: &Mirror, user: &str) {
    let event = joined(user);
    let (changes, applied) = tokio::join!(
        async {
            for kind in [ChangeKind::UserCreated, ChangeKind::UserGranted] {
                assert_eq!(soon(reader.next()).await.unwrap().unwrap().kind, kind);
            }
        },
        async {
            sleep(Duration::from_millis(200)).await;
            writer.apply(&event).await.unwrap();
        }
    );
    ((), ()) = (changes, applied);
}

#[tokio::test]
async fn a_commit_wakes_readers_of_the_same_mirror() {
    on_both(async |database| {
        // A pool of this size can't listen.
        let mirror = database.builder(database.pool(1).await);
        let mirror = mirror.poll_interval(Duration::from_secs(60)).build().unwrap();
        let mut reader = mirror.changes(0);
        wakes(&mut reader, &mirror.clone(), "a").await;
        wakes(&mut reader, &mirror.clone(), "b").await;
    })
    .await;
}

#[tokio::test]
async fn a_commit_of_another_process_wakes_readers() {
    on_postgres(async |database| {
        let (reader, writer) = (database.mirror().await, database.mirror().await);
        let (mut one, mut other) = (reader.changes(0), reader.changes(0));
        for user in ["a", "b", "c"] {
            wakes(&mut one, &writer, user).await;
        }
        // It has waited for the same listener.
        for _ in 0..6 {
            soon(other.next()).await.unwrap().unwrap();
        }
        let mut after = reader.changes(reader.feed_range().await.unwrap().end);
        wakes(&mut after, &writer, "d").await;
    })
    .await;
}

#[tokio::test]
async fn the_commit_of_an_application_wakes_readers() {
    on_postgres(async |database| {
        let mirror = database.mirror().await;
        let mut reader = mirror.changes(0);
        let MirrorPool::Postgres(pool) = mirror.pool() else { return };
        let commit = async {
            sleep(Duration::from_millis(200)).await;
            let mut transaction = pool.begin().await.unwrap();
            mirror.apply_in(&mut transaction, &joined("a")).await.unwrap();
            transaction.commit().await.unwrap();
        };
        let (change, ()) = tokio::join!(soon(reader.next()), commit);
        assert_eq!(change.unwrap().unwrap().kind, ChangeKind::UserCreated);
    })
    .await;
}

async fn listeners(database: &Database) -> u64 {
    let Database::Postgres { schema, .. } = database else { return 0 };
    // Each mirror of these tests has its own application name.
    database
        .count(&format!(
            "pg_stat_activity WHERE application_name = '{schema}' AND query LIKE 'LISTEN%'"
        ))
        .await
}

#[tokio::test]
async fn the_streams_of_a_mirror_share_a_listener() {
    on_postgres(async |database| {
        let Database::Postgres { schema, .. } = database else { return };
        let options = postgres_options().application_name(schema);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let mirror = database.builder(pool.into()).build().unwrap();
        let writer = database.mirror().await;
        assert_eq!(listeners(database).await, 0);
        let (mut one, mut two) = (mirror.changes(0), mirror.changes(0));
        tokio::join!(wakes(&mut one, &writer, "a"), async {
            soon(two.next()).await.unwrap().unwrap()
        });
        assert_eq!(listeners(database).await, 1);
        drop(one);
        assert_eq!(listeners(database).await, 1);
        drop(two);
        soon(async {
            while listeners(database).await > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        // And again.
        wakes(&mut mirror.changes(mirror.feed_range().await.unwrap().end), &writer, "b").await;
    })
    .await;
}

#[tokio::test]
async fn readers_listen_again_after_the_connection_was_lost() {
    on_postgres(async |database| {
        let Database::Postgres { schema, .. } = database else { return };
        let options = postgres_options().application_name(schema);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let mirror = database.builder(pool.into());
        let mirror = mirror.poll_interval(Duration::from_secs(60)).build().unwrap();
        let writer = database.mirror().await;
        let mut reader = mirror.changes(0);
        wakes(&mut reader, &writer, "a").await;
        let sql = format!(
            "SELECT CAST(pg_terminate_backend(pid) AS text) FROM pg_stat_activity \
             WHERE application_name = '{schema}' AND query LIKE 'LISTEN%'"
        );
        assert_eq!(database.texts(&sql).await, ["true"]);
        wakes(&mut reader, &writer, "b").await;
    })
    .await;
}

#[tokio::test]
async fn readers_poll_where_they_can_not_listen() {
    on_both(async |database| {
        let reader = database.builder(database.pool(1).await);
        let reader = reader.poll_interval(Duration::from_millis(100)).build().unwrap();
        let writer = database.mirror().await;
        let mut changes = reader.changes(0);
        wakes(&mut changes, &writer, "a").await;
        wakes(&mut changes, &writer, "b").await;
    })
    .await;
}

#[tokio::test]
async fn readers_poll_if_notifications_do_not_arrive() {
    on_postgres(async |database| {
        let options = postgres_options();
        let pooler = pooler(format!("{}:{}", options.get_host(), options.get_port())).await;
        let options = options.host("127.0.0.1").port(pooler);
        let options = options.ssl_mode(sqlx::postgres::PgSslMode::Disable);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let reader = database.builder(pool.into());
        let reader = reader.poll_interval(Duration::from_millis(100)).build().unwrap();
        let writer = database.mirror().await;
        let mut changes = reader.changes(0);
        wakes(&mut changes, &writer, "a").await;
        // By now, it has waited for its notification in vain.
        sleep(Duration::from_secs(2)).await;
        wakes(&mut changes, &writer, "b").await;
    })
    .await;
}

/// A proxy that swallows notifications, like a pooler whose server connections belong to a client only for a transaction.
async fn pooler(server: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                loop {
                    let kind = from_server.read_u8().await?;
                    let length = from_server.read_u32().await?;
                    let mut message = vec![0; usize::try_from(length).unwrap() - 4];
                    from_server.read_exact(&mut message).await?;
                    if kind != b'A' {
                        to_client.write_u8(kind).await?;
                        to_client.write_u32(length).await?;
                        to_client.write_all(&message).await?;
                    }
                }
                #[allow(unreachable_code, reason = "for the type of the error")]
                Ok::<_, std::io::Error>(())
            });
        }
    });
    port
}
