//! A client.

use std::time::Duration;

use bytes::Bytes;
use dsync_emulator::{
    Clock, Emulator, EmulatorBuilder,
    directory::{Life, Plan},
};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower_workos::Timestamp;

pub(crate) const START: &str = "2026-01-05T09:00:00Z";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn clock() -> Clock {
    Clock::manual(time(START))
}

/// An emulator with its client.
pub(crate) struct Api {
    pub(crate) emulator: Emulator,
    pub(crate) clock: Clock,
    client: Client<HttpConnector, Empty<Bytes>>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    /// `Null` if it is not JSON.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn data(&self) -> &Vec<Value> {
        self.body["data"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"))
    }

    /// The ids of the items.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.data().iter().map(|item| item["id"].as_str().unwrap()).collect()
    }

    pub(crate) fn after(&self) -> Option<&str> {
        self.body["list_metadata"]["after"].as_str()
    }

    pub(crate) fn before(&self) -> Option<&str> {
        self.body["list_metadata"]["before"].as_str()
    }

    /// The names of the wrong parameters.
    pub(crate) fn wrong(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::with(Emulator::builder()).await
    }

    /// Starts with a manual clock.
    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let clock = clock();
        let emulator = builder.clock(clock.clone()).start().await.unwrap();
        Self { emulator, clock, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Starts with a life that is over.
    pub(crate) async fn with_life(builder: EmulatorBuilder, plan: Plan) -> (Self, Life) {
        let api = Self::with(builder).await;
        let mut life = Life::new(plan);
        while api.live(&mut life) {}
        (api, life)
    }

    /// Records the next event of a life. Returns false at its end.
    pub(crate) fn live(&self, life: &mut Life) -> bool {
        let Some(event) = life.next_at(self.clock.now()) else { return false };
        self.clock.set(event.created_at());
        self.emulator.record(&event).unwrap();
        true
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.try_get(path).await.unwrap()
    }

    /// Returns an error if the response breaks off.
    pub(crate) async fn try_get(&self, path: &str) -> Result<Reply, String> {
        self.request("GET", path, Some(&format!("Bearer {}", self.emulator.api_key()))).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
    ) -> Result<Reply, String> {
        let url = format!("{}{path}", self.emulator.url());
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        let request = request.body(Empty::new()).unwrap();
        let answer = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| format!("no response: {error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await;
            let body = body.map_err(|error| format!("no body: {error:?}"))?.to_bytes();
            Ok(Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            })
        };
        tokio::time::timeout(Duration::from_secs(30), answer).await.expect("no response")
    }

    /// Every item of a list, page by page. `path` has a query.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        for _ in 0..10_000 {
            let page = self.get(&format!("{path}&limit=100&order=asc&after={after}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            items.extend(page.data().iter().cloned());
            match page.after() {
                Some(id) => id.clone_into(&mut after),
                None => return items,
            }
        }
        panic!("the list does not end");
    }
}

pub(crate) fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

/// Every event of Directory Sync.
pub(crate) const EVENTS: &str = "/events?events=dsync.activated,dsync.deleted,dsync.user.created,\
    dsync.user.updated,dsync.user.deleted,dsync.group.created,dsync.group.updated,dsync.group.deleted,\
    dsync.group.user_added,dsync.group.user_removed";
