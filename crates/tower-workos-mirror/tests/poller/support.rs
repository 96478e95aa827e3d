//! A world with one directory, an emulator of it, and a poller.

use std::{collections::BTreeSet, time::Duration};

use dsync_emulator::{Clock, Emulator, EmulatorBuilder};
use serde_json::json;
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::{ApiClient, ApiKey, EventsCursor, EventsPoller, Mirror};

use crate::databases::Database;

pub(crate) const START: &str = "2026-01-05T09:00:00Z";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Runs a test with a limit on its time.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test takes too long")
}

/// A client without budgets.
pub(crate) fn client(url: String, key: &str) -> ApiClient {
    ApiClient::builder(ApiKey::new(key).unwrap())
        .base_url(url)
        .requests_per_second(1_000_000)
        .requests_per_second_per_directory(1_000_000)
        .build()
        .unwrap()
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) emulator: Emulator,
    pub(crate) api: ApiClient,
    /// The events that happened, in the order of this vector.
    pub(crate) happened: Vec<String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Emulator::builder()).await
    }

    /// A world with a directory.
    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let clock = Clock::manual(time(START));
        let emulator = builder.clock(clock.clone()).start().await.unwrap();
        let api = client(emulator.url(), emulator.api_key());
        let world = Self { clock, emulator, api, happened: Vec::new() };
        let data = json!({
            "id": "directory_1", "organization_id": "org_1", "name": "One", "type": "okta scim v2.0", "state": "active",
            "created_at": START, "updated_at": START
        });
        world.record("event_0", "dsync.activated", &data, time(START));
        world
    }

    fn record(
        &self,
        id: &str,
        name: &str,
        data: &serde_json::Value,
        at: Timestamp,
    ) -> DirectoryEvent {
        let body = json!({ "id": id, "event": name, "data": data, "created_at": at }).to_string();
        self.emulator.record(body.clone()).unwrap();
        DirectoryEvent::parse(body.into()).unwrap()
    }

    /// A user is created now, in the event with the next number.
    pub(crate) fn user(&mut self) -> DirectoryEvent {
        self.user_at(self.clock.now())
    }

    pub(crate) fn user_at(&mut self, at: Timestamp) -> DirectoryEvent {
        let number = self.happened.len() + 1;
        let data = json!({
            "id": format!("directory_user_{number}"), "directory_id": "directory_1", "state": "active",
            "email": format!("{number}@example.com"), "custom_attributes": {}, "created_at": at, "updated_at": at
        });
        let id = format!("event_{number:05}");
        let event = self.record(&id, "dsync.user.created", &data, at);
        self.happened.push(id);
        event
    }

    /// Users are created, one every 100 ms.
    pub(crate) fn users(&mut self, count: usize) {
        for _ in 0..count {
            self.user();
            self.clock.advance(Duration::from_millis(100));
        }
    }

    pub(crate) fn after(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    pub(crate) fn poller(&self, mirror: &Mirror) -> EventsPoller {
        EventsPoller::new(mirror.clone(), self.api.clone())
    }
}

pub(crate) async fn cursor(poller: &EventsPoller) -> EventsCursor {
    poller.cursor().await.unwrap().unwrap()
}

/// The ids of the events that were applied.
pub(crate) async fn applied(database: &Database) -> Vec<String> {
    database.column("event_id", "workos_mirror_applied").await
}

/// Fails unless the mirror shows exactly what the emulator does.
pub(crate) async fn assert_equal(world: &World, mirror: &Mirror) {
    let held = serde_json::to_vec(&mirror.state().await.unwrap()).unwrap();
    let comparison = world.emulator.snapshot().compare(&held).unwrap();
    assert!(comparison.left_out.is_empty() && comparison.differences.is_empty(), "{comparison:?}");
}

pub(crate) fn set<'t>(texts: impl IntoIterator<Item = &'t String>) -> BTreeSet<&'t str> {
    texts.into_iter().map(String::as_str).collect()
}
