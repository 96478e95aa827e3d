//! Checks that a [`DedupeStore`] fulfils its contract.
//!
//! ```
//! use tower_workos::{MemoryStore, testing::conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::check(MemoryStore::default()).await;
//! # }
//! ```

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    dedupe::{Claim, Completion, DedupeKey, store::DedupeStore},
    event::EventId,
};

/// A lease or a retention that expires during the test.
const SHORT: Duration = Duration::from_millis(300);
/// After this time, [`SHORT`] has expired, even on a busy machine.
const AFTER: Duration = Duration::from_millis(450);
const LONG: Duration = Duration::from_secs(600);
const RACERS: usize = 100;

/// Checks a store against the whole contract, in a few seconds. Each call uses new keys, so the store need not be
/// empty.
///
/// # Panics
///
/// At the first violation of the contract, which the message describes, or if the store returns an error.
pub async fn check<St: DedupeStore>(store: St) {
    one_of_many_racing_claims_is_acquired(&store).await;
    a_key_is_in_flight_until_released(&store).await;
    a_completed_key_is_done(&store).await;
    a_lease_expires_and_its_token_is_fenced(&store).await;
    one_of_many_racing_claims_takes_an_expired_lease(&store).await;
    an_expired_lease_completes_nothing_even_unclaimed(&store).await;
    retention_ends(&store).await;
    confirming_changes_nothing(&store).await;
    namespaces_are_apart(&store).await;
    odd_keys_are_keys(&store).await;
    similar_keys_are_apart(&store).await;
    extreme_times_do_not_overflow(&store).await;
}

/// A key that has not been used before, in this or another process.
fn fresh(namespace: &str) -> DedupeKey {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let id = format!(
        "event_{start:x}_{}_{:x}",
        NEXT.fetch_add(1, Ordering::Relaxed),
        std::process::id()
    );
    DedupeKey::new(namespace, EventId::from(id))
}

async fn claim<St: DedupeStore>(store: &St, key: &DedupeKey, lease: Duration) -> Claim<St::Token> {
    store.claim(key, lease).await.unwrap_or_else(|error| panic!("claim: {error} ({error:?})"))
}

async fn acquire<St: DedupeStore>(
    store: &St,
    key: &DedupeKey,
    lease: Duration,
    what: &str,
) -> St::Token {
    match claim(store, key, lease).await {
        Claim::Acquired(token) => token,
        Claim::Done => panic!("{what}: the key is done"),
        Claim::InFlight { .. } => panic!("{what}: the key is in flight"),
    }
}

async fn complete<St: DedupeStore>(
    store: &St,
    key: &DedupeKey,
    token: &St::Token,
    retention: Duration,
) -> Completion {
    store
        .complete(key, token, retention)
        .await
        .unwrap_or_else(|error| panic!("complete: {error} ({error:?})"))
}

async fn confirm<St: DedupeStore>(store: &St, key: &DedupeKey, token: &St::Token) -> Completion {
    store.confirm(key, token).await.unwrap_or_else(|error| panic!("confirm: {error} ({error:?})"))
}

async fn release<St: DedupeStore>(store: &St, key: &DedupeKey, token: &St::Token) {
    store.release(key, token).await.unwrap_or_else(|error| panic!("release: {error} ({error:?})"));
}

async fn assert_in_flight<St: DedupeStore>(
    store: &St,
    key: &DedupeKey,
    lease: Duration,
    what: &str,
) {
    match claim(store, key, LONG).await {
        Claim::InFlight { retry_after } => {
            assert!(
                retry_after > Duration::ZERO && retry_after <= lease,
                "{what}: retry_after {retry_after:?} of a lease of {lease:?}"
            );
        }
        Claim::Acquired(_) => panic!("{what}: acquired while in flight"),
        Claim::Done => panic!("{what}: done without a completion"),
    }
}

async fn assert_done<St: DedupeStore>(store: &St, key: &DedupeKey, what: &str) {
    match claim(store, key, LONG).await {
        Claim::Done => {}
        Claim::Acquired(_) => panic!("{what}: a done key was acquired"),
        Claim::InFlight { .. } => panic!("{what}: a done key is in flight"),
    }
}

