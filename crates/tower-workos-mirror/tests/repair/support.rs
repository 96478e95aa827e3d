//! An emulated WorkOS with a clock that does not wait, and a mirror.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dsync_emulator::{Clock, Emulator, directory::Section};
use serde_json::{Value, json};
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::{
    ApiClient, ApiKey, DirectoryOutcome, Drift, DriftAction, Mirror, ReconcileReport, Reconciler,
    ReconcilerBuilder, Timer,
};

use crate::{databases::Database, proxy::Proxy};

/// Moves the emulator's clock instead of waiting.
pub(crate) struct Ticker {
    clock: Clock,
    start: i64,
}

impl Ticker {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), start: clock.now().as_unix_millis() }
    }
}

impl Timer for Ticker {
    fn now(&self) -> Duration {
        let millis = self.clock.now().as_unix_millis() - self.start;
        Duration::from_millis(u64::try_from(millis).unwrap())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // The clock shows whole milliseconds.
            self.clock.advance(duration + Duration::from_millis(1));
            tokio::task::yield_now().await;
        })
    }
}

pub(crate) fn start_of_time() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

/// A client whose budgets follow this clock.
pub(crate) fn client(url: &str, key: &str, clock: &Clock) -> ApiClient {
    let key = ApiKey::new(key).unwrap();
    ApiClient::builder(key).base_url(url).timer(Ticker::new(clock)).build().unwrap()
}

/// A mirror, and the world that it should show.
pub(crate) struct World {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) clock: Clock,
    /// What the mirror's requests pass through.
    pub(crate) proxy: Proxy,
    pub(crate) api: ApiClient,
    pub(crate) mirror: Mirror,
    events: AtomicU32,
}

impl World {
    /// An empty world, and an empty mirror.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::with(database.mirror().await).await
    }

    pub(crate) async fn with(mirror: Mirror) -> Self {
        let clock = Clock::manual(start_of_time());
        let emulator = Arc::new(Emulator::builder().clock(clock.clone()).start().await.unwrap());
        let proxy = Proxy::start(emulator.url()).await;
        let api = client(&proxy.url(), emulator.api_key(), &clock);
        Self { emulator, clock, proxy, api, mirror, events: AtomicU32::new(0) }
    }

    pub(crate) fn builder(&self) -> ReconcilerBuilder {
        Reconciler::builder(self.mirror.clone(), self.api.clone())
    }

    pub(crate) fn reconciler(&self) -> Reconciler {
        self.builder().build()
    }

    /// A run with the defaults, more than the margin after everything that happened.
    pub(crate) async fn run(&self) -> ReconcileReport {
        self.wait(120);
        self.reconciler().run().await.unwrap()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// An event that happens now. It changes nothing yet.
    pub(crate) fn event(&self, name: &str, data: &Value) -> DirectoryEvent {
        self.clock.advance(Duration::from_millis(1));
        let now = self.clock.now();
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let mut data = data.clone();
        for object in ["user", "group"] {
            if let Some(object) = data.get_mut(object) {
                dated(object, now);
            }
        }
        dated(&mut data, now);
        let body = json!({
            "object": "event", "id": format!("event_{number:08}"), "event": format!("dsync.{name}"),
            "created_at": now, "data": data,
        });
        DirectoryEvent::parse(body.to_string().into()).unwrap()
    }

    /// Something happens, and the mirror does not learn of it.
    pub(crate) fn lose(&self, name: &str, data: &Value) -> DirectoryEvent {
        let event = self.event(name, data);
        self.emulator.record(event.raw().clone()).unwrap();
        event
    }

    /// Something happens, and the mirror learns of it.
    pub(crate) async fn tell(&self, name: &str, data: &Value) {
        let event = self.lose(name, data);
        self.mirror.apply(&event).await.unwrap();
    }

    /// The events of a directory with users and groups. The user `{id}_u3` is a member of the group `{id}_g0` if there are
    /// three groups.
    pub(crate) fn fill(&self, id: &str, users: u32, groups: u32) -> Vec<DirectoryEvent> {
        let mut events = vec![self.lose("activated", &directory(id))];
        for n in 0..groups {
            events.push(self.lose("group.created", &group(id, n)));
        }
        for n in 0..users {
            events.push(self.lose("user.created", &user(id, n)));
            if let Some(joined) = n.checked_rem(groups) {
                let data = membership(id, n, joined);
                events.push(self.lose("group.user_added", &data));
            }
        }
        events
    }

    /// A directory that the mirror knows completely.
    pub(crate) async fn told(&self, id: &str, users: u32, groups: u32) {
        let events = self.fill(id, users, groups);
        self.mirror.apply_all(&events).await.unwrap();
    }

    /// The mirror equals the world.
    #[track_caller]
    pub(crate) fn equal(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let state = self.mirror.state().await.unwrap();
            let json = serde_json::to_vec(&state).unwrap();
            let comparison = self.emulator.snapshot().compare(&json).unwrap();
            assert_eq!(comparison.compared, Section::ALL);
            assert!(comparison.differences.is_empty(), "{caller}: {:#?}", comparison.differences);
        }
    }

    /// The ids of the users who have access.
    pub(crate) async fn access(&self) -> Vec<String> {
        let state = self.mirror.state().await.unwrap();
        state.access.iter().map(|id| id.as_str().to_owned()).collect()
    }

    /// The numbers of directories, groups, users, memberships and users with access that the mirror shows.
    pub(crate) async fn counts(&self) -> [usize; 5] {
        let state = self.mirror.state().await.unwrap();
        [
            state.directories.len(),
            state.groups.len(),
            state.users.len(),
            state.memberships.len(),
            state.access.len(),
        ]
    }
}

