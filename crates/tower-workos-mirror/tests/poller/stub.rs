//! A server that sends what the emulator never would.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header::DATE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tower_workos_mirror::ApiClient;

use crate::support::client;

/// The time of each response.
pub(crate) const NOW: &str = "Mon, 05 Jan 2026 10:00:00 GMT";
/// Just old enough.
pub(crate) const OLD: &str = "2026-01-05T09:59:00.000Z";

#[derive(Clone, Default)]
pub(crate) struct Stub(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    pages: VecDeque<Page>,
    queries: Vec<String>,
    has_no_date: bool,
}

#[derive(Clone)]
pub(crate) enum Page {
    /// Items, and the position of the next page.
    Events(Vec<Value>, Option<&'static str>),
    Never,
    Status(u16),
}

impl Stub {
    /// Serves these pages of events, then empty ones.
    pub(crate) async fn start(pages: impl IntoIterator<Item = Page>) -> (Self, ApiClient) {
        let stub = Self::default();
        stub.0.lock().unwrap().pages.extend(pages);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/directories", get(directories))
            .route("/events", get(events))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (stub, client(url, "sk_test_stub"))
    }

    pub(crate) fn push(&self, page: Page) {
        self.0.lock().unwrap().pages.push_back(page);
    }

    pub(crate) fn without_date(&self) {
        self.0.lock().unwrap().has_no_date = true;
    }

    /// The queries of events so far.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.0.lock().unwrap().queries.clone()
    }

    fn reply(&self, items: &[Value], after: Option<&str>) -> Response {
        let body = json!({ "object": "list", "data": items, "list_metadata": { "after": after } });
        let mut headers = HeaderMap::new();
        // Without a header, the server sends its own.
        let date = if self.0.lock().unwrap().has_no_date { "never" } else { NOW };
        headers.insert(DATE, date.parse().unwrap());
        (headers, body.to_string()).into_response()
    }
}

async fn directories(State(stub): State<Stub>) -> Response {
    stub.reply(&[json!({ "id": "directory_1" })], None)
}

async fn events(State(stub): State<Stub>, RawQuery(query): RawQuery) -> Response {
    let page = {
        let mut script = stub.0.lock().unwrap();
        script.queries.push(query.unwrap_or_default());
        script.pages.pop_front()
    };
    match page {
        None => stub.reply(&[], None),
        Some(Page::Events(items, after)) => stub.reply(&items, after),
        Some(Page::Never) => std::future::pending().await,
        Some(Page::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

/// An event about a user.
pub(crate) fn event(number: usize, at: &str) -> Value {
    json!({
        "object": "event", "id": format!("event_{number}"), "event": "dsync.user.created", "created_at": at,
        "data": { "id": format!("directory_user_{number}"), "directory_id": "directory_1", "state": "active" }
    })
}
