//! A simulated world on a simulated clock: directories change, webhooks are lost and reordered, and the API shows stale lists.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use dsync_emulator::{
    Clock, Emulator,
    directory::{Life, Plan, Random, Share},
};
use serde_json::Value;
use tokio::sync::Mutex;
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::{ApiClient, ApiKey, Mirror, Reconciler, ReconcilerBuilder, Timer};

const START: &str = "2026-02-01T08:00:00Z";
/// The longest time between two events.
const GAP: u64 = 900;
/// By how many events a delivery is delayed.
const DISORDER: u64 = 8;
const LATE: u64 = 400;

/// The world, which advances whenever a task waits.
pub(crate) struct Sim {
    pub(crate) clock: Clock,
    start: Timestamp,
    pub(crate) world: Arc<Mutex<World>>,
}

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) mirror: Mirror,
    life: Life,
    random: Random,
    /// When the next event happens, in milliseconds.
    next: i64,
    happened: u64,
    /// Deliveries by the number of events after which they arrive.
    held: BTreeMap<(u64, u64), DirectoryEvent>,
    /// Users whose role changed without an event and without a new `updated_at`.
    roles: HashMap<String, String>,
    /// Whether webhooks are lost, and roles change silently.
    pub(crate) is_lossy: bool,
    pub(crate) lost: u64,
}

impl Sim {
    pub(crate) async fn new(seed: u64, mirror: Mirror, lag: Duration) -> Self {
        let start: Timestamp = START.parse().unwrap();
        let clock = Clock::manual(start);
        let builder = Emulator::builder().clock(clock.clone()).seed(seed).replica_lag(lag);
        let emulator = builder.start().await.unwrap();
        let mut random = Random::new(seed, "world");
        // The directory that is deleted is deleted while webhooks are lost, or later.
        let events = 320 + random.below(200);
        let plan = Plan::new(seed).directories(3).users(60).groups(9).events(events).start(start);
        let world = World {
            emulator,
            mirror,
            life: Life::new(plan),
            random,
            next: start.as_unix_millis(),
            happened: 0,
            held: BTreeMap::new(),
            roles: HashMap::new(),
            is_lossy: true,
            lost: 0,
        };
        Self { clock, start, world: Arc::new(Mutex::new(world)) }
    }

    /// A reconciler whose budgets use the simulated clock.
    pub(crate) async fn reconciler(&self) -> ReconcilerBuilder {
        let world = self.world.lock().await;
        let key = ApiKey::new(world.emulator.api_key()).unwrap();
        let api = ApiClient::builder(key).base_url(world.emulator.url());
        let api = api.timer(Ticks {
            clock: self.clock.clone(),
            start: self.start,
            world: Arc::clone(&self.world),
        });
        // Lists of small directories lack a large share of them.
        Reconciler::builder(world.mirror.clone(), api.build().unwrap()).allow_mass_removal(true)
    }

    /// Lets this much time pass.
    pub(crate) async fn advance(&self, by: Duration) {
        self.world.lock().await.advance(&self.clock, by).await;
    }

    /// Lets time pass until this many events have happened, or until the life ends.
    pub(crate) async fn live(&self, events: u64) {
        let mut world = self.world.lock().await;
        let until = world.happened + events;
        while world.happened < until && world.next < i64::MAX {
            world.advance(&self.clock, Duration::from_millis(GAP)).await;
        }
    }
}

impl World {
    async fn advance(&mut self, clock: &Clock, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap().max(1);
        let until = clock.now().as_unix_millis() + by;
        while self.next <= until {
            clock.set(Timestamp::from_unix_millis_saturating(self.next));
            self.next = match self.happen(clock.now()).await {
                true => self.next + 1 + i64::try_from(self.random.below(GAP)).unwrap(),
                false => i64::MAX,
            };
        }
        clock.set(Timestamp::from_unix_millis_saturating(until));
    }

    async fn happen(&mut self, now: Timestamp) -> bool {
        let Some(event) = self.life.next_at(now) else { return false };
        let body = self.with_roles(event.body());
        self.emulator.record(body.clone()).unwrap();
        let event = DirectoryEvent::parse(body).unwrap();
        self.happened += 1;
        let is_lost = self.random.chance(Share::per_million(300_000));
        let late = if self.random.chance(Share::per_million(50_000)) { LATE } else { DISORDER };
        let due = self.happened + self.random.below(late);
        if is_lost && self.is_lossy {
            self.lost += 1;
        } else {
            self.held.insert((due, self.happened), event);
        }
        let later = self.held.split_off(&(self.happened + 1, 0));
        let due: Vec<_> = std::mem::replace(&mut self.held, later).into_values().collect();
        self.mirror.apply_all(&due).await.unwrap();
        if self.is_lossy && self.random.chance(Share::per_million(30_000)) {
            self.change_role();
        }
        true
    }

    /// Delivers everything that is still on its way, and some of it again.
    pub(crate) async fn deliver_all(&mut self) {
        let events: Vec<_> = std::mem::take(&mut self.held).into_values().collect();
        for event in events.iter().rev().chain(&events) {
            self.mirror.apply(event).await.unwrap();
        }
    }

    fn change_role(&mut self) {
        let users = self.emulator.snapshot().users;
        let count = u64::try_from(users.len()).unwrap();
        let place = usize::try_from(self.random.below(count.max(1))).unwrap();
        let Some(user) = users.get(place) else { return };
        let role = format!("role-{}", self.happened);
        self.emulator.set_role(&user.id, &role).unwrap();
        self.roles.insert(user.id.clone(), role);
    }

    /// An event contains the user's current role, even if the role changed without an event.
    fn with_roles(&mut self, body: &Bytes) -> Bytes {
        if self.roles.is_empty() {
            return body.clone();
        }
        let mut json: Value = serde_json::from_slice(body).unwrap();
        let data = json.get_mut("data").unwrap();
        let is_membership = data.get("user").is_some();
        let user = if is_membership { data.get_mut("user").unwrap() } else { data };
        let id = user.get("id").and_then(Value::as_str).unwrap().to_owned();
        if user.pointer("/previous_attributes/role").is_some() {
            self.roles.remove(&id);
        }
        if let Some(role) = self.roles.get(&id) {
            let role = serde_json::json!({"slug": role});
            let user = user.as_object_mut().unwrap();
            user.insert("roles".to_owned(), serde_json::json!([role]));
            user.insert("role".to_owned(), role);
        }
        json.to_string().into()
    }

    /// The differences between the truth and the mirror.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let state = serde_json::to_vec(&self.mirror.state().await.unwrap()).unwrap();
        let comparison = self.emulator.snapshot().compare(&state).unwrap();
        assert_eq!(comparison.left_out, []);
        comparison.differences.iter().map(ToString::to_string).collect()
    }
}

/// A timer whose sleeps advance the world.
struct Ticks {
    clock: Clock,
    start: Timestamp,
    world: Arc<Mutex<World>>,
}

impl Timer for Ticks {
    fn now(&self) -> Duration {
        let millis = self.clock.now().as_unix_millis() - self.start.as_unix_millis();
        Duration::from_millis(u64::try_from(millis).unwrap())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { self.world.lock().await.advance(&self.clock, duration).await })
    }
}
