//! Live updates.

use std::time::{Duration, Instant};

use axum::Router;
use http::StatusCode;
use tower_workos_mirror::{
    Mirror,
    page::{DirectoryPage, unprotected},
};

use crate::{
    client::{open, page, rows, text},
    databases::{Database, on_both, on_sqlite},
    events::{directory, group, joined, user},
    server::{Event, SOON, stream, try_open},
};

/// A page with live updates that only the test ends.
fn with_limit(mirror: &Mirror, streams: usize) -> Router {
    let page = DirectoryPage::new(mirror.clone()).max_streams(streams);
    let _ = page.live_updates();
    page.router(unprotected())
}

async fn sequence(mirror: &Mirror) -> Vec<i64> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = mirror.changes_page(after, 1000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.seq;
        all.extend(page.iter().map(|change| change.seq));
    }
}

#[tokio::test]
async fn each_event_is_a_row_of_the_page() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        let mut events = stream(&app, "/events?after=0", None).await;
        assert_eq!(events.headers["cache-control"], "no-store");
        assert_eq!(events.headers["x-accel-buffering"], "no");
        mirror.apply_all(&[directory("d"), group("g"), joined(1)]).await.unwrap();
        let mut streamed = Vec::new();
        for seq in sequence(&mirror).await {
            let event = events.next().await.unwrap();
            assert_eq!((event.name.as_str(), event.id.as_str()), ("change", &*seq.to_string()));
            assert!(event.data.starts_with(&format!("<tr id=\"c{seq}\"")), "{}", event.data);
            streamed.push(text(&event.data));
        }
        assert!(events.is_silent().await);
        streamed.reverse();
        assert_eq!(streamed, rows(&page(&app, "/changes").await, "feed"));
        assert!(streamed[0].contains("Ada Quint") && streamed[0].contains("Access granted"));
    })
    .await;
}

#[tokio::test]
async fn a_name_with_line_breaks_is_one_event() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        let mut events = stream(&app, "/events", None).await;
        let mut data = crate::events::user_data("u", "active", 1);
        data["first_name"] = "A\r\nid: 9\n\ndata: x\revent: lagged\u{2028}".into();
        data["email"] = "\n\n".into();
        mirror.apply(&crate::events::event("1", "user.created", 1, &data)).await.unwrap();
        let expected = sequence(&mirror).await;
        assert_eq!(events.take(2).await, expected);
        assert!(events.is_silent().await);
    })
    .await;
}

/// A browser that loses its connection again and again.
#[tokio::test]
async fn a_reconnect_misses_nothing_and_repeats_nothing() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        let writer = mirror.clone();
        let writing = tokio::spawn(async move {
            for number in 0..150 {
                writer.apply_all(&[joined(2 * number), joined(2 * number + 1)]).await.unwrap();
            }
        });
        let (mut received, mut last, mut size) = (Vec::new(), None::<String>, 1);
        while received.len() < 600 {
            let mut events = stream(&app, "/events?after=0", last.as_deref()).await;
            size = (size * 7 + 3) % 31;
            received.extend(events.take(size.min(600 - received.len())).await);
            last = received.last().map(i64::to_string);
        }
        writing.await.unwrap();
        assert_eq!(received, sequence(&mirror).await);
        let mut rest = stream(&app, "/events?after=0", last.as_deref()).await;
        assert!(rest.is_silent().await);
    })
    .await;
}

#[tokio::test]
async fn where_a_stream_begins() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        mirror.apply_all(&[joined(1), joined(2)]).await.unwrap();
        assert_eq!(stream(&app, "/events?after=1", None).await.take(3).await, [2, 3, 4]);
        // What the browser received last counts more than the page that it loaded.
        assert_eq!(stream(&app, "/events?after=1", Some("3")).await.take(1).await, [4]);
        // What can't be read doesn't count.
        for last in ["", "x", "3.5", "99999999999999999999", "3 4"] {
            let mut events = stream(&app, "/events?after=2", Some(last)).await;
            assert_eq!(events.take(2).await, [3, 4], "{last}");
        }
        // Without a position, it begins now.
        let mut now = stream(&app, "/events", None).await;
        assert!(now.is_silent().await);
        mirror.apply(&group("g")).await.unwrap();
        assert_eq!(now.take(1).await, [5]);
    })
    .await;
}

