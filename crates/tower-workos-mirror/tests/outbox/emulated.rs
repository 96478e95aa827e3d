//! An emulated WorkOS whose clock the test moves.

use std::time::Duration;

use dsync_emulator::{Clock, Emulator};
use serde_json::json;
use tower_workos_mirror::{ApiClient, ApiKey};

pub(crate) async fn start() -> (Emulator, Clock) {
    let clock = Clock::manual("2026-01-05T09:00:00Z".parse().unwrap());
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    (emulator, clock)
}

/// A client without budgets.
pub(crate) fn client(emulator: &Emulator) -> ApiClient {
    ApiClient::builder(ApiKey::new(emulator.api_key()).unwrap())
        .base_url(emulator.url())
        .requests_per_second(1_000_000)
        .requests_per_second_per_directory(1_000_000)
        .build()
        .unwrap()
}

/// A directory with users is created now. The mirror gets no delivery.
pub(crate) fn record(emulator: &Emulator, clock: &Clock, directory: &str, users: u32) {
    clock.advance(Duration::from_secs(1));
    let now = clock.now();
    let data = json!({
        "id": directory, "name": directory, "state": "active", "type": "okta scim v2.0", "organization_id": "org",
        "created_at": now, "updated_at": now,
    });
    let mut events = vec![("dsync.activated", data)];
    for n in 0..users {
        let data = json!({
            "id": format!("{directory}_u{n}"), "directory_id": directory, "state": "active", "organization_id": "org",
            "email": format!("{n}@example.com"), "custom_attributes": {}, "created_at": now, "updated_at": now,
        });
        events.push(("dsync.user.created", data));
    }
    for (n, (name, data)) in events.into_iter().enumerate() {
        let id = format!("event_{directory}_{n}");
        let event = json!({ "id": id, "event": name, "data": data, "created_at": now });
        emulator.record(event.to_string()).unwrap();
    }
}
