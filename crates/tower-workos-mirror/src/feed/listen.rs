//! Hears the commits of other processes through PostgreSQL's `LISTEN`.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::{Arc, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    feed::{stream::RARELY, wake::Signal},
    mirror::Shared,
    pool::MirrorPool,
    sql::transaction::channel,
};

/// How long the mirror waits for a notification that it sent to itself.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after the connection was lost.
const AFTER_LOSS: Duration = Duration::from_secs(1);
/// The pause after no notification arrived. It is long because that probably never changes.
const AFTER_SILENCE: Duration = Duration::from_secs(5 * 60);

/// The task that listens. It ends when the last reader drops this.
#[derive(Debug)]
pub(crate) struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the task that listens, or shares the running one. A task whose runtime has ended is replaced.
pub(crate) fn listen(shared: &Shared, listener: &mut Option<Arc<Listener>>) {
    let is_running = |it: &Arc<Listener>| !it.0.is_finished();
    if listener.as_ref().is_some_and(is_running) {
        return;
    }
    #[allow(irrefutable_let_patterns, reason = "without SQLite, it is the only variant")]
    let MirrorPool::Postgres(pool) = &shared.pool else { return };
    // The listener occupies one connection. Readers need another one.
    if pool.options().get_max_connections() < 2 {
        return;
    }
    let mut running = shared.wakeup.listener.lock().unwrap_or_else(PoisonError::into_inner);
    let known = running.upgrade().filter(is_running);
    let known = known.unwrap_or_else(|| {
        let signal = shared.wakeup.signal.clone();
        let task = run(pool.clone(), channel(&shared.names), Hearing(signal));
        Arc::new(Listener(tokio::spawn(task)))
    });
    *running = Arc::downgrade(&known);
    *listener = Some(known);
}

/// Tells the readers whether they hear the commits of other processes. When the task ends, they don't.
struct Hearing(watch::Sender<Signal>);

impl Hearing {
    /// Also wakes the readers, so that they read what was committed while nothing was received.
    fn set(&self, hears_others: bool) {
        self.0.send_modify(|signal| signal.hears_others = hears_others);
    }

    fn wake(&self) {
        self.0.send_modify(|_| {});
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.set(false);
    }
}

async fn run(pool: PgPool, channel: String, hearing: Hearing) {
    while !pool.is_closed() {
        let end = attempt(&pool, &channel, &hearing).await;
        hearing.set(false);
        let pause = match end {
            Ok(End::Lost) => AFTER_LOSS,
            Ok(End::Silence) => {
                tracing::debug!("notifications don't arrive: the readers of the feed poll");
                AFTER_SILENCE
            }
            Err(error) => {
                tracing::debug!(%error, "can't listen: the readers of the feed poll");
                AFTER_LOSS
            }
        };
        sleep(pause).await;
    }
}

/// Why a connection no longer listens.
enum End {
    Lost,
    Silence,
}

async fn attempt(pool: &PgPool, channel: &str, hearing: &Hearing) -> Result<End, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    loop {
        if let Some(end) = probe(&mut listener, pool, channel, hearing).await? {
            return Ok(end);
        }
        hearing.set(true);
        // Silence means that nothing happened, or that the connection is dead: the next attempt finds out.
        while let Ok(received) = timeout(RARELY, listener.try_recv()).await {
            match received? {
                Some(notification) if notification.payload().is_empty() => hearing.wake(),
                Some(_) => {}
                None => return Ok(End::Lost),
            }
        }
    }
}

/// Sends a notification through another connection and waits for it. `None` if it arrives.
async fn probe(
    listener: &mut PgListener,
    pool: &PgPool,
    channel: &str,
    hearing: &Hearing,
) -> Result<Option<End>, sqlx::Error> {
    // Random, because other processes send such notifications, too.
    let token = format!("probe {:x}", RandomState::new().build_hasher().finish());
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(&token).execute(pool).await?;
    let deadline = Instant::now() + PATIENCE;
    while let Ok(received) = timeout_at(deadline, listener.try_recv()).await {
        match received? {
            Some(notification) if notification.payload() == token => return Ok(None),
            Some(notification) if notification.payload().is_empty() => hearing.wake(),
            Some(_) => {}
            None => return Ok(Some(End::Lost)),
        }
    }
    Ok(Some(End::Silence))
}
