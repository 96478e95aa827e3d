use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

use crate::dedupe::{
    store::{Claim, Completion, DedupeKey, DedupeStore, StoreError, StoreFuture},
    token::ClaimToken,
};

/// A connection that takes longer than this to respond, or to be established, is replaced. The layer's own time-out is as
/// long. With a shorter one, a busy server would look like a dead connection.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A hundred years in milliseconds: longer than any lease or retention, and Redis can add it to the time without overflow.
const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Returns 1 if the key was free and is now held, 2 if it is done, or 0 and the milliseconds left if it is held.
const CLAIM: &str = "\
local value = redis.call('GET', KEYS[1])
if not value then
    if tonumber(ARGV[2]) > 0 then
        redis.call('SET', KEYS[1], 'held:' .. ARGV[1], 'PX', ARGV[2])
    end
    return {1, 0}
end
if string.sub(value, 1, 5) == 'done:' then
    return {2, 0}
end
return {0, redis.call('PTTL', KEYS[1])}
";

/// Makes the key done if it is held, or already done, with this token.
const COMPLETE: &str = "\
local value = redis.call('GET', KEYS[1])
if value ~= 'held:' .. ARGV[1] and value ~= 'done:' .. ARGV[1] then
    return 0
end
if tonumber(ARGV[2]) > 0 then
    redis.call('SET', KEYS[1], 'done:' .. ARGV[1], 'PX', ARGV[2])
else
    redis.call('DEL', KEYS[1])
end
return 1
";

/// Whether the key is done with this token.
const CONFIRM: &str = "\
if redis.call('GET', KEYS[1]) == 'done:' .. ARGV[1] then
    return 1
end
return 0
";

/// Makes the key free if it is held with this token.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == 'held:' .. ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
";

/// Remembers events in Redis, for any number of replicas.
///
/// ```no_run
/// use tower_workos::{DedupeLayer, RedisStore, dedupe::StoreError};
///
/// # async fn run() -> Result<(), StoreError> {
/// let store = RedisStore::connect("redis://127.0.0.1:6379/0").await?;
/// let dedupe = DedupeLayer::new("workos", store);
/// # let _ = dedupe;
/// # Ok(())
/// # }
/// ```
///
/// A claim, a completion and a release are one round trip each: a script that is atomic on the server. Leases expire by the
/// server's clock. Clones share one connection. It is established when it is first needed, and replaced after any failure.
/// No response within two seconds counts as a failure, because a connection that was lost without a reset looks the same.
///
/// # What Redis can lose
///
/// - **Eviction**: with a `maxmemory-policy` other than `noeviction`, Redis may drop a key too early, whether it is
///   done or in flight. The event's next delivery is then handled again.
/// - **A crash**: without `appendonly yes` and `appendfsync always`, the last seconds are forgotten, with the same
///   consequence.
/// - **Failover**: replication is asynchronous, so a promoted replica may not know the last claims and completions. Two
///   handlers may then run for one event.
///
/// None of these loses an event; each can let one be handled twice. If that matters, use `PostgresStore` of
/// `tower-workos-sqlx` with `complete_in`.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    link: Mutex<Link>,
}

/// The connection that the calls share.
#[derive(Default)]
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that a failed call does not discard a connection newer than its own.
    generation: u64,
    /// When and why the last attempt to connect failed.
    failed: Option<(Instant, String)>,
}

