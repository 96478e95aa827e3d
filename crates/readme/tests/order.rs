//! Runs the README's samples on a simulated directory whose deliveries are late, duplicated and out of order.
//!
//! The tests assert what each sample promises:
//!
//! - `sessions` (revoke only): once every event has arrived, no user without access is logged in. Users log in as soon as
//!   the directory grants them access: the identity provider decides on that, not the webhook.
//! - `table` (versions and tombstones): once every event has arrived, the table equals the directory: access, addresses
//!   and memberships of all users, deleted ones included.
//!
//! Two common implementations that grant access without these rules fail on the same deliveries.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use bytes::Bytes;
use dsync_cli::directory::{Deliveries, Life, Order, Plan, Random, Snapshot};
use tower::ServiceExt as _;
use tower_workos::{
    AccessChange, DirectoryEvent, DirectoryGroupId, DirectoryId, DirectoryUserId, EventData,
    Timestamp, VerifyWebhookLayer, WebhookSecret, testing::Signer,
};

#[allow(unreachable_pub, missing_debug_implementations, clippy::unwrap_used, reason = "a sample")]
mod sessions {
    include!(concat!(env!("OUT_DIR"), "/sessions.rs"));

    pub(super) type Held = Sessions;

    pub(super) fn router(secret: WebhookSecret, sessions: Sessions) -> Router {
        app(secret, sessions)
    }
}

#[allow(
    unreachable_pub,
    missing_debug_implementations,
    clippy::must_use_candidate,
    reason = "a sample"
)]
mod table {
    include!(concat!(env!("OUT_DIR"), "/table.rs"));
}

const SEEDS: u64 = 24;
const SECRET: &str = "whsec_of_the_samples";

/// The events of `dsync simulate --events 600 --users 60 --seed N`.
fn life(seed: u64) -> Life {
    Life::new(Plan::new(seed).events(600).users(60))
}

struct Arrival {
    /// The index of its event in the life.
    sequence: u64,
    body: Bytes,
}

