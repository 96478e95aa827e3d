use std::{fmt, time::Duration};

use ::redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::dedupe::{
    Claim, Completion, DedupeKey, DedupeStore, StoreError,
    token::{ClaimToken, StoreFuture, detach, millis, remaining},
};

/// A store that takes longer than this to answer counts as down; the sender waits for a few seconds only.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Free: held from now on (1). Done (2). Held: for how many milliseconds more (0).
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

/// Done, if it is held with this token, or done with it already.
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

/// Free, if it is held with this token.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == 'held:' .. ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
";

/// Remembers events in Redis: for any number of replicas, as long as Redis remembers.
///
/// A claim, a completion and a release are one round trip each: a script, atomic on the server, whose clock ends
/// leases. The connection is shared, and made anew after it broke; meanwhile the store fails.
///
/// # What Redis can lose
///
/// - **Eviction**: with a `maxmemory-policy` other than `noeviction`, Redis may drop a done key, or one in flight,
///   before its time. The event's next delivery is then handled again.
/// - **A crash**: without `appendonly yes` and `appendfsync always`, the last seconds are forgotten, with the same
///   outcome.
/// - **Failover**: replication is asynchronous, so a promoted replica may not know the last claims and completions;
///   two handlers may then be at one event.
///
/// None of these loses an event; each can let one be handled twice. Where that is not borne, use `PostgresStore`
/// with `complete_in`.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
}

impl RedisStore {
    /// Connects to `redis://host:port/database`.
    ///
    /// # Errors
    ///
    /// Where the address is none, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(unavailable)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection =
            ConnectionManager::new_with_config(client, config).await.map_err(unavailable)?;
        Ok(Self::new(connection))
    }

    /// A store over a connection of the application's own, with its time-outs.
    #[must_use]
    pub fn new(connection: ConnectionManager) -> Self {
        Self { connection }
    }

    /// Runs a script with a key, a token and a time.
    fn run<T>(
        &self,
        script: &'static str,
        key: &DedupeKey,
        token: ClaimToken,
        time: Duration,
    ) -> StoreFuture<T>
    where
        T: ::redis::FromRedisValue + Send + 'static,
    {
        let mut connection = self.connection.clone();
        let key = name(key);
        Box::pin(async move {
            Script::new(script)
                .key(key)
                .arg(token.as_bytes())
                .arg(millis(time))
                .invoke_async(&mut connection)
                .await
                .map_err(unavailable)
        })
    }
}

/// The length keeps `a` + `b:c` and `a:b` + `c` apart.
fn name(key: &DedupeKey) -> String {
    format!("tower-workos:dedupe:{}:{}:{}", key.namespace().len(), key.namespace(), key.id())
}

/// The driver's message may quote an argument; its kind says enough.
fn unavailable(error: RedisError) -> StoreError {
    StoreError::unavailable(format!("redis: {:?}", error.kind()))
}

impl DedupeStore for RedisStore {
    type Token = ClaimToken;
    type ClaimFuture = StoreFuture<Claim<ClaimToken>>;
    type CompleteFuture = StoreFuture<Completion>;
    type ReleaseFuture = StoreFuture<()>;

    fn claim(&self, key: &DedupeKey, lease: Duration) -> Self::ClaimFuture {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(async move {
            let token = ClaimToken::new()?;
            let (answer, left): (u8, i64) = store.run(CLAIM, &key, token, lease).await?;
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

    fn release(&self, key: &DedupeKey, token: &ClaimToken) -> Self::ReleaseFuture {
        let released = self.run::<bool>(RELEASE, key, *token, Duration::ZERO);
        Box::pin(async move { released.await.map(|_| ()) })
    }

    fn abandon(&self, key: &DedupeKey, token: &ClaimToken) {
        detach(self.release(key, token));
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
