//! The feed, the history and the dead letters are purged by age, and every reader notices.

use std::time::Duration;

use tower_workos_mirror::{FeedError, Mirror};

use crate::{
    database::{Database, on_both},
    group, joined, numbers, soon, take,
};

/// A mirror that keeps nothing, and so purges everything that was written before.
async fn forgetful(database: &Database) -> Mirror {
    let builder = database.builder(database.pool(4).await);
    builder.retention(Duration::ZERO).dead_letter_retention(Duration::ZERO).build().unwrap()
}

#[tokio::test]
async fn a_reader_older_than_the_purge_gets_an_error() {
    on_both(async |database| {
        let mirror = forgetful(database).await;
        let changes = mirror.apply_all(&[joined("a"), group("g")]).await.unwrap();
        let (mut reader, last) = (mirror.changes(0), changes[2].seq);
        take(&mut reader, 1).await;
        assert_eq!(mirror.upkeep().await.unwrap().changes, 3);

        let mut late = mirror.changes(changes[1].seq);
        match soon(late.next()).await {
            Some(Err(FeedError::Purged { after, purged, .. })) => {
                assert_eq!((after, purged), (changes[1].seq, last));
            }
            other => panic!("{other:?}"),
        }
        assert!(soon(late.next()).await.is_none());
        let range = mirror.feed_range().await.unwrap();
        assert_eq!((range.start, range.end), (last, last));
        // Nothing is missing after the last purged change.
        let more = mirror.apply(&joined("b")).await.unwrap();
        assert_eq!(mirror.changes_page(last, 10).await.unwrap(), more);
    })
    .await;
}

#[tokio::test]
async fn a_purge_during_reading_is_never_a_gap() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let events: Vec<_> = (0..1900).map(|n| group(&format!("g{n}"))).collect();
        let expected = numbers(&mirror.apply_all(&events).await.unwrap());
        let mut reader = mirror.changes(0);
        let mut read = numbers(&take(&mut reader, 10).await);
        // The reader has a page in memory while more than that is purged, in several transactions.
        let last = expected[1199];
        database
            .execute(&format!(
                "UPDATE workos_mirror_change SET recorded_at = 0 WHERE seq <= {last}"
            ))
            .await;
        assert_eq!(mirror.upkeep().await.unwrap().changes, 1200);
        let error = loop {
            match soon(reader.next()).await.unwrap() {
                Ok(change) => read.push(change.seq),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, FeedError::Purged { purged, .. } if purged == last), "{error:?}");
        assert!(read.len() < 1200);
        assert_eq!(read, expected[..read.len()]);
        assert_eq!(numbers(&take(&mut mirror.changes(last), 700).await), expected[1200..]);
    })
    .await;
}

#[tokio::test]
async fn a_change_is_kept_behind_one_that_is_kept() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let events: Vec<_> = (0..4).map(|n| group(&format!("g{n}"))).collect();
        let all = mirror.apply_all(&events).await.unwrap();
        // The clock of a replica was wrong when it wrote the third change.
        let third = all[2].seq;
        database
            .execute(&format!(
                "UPDATE workos_mirror_change SET recorded_at = 0 WHERE seq <> {third}"
            ))
            .await;
        assert_eq!(mirror.upkeep().await.unwrap().changes, 2);
        assert_eq!(numbers(&mirror.changes_page(all[1].seq, 9).await.unwrap()), numbers(&all[2..]));
        assert_eq!(mirror.upkeep().await.unwrap(), Default::default());
    })
    .await;
}

#[tokio::test]
async fn history_and_dead_letters_are_purged_by_age() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let events: Vec<_> = (0..700).map(|n| group(&format!("g{n}"))).collect();
        mirror.apply_all(&events).await.unwrap();
        let bytes = if database.is_postgres() { "'\\x00'::bytea" } else { "x'00'" };
        for (hash, arrived) in [("old", "0"), ("new", "9000000000000000")] {
            database
                .execute(&format!(
                    "INSERT INTO workos_mirror_dead_letter (reason, body, body_hash, arrived_at) \
                     VALUES ('', {bytes}, '{hash}', {arrived})"
                ))
                .await;
        }
        database
            .execute("UPDATE workos_mirror_applied SET arrived_at = 1 WHERE group_id <> 'g7'")
            .await;
        let done = mirror.upkeep().await.unwrap();
        assert_eq!((done.events, done.dead_letters, done.changes), (699, 1, 0));
        let kept = database.texts("SELECT body_hash FROM workos_mirror_dead_letter").await;
        assert_eq!(kept, ["new"]);
        assert_eq!(database.count("workos_mirror_applied").await, 1);
        assert_eq!(mirror.upkeep().await.unwrap(), Default::default());
    })
    .await;
}