/// Makes many claims concurrently. Returns how many were acquired, and the token of the last.
async fn race<St>(store: &St, key: &DedupeKey) -> (usize, Option<St::Token>)
where
    St: DedupeStore,
{
    let mut claims = JoinSet::new();
    for _ in 0..RACERS {
        claims.spawn(store.claim(key, LONG));
    }
    let mut acquired = (0, None);
    while let Some(claim) = claims.join_next().await {
        match claim {
            Ok(Ok(Claim::Acquired(token))) => acquired = (acquired.0 + 1, Some(token)),
            Ok(Ok(Claim::InFlight { .. })) => {}
            Ok(Ok(Claim::Done)) => panic!("race: done without a completion"),
            Ok(Err(error)) => panic!("race: {error} ({error:?})"),
            Err(error) => panic!("race: {error}"),
        }
    }
    acquired
}

async fn one_of_many_racing_claims_is_acquired<St>(store: &St)
where
    St: DedupeStore,
{
    for _ in 0..5 {
        let (acquired, _) = race(store, &fresh("")).await;
        assert_eq!(acquired, 1, "of {RACERS} racing claims of one key, {acquired} were acquired");
    }
}

async fn a_key_is_in_flight_until_released<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let first = acquire(store, &key, LONG, "a new key").await;
    assert_in_flight(store, &key, LONG, "a claimed key").await;
    release(store, &key, &first).await;
    acquire(store, &key, LONG, "a released key").await;
    // These checks also fail if two claims have the same token.
    release(store, &key, &first).await;
    assert_in_flight(store, &key, LONG, "after a release with a stale token").await;
    let completion = complete(store, &key, &first, LONG).await;
    assert_eq!(completion, Completion::Stale, "a released token completed");
    assert_in_flight(store, &key, LONG, "after a stale completion").await;
}

async fn a_completed_key_is_done<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let token = acquire(store, &key, LONG, "a new key").await;
    assert_eq!(complete(store, &key, &token, LONG).await, Completion::Completed);
    let again = complete(store, &key, &token, LONG).await;
    assert_eq!(again, Completion::Completed, "completed with one token twice");
    assert_done(store, &key, "a completed key").await;
    release(store, &key, &token).await;
    assert_done(store, &key, "a completed key that is released").await;
}

async fn a_lease_expires_and_its_token_is_fenced<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let slow = acquire(store, &key, SHORT, "a new key").await;
    assert_in_flight(store, &key, SHORT, "a short lease").await;
    sleep(AFTER).await;
    let next = acquire(store, &key, LONG, "an expired lease").await;
    let completion = complete(store, &key, &slow, LONG).await;
    assert_eq!(completion, Completion::Stale, "an expired holder completed another's claim");
    release(store, &key, &slow).await;
    assert_in_flight(store, &key, LONG, "after an expired holder's release").await;
    assert_eq!(complete(store, &key, &next, LONG).await, Completion::Completed);
    release(store, &key, &slow).await;
    assert_done(store, &key, "after an expired holder's release of a done key").await;
}

async fn one_of_many_racing_claims_takes_an_expired_lease<St>(store: &St)
where
    St: DedupeStore,
{
    let key = fresh("");
    acquire(store, &key, SHORT, "a new key").await;
    sleep(AFTER).await;
    let (acquired, token) = race(store, &key).await;
    assert_eq!(
        acquired, 1,
        "of {RACERS} racing claims of an expired lease, {acquired} were acquired"
    );
    if let Some(token) = token {
        assert_eq!(complete(store, &key, &token, LONG).await, Completion::Completed);
    }
}

async fn an_expired_lease_completes_nothing_even_unclaimed<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let token = acquire(store, &key, SHORT, "a new key").await;
    sleep(AFTER).await;
    let completion = complete(store, &key, &token, LONG).await;
    assert_eq!(completion, Completion::Stale, "an expired holder completed");
    acquire(store, &key, LONG, "a key whose holder came too late").await;
}