/// The events as they arrive with `--duplicates 5% --reorder 50 --late 5% --retry`, if a tenth of the deliveries fails, and
/// the response to another tenth is lost.
fn arrivals(seed: u64) -> Vec<Arrival> {
    let share = "5%".parse().unwrap();
    let order = Order::new(seed).duplicates(share).reorder(50).late(share);
    let mut random = Random::new(seed, "retries");
    let mut arrivals = Vec::new();
    for (delivery, place) in Deliveries::new(life(seed), order).zip(0u64..) {
        let mut at = place;
        for attempt in 1..=6 {
            let luck = if attempt == 6 { 9 } else { random.below(10) };
            if luck != 0 {
                let event = delivery.event();
                let arrival = Arrival { sequence: event.sequence(), body: event.body().clone() };
                arrivals.push((at, arrival));
            }
            if luck > 1 {
                break;
            }
            at += 1 + random.below(100);
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals.into_iter().map(|(_, arrival)| arrival).collect()
}

/// Delivers all arrivals of a life and returns the directory at the end. Calls `happened` after each event of the
/// directory, before the event arrives.
async fn run(seed: u64, app: Router, mut happened: impl FnMut(&Life)) -> Snapshot {
    let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
    let mut life = life(seed);
    let mut next = 0;
    for arrival in arrivals(seed) {
        while next <= arrival.sequence {
            life.next().unwrap();
            next += 1;
            happened(&life);
        }
        let delivery = signer.sign(arrival.body);
        let request = delivery.into_request::<Body, _>("/webhooks/workos").unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "a late event is not an error");
    }
    assert!(life.next().is_none(), "every event has arrived");
    life.snapshot()
}

#[tokio::test]
async fn nobody_without_access_is_logged_in() {
    for seed in 0..SEEDS {
        let sessions = sessions::Held::default();
        let app = sessions::router(WebhookSecret::new(SECRET).unwrap(), sessions.clone());
        let mut ever = HashSet::new();
        let end = run(seed, app, |life| {
            let directory = life.snapshot();
            let mut sessions = sessions.lock().unwrap();
            let logged_in: HashSet<_> = sessions.iter().map(|(id, _)| id.to_string()).collect();
            let access: HashSet<_> = directory.access.iter().collect();
            for user in directory.users.iter().filter(|user| access.contains(&user.id)) {
                ever.insert(user.id.clone());
                if !logged_in.contains(&user.id) {
                    let of = user.directory_id.as_deref().unwrap();
                    sessions.push((user.id.as_str().into(), of.into()));
                }
            }
        })
        .await;
        let access: BTreeSet<_> = end.access.into_iter().collect();
        let logged_in: Vec<_> =
            sessions.lock().unwrap().iter().map(|(id, _)| id.to_string()).collect();
        let should_not: Vec<_> = logged_in.iter().filter(|id| !access.contains(*id)).collect();
        assert!(should_not.is_empty(), "seed {seed}: logged in without access: {should_not:?}");
        let lost = ever.iter().filter(|id| !access.contains(*id)).count();
        assert!(lost >= 20, "seed {seed}: only {lost} users lost access");
    }
}

type Handle = fn(&mut Application, &DirectoryEvent);

/// The sample's table and a naive one, with all ids that occurred in events.
#[derive(Default)]
struct Application {
    table: table::Users,
    naive: HashMap<DirectoryUserId, (Option<Timestamp>, Option<DirectoryId>)>,
    users: BTreeSet<DirectoryUserId>,
    memberships: BTreeSet<(DirectoryGroupId, DirectoryUserId)>,
}

/// Runs a whole life. Returns the application and the directory at the end.
async fn end_of(seed: u64, handle: Handle) -> (Application, Snapshot) {
    type Shared = (Arc<Mutex<Application>>, Handle);

    async fn on_event(State((app, handle)): State<Shared>, event: DirectoryEvent) -> StatusCode {
        let mut app = app.lock().unwrap();
        match event.data() {
            EventData::UserCreated(user) | EventData::UserDeleted(user) => {
                app.users.insert(user.id.clone());
            }
            EventData::UserUpdated(change) => {
                app.users.insert(change.user.id.clone());
            }
            EventData::GroupUserAdded(it) | EventData::GroupUserRemoved(it) => {
                app.users.insert(it.user.id.clone());
                app.memberships.insert((it.group.id.clone(), it.user.id.clone()));
            }
            _ => {}
        }
        handle(&mut app, &event);
        StatusCode::OK
    }

    let app = Arc::new(Mutex::new(Application::default()));
    let router = Router::new()
        .route("/webhooks/workos", post(on_event))
        .route_layer(VerifyWebhookLayer::new(WebhookSecret::new(SECRET).unwrap()))
        .with_state((Arc::clone(&app), handle));
    let end = run(seed, router, |_| {}).await;
    let app = std::mem::take(&mut *app.lock().unwrap());
    (app, end)
}

#[tokio::test]
async fn the_table_equals_the_directory() {
    for seed in 0..SEEDS {
        let (app, end) = end_of(seed, |app, event| app.table.apply(event)).await;
        let of = |held: &dyn Fn(&DirectoryUserId) -> bool| -> Vec<String> {
            app.users.iter().filter(|id| held(id)).map(ToString::to_string).collect()
        };
        assert_eq!(of(&|id| app.table.has_access(id)), end.access, "seed {seed}: access");

        let emails: Vec<_> = (app.users.iter())
            .filter_map(|id| Some((id.to_string(), app.table.email(id)?.to_owned())))
            .collect();
        let expected: Vec<_> =
            (end.users.iter()).map(|user| (user.id.clone(), user.email.clone().unwrap())).collect();
        assert_eq!(emails, expected, "seed {seed}: addresses");

        let members: Vec<_> = (app.memberships.iter())
            .filter(|(group, user)| app.table.is_member(group, user))
            .map(|(group, user)| (group.to_string(), user.to_string()))
            .collect();
        let expected: Vec<_> =
            (end.memberships.iter()).map(|it| (it.group_id.clone(), it.user_id.clone())).collect();
        assert_eq!(members, expected, "seed {seed}: memberships");
        assert!(
            expected.len() >= 20 && end.access.len() >= 20,
            "seed {seed}: too few users or memberships"
        );
    }
}

/// The number of users without access whom the naive table lets in, by seed. A few seeds suffice.
async fn let_in(handle: Handle) -> Vec<usize> {
    let mut counts = Vec::new();
    for seed in 0..SEEDS / 3 {
        let (app, end) = end_of(seed, handle).await;
        let access: HashSet<_> = end.access.iter().map(String::as_str).collect();
        counts.push(app.naive.keys().filter(|id| !access.contains(id.as_str())).count());
    }
    println!("users with wrong access, by seed: {counts:?}");
    counts
}

/// Upserts users who are granted access or changed, and deletes those whose access is revoked.
#[tokio::test]
async fn upserts_in_order_of_arrival_grant_access_wrongly() {
    let counts = let_in(|app, event| match event.access_change() {
        Some(
            AccessChange::Granted(user)
            | AccessChange::Changed(user)
            | AccessChange::MembershipAdded { user, .. }
            | AccessChange::MembershipRemoved { user, .. },
        ) => {
            app.naive.insert(user.id.clone(), (None, user.directory_id.clone()));
        }
        Some(AccessChange::Revoked(user)) => {
            app.naive.remove(&user.id);
        }
        Some(AccessChange::DirectoryRevoked(directory)) => {
            app.naive.retain(|_, (_, of)| of.as_ref() != Some(&directory.id));
        }
        _ => {}
    })
    .await;
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

/// The same, but ignores versions older than the row's. A deleted row has no version to compare with.
#[tokio::test]
async fn comparing_only_updated_at_grants_access_wrongly() {
    let counts = let_in(|app, event| match event.access_change() {
        Some(AccessChange::Granted(user) | AccessChange::Changed(user)) => {
            let row = app.naive.entry(user.id.clone()).or_default();
            if row.0 <= user.updated_at {
                *row = (user.updated_at, user.directory_id.clone());
            }
        }
        Some(AccessChange::Revoked(user))
            if app.naive.get(&user.id).is_some_and(|row| row.0 <= user.updated_at) =>
        {
            app.naive.remove(&user.id);
        }
        Some(AccessChange::DirectoryRevoked(directory)) => {
            app.naive.retain(|_, (_, of)| of.as_ref() != Some(&directory.id));
        }
        _ => {}
    })
    .await;
    assert!(counts.iter().sum::<usize>() > 0, "{counts:?}");
}
