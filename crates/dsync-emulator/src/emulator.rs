//! The handle of an emulator.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{json, value::to_raw_value};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    clock::{Clock, millis},
    directory::Snapshot,
    error::WorldError,
    faults::Faults,
    options::Options,
    requests::{Counter, Requests},
    server::{Mischief, Shared, lock, serve},
    world::World,
};

/// The default key.
const API_KEY: &str = "sk_test_of_the_emulator";

/// A running server with the API of WorkOS Directory Sync over a simulated world.
///
/// [`record`](Self::record) makes an event happen: it changes the world, and the Events API shows it. Other methods change the
/// world without an event, as a provider or a bug might. The server stops when this is dropped.
///
/// ```
/// use dsync_emulator::{Clock, Emulator, directory::{Life, Plan}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let clock = Clock::manual("2026-01-05T09:00:00Z".parse()?);
/// let emulator = Emulator::builder().clock(clock.clone()).start().await?;
/// let mut life = Life::new(Plan::new(7).users(20).events(200));
/// while let Some(event) = life.next_at(clock.now()) {
///     clock.set(event.created_at());
///     emulator.record(&event)?;
/// }
/// // An application that reads from `emulator.url()` with `emulator.api_key()` gets this state.
/// assert_eq!(emulator.snapshot(), life.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Emulator {
    /// Returns the settings of a new emulator.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// The base URL, without a slash at its end: `http://127.0.0.1:8090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address at which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that requests must have as a bearer token.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.shared.options.api_key
    }

    /// The clock of the emulator.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Records an event, as the body of a webhook: at its `created_at`, it changes the world and appears in the Events API. An
    /// event without `created_at` happens now. If the Events API still has an event with this id, nothing changes.
    ///
    /// The last event wins, whatever the `updated_at` of its objects. An event about a deleted object, or about an object of
    /// a deleted directory, changes nothing.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unreadable`] if the body is not an event, or if it lacks the id of an object.
    pub fn record(&self, body: impl Into<Bytes>) -> Result<(), WorldError> {
        lock(&self.shared.world).record(body.into(), self.shared.clock.millis(), true)
    }

    /// Like [`record`](Self::record), but the event never appears in the Events API.
    ///
    /// # Errors
    ///
    /// As for [`record`](Self::record).
    pub fn record_silently(&self, body: impl Into<Bytes>) -> Result<(), WorldError> {
        lock(&self.shared.world).record(body.into(), self.shared.clock.millis(), false)
    }

    /// Removes an event from the Events API. The world is unchanged.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unknown`] if the Events API has no event with this id.
    pub fn lose_event(&self, id: &str) -> Result<(), WorldError> {
        lock(&self.shared.world).forget_event(id)
    }

    /// Gives a user another role, without an event and without a new `updated_at`.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unknown`] if there is no such object.
    pub fn set_role(&self, user_id: &str, slug: &str) -> Result<(), WorldError> {
        let role = json!({ "slug": slug });
        let roles = json!([role]);
        self.set(user_id, &[("role", role), ("roles", roles)])
    }

    /// Changes a field of a directory, a user or a group, without an event and without a new `updated_at`. `name` is the
    /// field's name in the events.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unknown`] if there is no such object.
    pub fn set_member(
        &self,
        id: &str,
        name: &str,
        value: serde_json::Value,
    ) -> Result<(), WorldError> {
        self.set(id, &[(name, value)])
    }

    fn set(&self, id: &str, members: &[(&str, serde_json::Value)]) -> Result<(), WorldError> {
        let raw = |value| to_raw_value(value).map_err(|_| WorldError::Unreadable);
        let raw: Result<Vec<_>, _> = members.iter().map(|(_, value)| raw(value)).collect();
        let raw = raw?;
        let members: Vec<_> =
            members.iter().zip(&raw).map(|((name, _), value)| (*name, &**value)).collect();
        lock(&self.shared.world).set(id, &members, self.shared.clock.millis())
    }

    /// Deletes a directory with everything in it, a user or a group, without an event. Its id never comes back: later events
    /// about it change nothing.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unknown`] if there is no such object.
    pub fn remove_silently(&self, id: &str) -> Result<(), WorldError> {
        lock(&self.shared.world).delete(id, self.shared.clock.millis())
    }

    /// Adds a user to a group, or removes the user from it, without an event.
    ///
    /// # Errors
    ///
    /// [`WorldError::Unknown`] if there is no such user or group.
    pub fn set_membership(
        &self,
        user_id: &str,
        group_id: &str,
        is_member: bool,
    ) -> Result<(), WorldError> {
        let now = self.shared.clock.millis();
        lock(&self.shared.world).set_member(user_id, group_id, is_member, now)
    }

    /// The state of the world now: what an application must have.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut world = lock(&self.shared.world);
        world.advance(self.shared.clock.millis());
        world.store().snapshot()
    }

    /// Sets the lag of the replica, as [`EmulatorBuilder::replica_lag`] does.
    pub fn set_replica_lag(&self, lag: Duration) {
        lock(&self.shared.world).set_lag(millis(lag), self.shared.clock.millis());
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.shared.mischief).set_faults(faults);
    }

    /// Counts of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        lock(&self.shared.counter).counts()
    }

    /// Resets the counts of the requests to zero.
    pub fn reset_requests(&self) {
        *lock(&self.shared.counter) = Counter::new();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Shows the address only.
impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// The settings of an [`Emulator`].
#[must_use]
pub struct EmulatorBuilder {
    listen: String,
    clock: Clock,
    seed: u64,
    replica_lag: Duration,
    retention: Duration,
    faults: Faults,
    options: Options,
}

impl EmulatorBuilder {
    /// The key that requests must have as a bearer token. The default is a fixed key for tests.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.options.api_key = key.into();
        self
    }

    /// The clock that decides the time. The default is the [system's](Clock::system).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The address at which the server listens, such as `127.0.0.1:8090`. The default is a free port of 127.0.0.1.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// The lag of a replica: each request reads, at random, either the world as it is or the replica. The default is no
    /// replica. The Events API has no replica.
    pub fn replica_lag(mut self, lag: Duration) -> Self {
        self.replica_lag = lag;
        self
    }

    /// How long a new event is missing from ascending reads of the Events API. The default is 3 seconds.
    pub fn withhold(mut self, duration: Duration) -> Self {
        self.options.withhold = duration;
        self
    }

    /// How long the Events API keeps an event. The default is 90 days.
    pub fn retention(mut self, duration: Duration) -> Self {
        self.retention = duration;
        self
    }

    /// Whether a user's `groups` contains the groups, as for WorkOS teams created before May 2026. By default, it is
    /// empty.
    pub fn legacy_groups(mut self, legacy: bool) -> Self {
        self.options.legacy_groups = legacy;
        self
    }

    /// The faults of the emulator. By default, there are none.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The seed of everything that is random. The same seed and the same requests, one after the other, give the same responses.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the server, in a task of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if the address can't be used, for example because another program uses it.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> io::Result<Emulator> {
        let listener = TcpListener::bind(&self.listen).await?;
        let address = listener.local_addr()?;
        let now = self.clock.millis();
        let mut world = World::new(self.seed, millis(self.retention));
        world.set_lag(millis(self.replica_lag), now);
        let shared = Arc::new(Shared {
            clock: self.clock,
            options: self.options,
            world: Mutex::new(world),
            counter: Mutex::new(Counter::new()),
            mischief: Mutex::new(Mischief::new(self.faults, self.seed)),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Emulator { shared, address, server })
    }
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            clock: Clock::system(),
            seed: 0,
            replica_lag: Duration::ZERO,
            retention: Duration::from_secs(90 * 86_400),
            faults: Faults::new(),
            options: Options {
                api_key: API_KEY.to_owned(),
                withhold: Duration::from_secs(3),
                legacy_groups: false,
            },
        }
    }
}

/// Omits the key.
impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorBuilder")
            .field("listen", &self.listen)
            .field("clock", &self.clock)
            .field("seed", &self.seed)
            .field("replica_lag", &self.replica_lag)
            .field("withhold", &self.options.withhold)
            .field("retention", &self.retention)
            .field("faults", &self.faults)
            .field("legacy_groups", &self.options.legacy_groups)
            .finish_non_exhaustive()
    }
}