async fn retention_ends<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let token = acquire(store, &key, LONG, "a new key").await;
    assert_eq!(complete(store, &key, &token, SHORT).await, Completion::Completed);
    assert_done(store, &key, "within the retention").await;
    sleep(AFTER).await;
    acquire(store, &key, LONG, "after the retention").await;
}

async fn confirming_changes_nothing<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let first = acquire(store, &key, LONG, "a new key").await;
    assert_eq!(confirm(store, &key, &first).await, Completion::Stale, "confirmed while held");
    assert_in_flight(store, &key, LONG, "a held key that was to be confirmed").await;
    release(store, &key, &first).await;
    assert_eq!(confirm(store, &key, &first).await, Completion::Stale, "confirmed while free");
    let second = acquire(store, &key, LONG, "a released key").await;
    assert_eq!(complete(store, &key, &second, LONG).await, Completion::Completed);
    assert_eq!(confirm(store, &key, &second).await, Completion::Completed, "not confirmed");
    let other = confirm(store, &key, &first).await;
    assert_eq!(other, Completion::Stale, "confirmed with another claim's token");
}

async fn namespaces_are_apart<St: DedupeStore>(store: &St) {
    let base = fresh("");
    let in_namespace = |namespace: &str, id: String| DedupeKey::new(namespace, EventId::from(id));
    let id = base.id().as_str();
    // A store that joins the namespace and the id carelessly would confuse two of these.
    let keys = [
        base.clone(),
        in_namespace("a", id.to_owned()),
        in_namespace("a:b", id.to_owned()),
        in_namespace("a", format!("b:{id}")),
        in_namespace("", format!("a:{id}")),
        in_namespace("A", id.to_owned()),
    ];
    let mut tokens = Vec::new();
    for key in &keys {
        tokens.push(acquire(store, key, LONG, "the same id in another namespace").await);
    }
    let mut pairs = keys.iter().zip(&tokens);
    if let Some((key, token)) = pairs.next() {
        assert_eq!(complete(store, key, token, LONG).await, Completion::Completed);
    }
    for (key, token) in pairs {
        assert_in_flight(store, key, LONG, "a key other than the completed one").await;
        release(store, key, token).await;
    }
}

async fn odd_keys_are_keys<St: DedupeStore>(store: &St) {
    let unique = fresh("").id().to_string();
    let long = "x".repeat(6000);
    for odd in ["'; DROP TABLE x; --", "\"\\{}%_*?", "ключ 🦀", "a\r\nb", "a\0b", &long] {
        let key = DedupeKey::new(odd, EventId::from(format!("{unique}{odd}")));
        let token = acquire(store, &key, LONG, "an odd key").await;
        assert_in_flight(store, &key, LONG, "an odd key").await;
        assert_eq!(complete(store, &key, &token, LONG).await, Completion::Completed);
        assert_done(store, &key, "an odd key").await;
    }
}

/// A store must not confuse two keys by truncating or normalizing texts.
async fn similar_keys_are_apart<St: DedupeStore>(store: &St) {
    let unique = fresh("").id().to_string();
    let long = "x".repeat(6000);
    for odd in ["a\0b", "ab", "a\u{fffd}b", &long, &format!("{long}y"), &format!("{long}z")] {
        let key = DedupeKey::new("similar", EventId::from(format!("{unique}{odd}")));
        acquire(store, &key, LONG, "a key like another one").await;
    }
}

async fn extreme_times_do_not_overflow<St: DedupeStore>(store: &St) {
    let key = fresh("");
    let token = acquire(store, &key, Duration::MAX, "a new key").await;
    assert_in_flight(store, &key, Duration::MAX, "an endless lease").await;
    assert_eq!(complete(store, &key, &token, Duration::MAX).await, Completion::Completed);
    assert_done(store, &key, "an endless retention").await;
    let key = fresh("");
    acquire(store, &key, Duration::ZERO, "a new key").await;
    acquire(store, &key, LONG, "a lease of no length").await;
}
