//! Streams of events.

use std::{pin::Pin, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tower::ServiceExt as _;

/// Far below the times after which something happens anyway.
pub(crate) const SOON: Duration = Duration::from_secs(8);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
    pub(crate) retry: String,
}

/// The events of an open stream.
pub(crate) struct Events {
    body: Pin<Box<Body>>,
    text: String,
    pub(crate) headers: HeaderMap,
}

/// Opens a stream, or returns the status if there is none.
pub(crate) async fn try_open(
    router: &Router,
    path: &str,
    last: Option<&str>,
) -> Result<Events, (StatusCode, HeaderMap)> {
    let mut request = Request::get(path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    if parts.status != StatusCode::OK {
        return Err((parts.status, parts.headers));
    }
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    Ok(Events { body: Box::pin(body), text: String::new(), headers: parts.headers })
}

/// Opens a stream, whose first event sets the time after which the browser connects again.
pub(crate) async fn stream(router: &Router, path: &str, last: Option<&str>) -> Events {
    let mut events = try_open(router, path, last).await.expect("a stream");
    let first = events.next().await.expect("an event");
    assert_eq!(first, Event { retry: "1000".to_owned(), ..Event::default() });
    events
}

impl Events {
    /// The next event within a short time; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        timeout(SOON, self.read()).await.expect("no event came")
    }

    /// The next event; `None` at the end of the stream. Comments are skipped.
    pub(crate) async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (parse(event), rest.to_owned());
                self.text = rest;
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            let frame = self.body.frame().await?.unwrap();
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// The ids of the next changes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let event = self.next().await.expect("another change");
            assert_eq!(event.name, "change");
            ids.push(event.id.parse().unwrap());
        }
        ids
    }

    /// Whether the stream is open and silent.
    pub(crate) async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(700), self.read()).await.is_err()
    }
}

fn parse(lines: &str) -> Event {
    let mut event = Event::default();
    for line in lines.lines() {
        let (field, value) = line.split_once(':').expect("a field");
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "event" => event.name = value,
            "id" => event.id = value,
            // Each field occurs once.
            "data" if event.data.is_empty() => event.data = value,
            "retry" => event.retry = value,
            "" => {}
            other => panic!("{other}: {value}"),
        }
    }
    event
}