/// All rows of these tables.
pub(crate) async fn rows(database: &Database, tables: &[&str]) -> Vec<Vec<Option<String>>> {
    let mut all = Vec::new();
    for table in tables {
        let table = format!("workos_mirror_{table}");
        let (name, columns) = if database.is_postgres() {
            let columns = format!(
                "information_schema.columns WHERE table_schema = current_schema() AND table_name = '{table}'"
            );
            ("column_name", columns)
        } else {
            ("name", format!("pragma_table_info('{table}')"))
        };
        let columns = database.column(name, &columns).await;
        assert!(columns.len() > 2, "{table}");
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        all.extend(database.texts(&columns, &table).await);
    }
    all
}

/// The tables that contain the state, and the feed.
pub(crate) const STATE: [&str; 5] = ["directory", "group", "user", "member", "change"];

/// No run has left anything behind.
pub(crate) async fn nothing_is_left(database: &Database) {
    let left = rows(database, &["stage", "run"]).await;
    assert_eq!(left, Vec::<Vec<_>>::new());
}

/// Sets the times that an object lacks.
fn dated(object: &mut Value, now: Timestamp) {
    let object = object.as_object_mut().unwrap();
    if object.contains_key("id") {
        object.entry("updated_at").or_insert(json!(now));
        object.entry("created_at").or_insert(json!(now));
    }
}

pub(crate) fn directory(id: &str) -> Value {
    json!({"id": id, "name": format!("Xanthippe {id}"), "state": "active", "type": "okta scim v2.0", "organization_id": format!("org_{id}")})
}

pub(crate) fn group(directory: &str, n: u32) -> Value {
    json!({
        "id": format!("{directory}_g{n}"), "directory_id": directory, "organization_id": format!("org_{directory}"),
        "idp_id": format!("idp_g{n}"), "name": format!("Xanthippe group {n}"), "raw_attributes": {},
    })
}

pub(crate) fn user(directory: &str, n: u32) -> Value {
    json!({
        "id": format!("{directory}_u{n}"), "directory_id": directory, "organization_id": format!("org_{directory}"),
        "idp_id": format!("idp_u{n}"), "email": format!("xanthippe{n}@kallisto.example"), "state": "active",
        "first_name": "Xanthippe", "last_name": format!("Kallisto {n}"), "role": {"slug": "member"},
        "custom_attributes": {"job_title": "Kallisto"}, "raw_attributes": {},
    })
}

pub(crate) fn membership(directory: &str, user: u32, group: u32) -> Value {
    json!({"directory_id": directory, "user": self::user(directory, user), "group": self::group(directory, group)})
}

/// How each directory ended, sorted by id.
pub(crate) fn outcomes(report: &ReconcileReport) -> Vec<(&str, DirectoryOutcome)> {
    report.directories.iter().map(|it| (it.directory_id.as_str(), it.outcome)).collect()
}

/// The number of differences with this action, and their kinds and ids in order.
pub(crate) fn drift(report: &ReconcileReport, action: DriftAction) -> Vec<String> {
    let mut lines: Vec<_> =
        report.drift.iter().filter(|it| it.action == action).map(line).collect();
    lines.sort_unstable();
    lines
}

fn line(drift: &Drift) -> String {
    let group = drift.group_id.as_ref().map(|it| it.as_str());
    let user = drift.user_id.as_ref().map(|it| it.as_str());
    let directory = drift.directory_id.as_ref().map(|it| it.as_str());
    let id = match (group, user) {
        (Some(group), Some(user)) => format!("{group} {user}"),
        (None, None) => directory.unwrap_or_default().to_owned(),
        (group, user) => group.or(user).unwrap_or_default().to_owned(),
    };
    format!("{} {id}", drift.kind)
}