#[tokio::test]
async fn there_is_a_limit_of_streams() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let app = with_limit(&mirror, 2);
        let first = stream(&app, "/events", None).await;
        let second = stream(&app, "/events", None).await;
        let Err((status, headers)) = try_open(&app, "/events", None).await else {
            panic!("a third stream")
        };
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers["retry-after"], "15");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(headers.contains_key("content-security-policy"));
        drop(first);
        let mut third = stream(&app, "/events", None).await;
        assert!(try_open(&app, "/events", None).await.is_err());
        // A stream without a reader still counts, and one that is read until its end does not.
        drop(second);
        assert!(third.is_silent().await);
        stream(&app, "/events?after=77", None).await.next().await.unwrap();
        let mut fourth = stream(&app, "/events", None).await;
        assert!(fourth.is_silent().await);
    })
    .await;
}

fn lagged() -> Event {
    Event { name: "lagged".to_owned(), data: "reload".to_owned(), ..Event::default() }
}

#[tokio::test]
async fn a_browser_that_can_not_catch_up_loads_the_page_again() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = with_limit(&mirror, 1);
        mirror.apply_all(&(0..501).map(joined).collect::<Vec<_>>()).await.unwrap();
        let end = mirror.feed_range().await.unwrap().end;
        // More than 1000 changes behind, and ahead, as after a restore of the database.
        for after in ["0", "1", "-1", "-9223372036854775808", "99999", "9223372036854775807"] {
            let mut events = stream(&app, &format!("/events?after={after}"), None).await;
            assert_eq!(events.next().await, Some(lagged()), "{after}");
            assert_eq!(events.next().await, None, "{after}");
        }
        let furthest = end - 1000;
        let mut events = stream(&app, &format!("/events?after={furthest}"), None).await;
        assert_eq!(events.take(1000).await.len(), 1000);
        assert!(events.is_silent().await);
        drop(events);
        purge(database).await;
        let mut events = stream(&app, &format!("/events?after={furthest}"), None).await;
        assert_eq!(events.next().await, Some(lagged()));
        assert_eq!(events.next().await, None);
        // The one that has read everything goes on.
        let mut events = stream(&app, &format!("/events?after={end}"), None).await;
        assert!(events.is_silent().await);
        mirror.apply(&group("g")).await.unwrap();
        assert_eq!(events.take(1).await.len(), 1);
    })
    .await;
}

/// As if a browser were slower than the changes.
#[tokio::test]
async fn a_stream_that_falls_behind_ends() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = with_limit(&mirror, 1);
        let mut events = stream(&app, "/events", None).await;
        mirror.apply(&group("g")).await.unwrap();
        assert_eq!(events.take(1).await.len(), 1);
        // Each user is two changes.
        mirror.apply_all(&(0..800).map(joined).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(events.next().await, Some(lagged()));
        assert_eq!(events.next().await, None);
        // It no longer counts. The next one shows fewer changes.
        drop(events);
        let mut events = stream(&app, "/events", None).await;
        mirror.apply_all(&(1000..1300).map(joined).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(events.take(600).await.len(), 600);
    })
    .await;
}

/// Purges the whole feed.
async fn purge(database: &Database) {
    let mirror = database.builder().retention(Duration::ZERO).build().unwrap();
    mirror.upkeep().await.unwrap();
    let range = mirror.feed_range().await.unwrap();
    assert_eq!(range.start, range.end);
}

#[tokio::test]
async fn streams_end_when_they_are_closed() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let page = DirectoryPage::new(mirror.clone());
        let live = page.live_updates();
        let app = page.router(unprotected());
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(stream(&app, "/events", None).await);
        }
        mirror.apply(&user("u", "inactive")).await.unwrap();
        for events in &mut streams {
            assert_eq!(events.take(1).await, [1]);
        }
        live.clone().close();
        for events in &mut streams {
            assert_eq!(events.next().await, None);
        }
        // A browser that asks again during the shutdown.
        assert_eq!(stream(&app, "/events?after=0", None).await.next().await, None);
    })
    .await;
}

/// Without a handle, nothing would end the streams at a shutdown.
#[tokio::test]
async fn without_a_handle_a_stream_ends_after_ten_seconds() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let (short, long) = (open(&mirror), with_limit(&mirror, 1));
        let start = Instant::now();
        let mut endless = stream(&long, "/events", None).await;
        let mut events = stream(&short, "/events", None).await;
        assert_eq!(events.read().await, None);
        let elapsed = start.elapsed();
        assert!(
            elapsed > Duration::from_secs(9) && elapsed < Duration::from_secs(9) + SOON,
            "{elapsed:?}"
        );
        assert!(endless.is_silent().await);
    })
    .await;
}