impl RedisStore {
    /// Connects to `redis://host:port/database`.
    ///
    /// # Errors
    ///
    /// If the address is malformed, or Redis does not respond within two seconds.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect_lazy(url)?;
        store.connection().await?;
        Ok(store)
    }

    /// Like [`connect`](Self::connect), but connects when the store is first used, so that an application can start while
    /// Redis is down.
    ///
    /// # Errors
    ///
    /// If the address is malformed.
    pub fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        Client::open(url).map(Self::new).map_err(|error| unavailable(&error))
    }

    /// Creates a store from the application's own client, for example one with TLS. It connects when it is first used.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { shared: Arc::new(Shared { client, link: Mutex::default() }) }
    }

    /// The shared connection. Connects if there is none.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), StoreError> {
        let asked_at = Instant::now();
        let mut link = self.shared.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.generation));
        }
        // Calls that waited for a failed attempt share its error; otherwise they would each try, and fail, in turn.
        if let Some((_, error)) = link.failed.as_ref().filter(|(at, _)| *at >= asked_at) {
            return Err(StoreError::unavailable(error.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let client = &self.shared.client;
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                link.connection = Some(connection.clone());
                link.generation = link.generation.wrapping_add(1);
                Ok((connection, link.generation))
            }
            Err(error) => {
                link.failed = Some((Instant::now(), describe(&error)));
                Err(unavailable(&error))
            }
        }
    }

    /// Runs a script with a key, a token and a time.
    fn run<T: FromRedisValue + Send + 'static>(
        &self,
        script: &'static str,
        key: &DedupeKey,
        token: ClaimToken,
        time: Duration,
    ) -> StoreFuture<T> {
        let (store, key) = (self.clone(), name(key));
        Box::pin(async move {
            let (mut connection, generation) = store.connection().await?;
            let script = Script::new(script);
            let mut call = script.prepare_invoke();
            call.key(key).arg(token.as_bytes().as_slice()).arg(millis(time));
            match call.invoke_async(&mut connection).await {
                Ok(answer) => Ok(answer),
                Err(error) => {
                    let mut link = store.shared.link.lock().await;
                    if link.generation == generation {
                        link.connection = None;
                    }
                    Err(unavailable(&error))
                }
            }
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

/// The time that is left of a lease, at least a millisecond.
fn remaining(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(1).max(1))
}

/// The name of a key in Redis. The length distinguishes `a` and `b:c` from `a:b` and `c`.
fn name(key: &DedupeKey) -> String {
    format!("tower-workos:dedupe:{}:{}:{}", key.namespace().len(), key.namespace(), key.id())
}

fn unavailable(error: &RedisError) -> StoreError {
    StoreError::unavailable(describe(error))
}

/// The error's kind and code. The driver's message may quote an argument.
fn describe(error: &RedisError) -> String {
    let cause = if error.is_timeout() { ", timed out" } else { "" };
    match error.code() {
        Some(code) => format!("redis: {:?} ({code}){cause}", error.kind()),
        None => format!("redis: {:?}{cause}", error.kind()),
    }
}

impl DedupeStore for RedisStore {
    type Token = ClaimToken;
    type ClaimFuture = StoreFuture<Claim<ClaimToken>>;
    type CompleteFuture = StoreFuture<Completion>;
    type ReleaseFuture = StoreFuture<()>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(async move {
            let token = ClaimToken::random()?;
            store.connection().await?;
            let claim: Result<(u8, i64), _> = store.run(CLAIM, &key, token, lease).await;
            let (answer, left) = match claim {
                Ok(answer) => answer,
                Err(error) => {
                    // The claim may have been made, and only this call knows its token.
                    let _ = store.release(&key, &token).await.is_ok();
                    return Err(error);
                }
            };
            Ok(match answer {
                1 => Claim::Acquired(token),
                2 => Claim::Done,
                _ => Claim::InFlight { retry_after: remaining(left) },
            })
        })
    }

    fn complete(
        &self,
        key: &DedupeKey,
        token: &ClaimToken,
        retention: Duration,
    ) -> Self::CompleteFuture {
        let completed = self.run::<bool>(COMPLETE, key, *token, retention);
        Box::pin(async move {
            Ok(if completed.await? { Completion::Completed } else { Completion::Stale })
        })
    }

    fn confirm(&self, key: &DedupeKey, token: &ClaimToken) -> Self::CompleteFuture {
        let confirmed = self.run::<bool>(CONFIRM, key, *token, Duration::ZERO);
        Box::pin(async move {
            Ok(if confirmed.await? { Completion::Completed } else { Completion::Stale })
        })
    }

    fn release(&self, key: &DedupeKey, token: &ClaimToken) -> Self::ReleaseFuture {
        let released = self.run::<bool>(RELEASE, key, *token, Duration::ZERO);
        Box::pin(async move { released.await.map(|_| ()) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
