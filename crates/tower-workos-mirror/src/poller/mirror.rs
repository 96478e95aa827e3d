//! Follows the Events API into the mirror.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use tokio::time::sleep;
use tower_workos::DirectoryEvent;

use crate::{
    api::client::ApiClient,
    apply::apply,
    change::Change,
    dead_letter::letter::{self, Letter},
    error::{MirrorError, MirrorErrorKind},
    mirror::{Mirror, Shared},
    poller::{
        batch::Entry,
        cursor::EventsCursor,
        drain::{Drain, Draining, Handled, Settings, Sink},
        error::PollError,
        health::Health,
        stop::{Stop, never},
    },
    reconcile,
    sql::{
        conn::Conn,
        names::Names,
        transaction::Transaction,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    text::{micros, timestamp},
    writer::{begin, deadline, within},
};

/// Follows WorkOS's Events API, and applies its events to the mirror: those that were also delivered as webhooks, which change
/// nothing, and those that were lost.
///
/// The position is stored in the mirror's database, in the same transaction as the effects of the events before it. Only
/// the poller moves it. It stays [a minute](Self::margin) behind the present, because the API shows new events only after some
/// seconds, and not necessarily in their order.
///
/// Any number of processes can poll at the same time, but each of them does the same work, so one is enough.
///
/// The stream begins with the first call, or [29 days](Self::backfill) before it if the mirror is not empty. Earlier changes
/// are left to a [`Reconciler`](crate::Reconciler): run it after the first drain, and after each [gap](Drain::gap).
/// [`Repair`](crate::Repair) does all of that.
///
/// ```no_run
/// use std::time::Duration;
///
/// use tower_workos_mirror::{ApiClient, EventsPoller, Mirror, Reconciler};
///
/// # async fn doc(mirror: Mirror) -> Result<(), Box<dyn std::error::Error>> {
/// let api = ApiClient::from_env()?;
/// let poller = EventsPoller::new(mirror.clone(), api.clone());
/// if poller.drain().await?.gap {
///     Reconciler::new(mirror, api).run().await?;
/// }
/// // Until Ctrl-C:
/// let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
/// poller.run(Duration::from_secs(60), shutdown).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct EventsPoller {
    mirror: Mirror,
    api: ApiClient,
    environment: String,
    settings: Settings,
    backfill: Duration,
    on_drain: Arc<OnDrain>,
}

/// The API answers queries of at most 30 days.
const BACKFILL: Duration = Duration::from_secs(29 * 24 * 60 * 60);

type OnDrain = dyn Fn(&Drain) + Send + Sync;

impl EventsPoller {
    /// Creates a poller.
    pub fn new(mirror: Mirror, api: ApiClient) -> Self {
        Self {
            mirror,
            api,
            environment: reconcile::Settings::default().environment,
            settings: Settings::default(),
            backfill: BACKFILL,
            on_drain: Arc::new(|_| {}),
        }
    }

    /// The name of the WorkOS environment that the API key belongs to, as in
    /// [`ReconcilerBuilder::environment`](crate::ReconcilerBuilder::environment). Each has a position of its own. Default:
    /// `default`.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }

    /// How far the position stays behind the API's clock. Default: 60 s. An event that the API begins to show only after a
    /// longer time can be lost.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    pub(crate) fn settings_margin(&self) -> Duration {
        self.settings.margin
    }

    /// How long the API keeps events. If the position is older, the stream starts over, with a [gap](Drain::gap).
    /// Default: 90 days, as WorkOS documents.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self
    }

    /// How long before the first call the stream begins, if the mirror is not empty then: it may have missed events.
    /// Default: 29 days. A longer time takes more requests, and the API forgets events after 90 days.
    ///
    /// The stream of an empty mirror begins with the first call, because a [`Reconciler`](crate::Reconciler) fills it.
    pub fn backfill(mut self, duration: Duration) -> Self {
        self.backfill = duration;
        self
    }

    /// A function that [`run`](Self::run) calls after each drain that succeeded, for example to start a
    /// [`Reconciler`](crate::Reconciler) after a [gap](Drain::gap). It must not block.
    pub fn on_drain(mut self, function: impl Fn(&Drain) + Send + Sync + 'static) -> Self {
        self.on_drain = Arc::new(function);
        self
    }

    /// The stored position, or `None` before the first drain.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn cursor(&self) -> Result<Option<EventsCursor>, PollError> {
        self.sink().load().await
    }

    /// Applies all events that are older than the [margin](Self::margin). An event that can't be read or stored becomes a
    /// [dead letter](crate::DeadLetter).
    ///
    /// It is safe to drop the future: each page of events is applied in one transaction with the position.
    ///
    /// # Errors
    ///
    /// If the API or the database fails, or if the API key belongs to another environment. The pages before that were
    /// applied, and the next call continues after them.
    pub async fn drain(&self) -> Result<Drain, PollError> {
        let mut never = pin!(never());
        self.drain_unless(&mut Stop::new(never.as_mut())).await
    }

    /// Drains the stream again and again, with a pause of `interval`, until `shutdown` completes.
    ///
    /// A temporary failure is logged, and the stream is drained again after the interval. After `shutdown`, a transaction that
    /// is under way is completed.
    ///
    /// # Errors
    ///
    /// A failure that is not temporary: see [`PollError::is_temporary`].
    pub async fn run(
        self,
        interval: Duration,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PollError> {
        let mut shutdown = pin!(shutdown);
        let mut stop = Stop::new(shutdown.as_mut());
        let mut health = Health::new();
        loop {
            match self.drain_unless(&mut stop).await {
                Ok(drain) => {
                    health.succeeded(&drain);
                    (self.on_drain)(&drain);
                }
                Err(error) => health.failed(error)?,
            }
            if stop.unless(sleep(interval)).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn drain_unless<F: Future<Output = ()> + Send>(
        &self,
        stop: &mut Stop<'_, F>,
    ) -> Result<Drain, PollError> {
        let check = reconcile::environment::check_environment(
            &self.mirror.shared,
            &self.api,
            &self.environment,
        );
        match stop.unless(check).await {
            None => return Ok(Drain::default()),
            Some(checked) => checked?,
        }
        let is_empty = reconcile::repair::is_empty(&self.mirror.shared).await?;
        let backfill = if is_empty { Duration::ZERO } else { self.backfill };
        let settings = Settings { backfill, ..self.settings.clone() };
        Draining::new(&self.api, &settings, &mut self.sink(), stop).run().await
    }

    fn sink(&self) -> MirrorSink<'_> {
        MirrorSink { shared: &self.mirror.shared, stream: &self.environment }
    }
}

impl fmt::Debug for EventsPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsPoller")
            .field("mirror", &self.mirror)
            .field("environment", &self.environment)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

struct MirrorSink<'m> {
    shared: &'m Shared,
    stream: &'m str,
}

impl Sink for MirrorSink<'_> {
    async fn load(&mut self) -> Result<Option<EventsCursor>, PollError> {
        let mut connection = self.shared.pool.acquire().await?;
        Ok(select(&mut connection.conn(), &self.shared.names, self.stream).await?)
    }

    async fn handle<F: Future<Output = ()> + Send>(
        &mut self,
        from: Option<&EventsCursor>,
        entries: Vec<Entry>,
        to: &EventsCursor,
        _: &mut Stop<'_, F>,
    ) -> Result<Option<Handled>, PollError> {
        let mut events = Vec::with_capacity(entries.len());
        let mut letters = Vec::new();
        for entry in entries {
            match entry.body {
                Ok(event) => events.push(event),
                Err(error) => letters.push(Letter::of_error(&error, None)),
            }
        }
        let stored = match self.store(from, &events, &letters, to).await {
            Err(error) if error.kind() == MirrorErrorKind::Data && !events.is_empty() => {
                letters.append(&mut self.take_unstorable(&mut events).await?);
                self.store(from, &events, &letters, to).await?
            }
            stored => stored?,
        };
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        Ok(stored.then(|| Handled {
            events: count(events.len()),
            letters: count(letters.len()),
            is_whole: true,
        }))
    }
}

impl MirrorSink<'_> {
    /// Applies events, stores letters, and moves the position, in one transaction. Returns `false` if another process has moved
    /// the position.
    async fn store(
        &self,
        from: Option<&EventsCursor>,
        events: &[DirectoryEvent],
        letters: &[Letter],
        to: &EventsCursor,
    ) -> Result<bool, MirrorError> {
        let Shared { names, settings, .. } = self.shared;
        let deadline = deadline(settings.timeout);
        // This acquires the mirror's lock, so no other process can move the position before the commit.
        let mut transaction = begin(self.shared, None, deadline).await?;
        let mut conn = transaction.conn();
        let writing = async {
            if select(&mut conn, names, self.stream).await?.as_ref() != from {
                return Ok(None);
            }
            let changes = match events {
                [] => Vec::new(),
                events => apply(&mut conn, self.shared, events).await?,
            };
            for letter in letters {
                letter::insert(&mut conn, names, letter).await?;
            }
            update(&mut conn, names, self.stream, to).await?;
            Ok::<_, MirrorError>(Some(changes))
        };
        let result = within(deadline, writing).await;
        let Some(changes) = end(transaction, result).await? else { return Ok(false) };
        self.shared.committed(&changes);
        Ok(true)
    }

    /// Removes the events that the database can't store, and returns them as letters.
    async fn take_unstorable(
        &self,
        events: &mut Vec<DirectoryEvent>,
    ) -> Result<Vec<Letter>, MirrorError> {
        let mut letters = Vec::new();
        let mut storable = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            let deadline = deadline(self.shared.settings.timeout);
            let mut transaction = begin(self.shared, None, deadline).await?;
            let mut conn = transaction.conn();
            let applying = apply(&mut conn, self.shared, std::slice::from_ref(&event));
            let result = within(deadline, applying).await;
            // All events are applied together later.
            let _ = transaction.rollback().await.is_ok();
            match result {
                Ok(_) => storable.push(event),
                Err(error) if error.kind() == MirrorErrorKind::Data => {
                    letters.push(Letter::of_event(&event, error.without_payload()));
                }
                Err(error) => return Err(error),
            }
        }
        *events = storable;
        Ok(letters)
    }
}

/// Commits if there are changes to commit, and rolls back otherwise.
async fn end(
    transaction: Transaction,
    result: Result<Option<Vec<Change>>, MirrorError>,
) -> Result<Option<Vec<Change>>, MirrorError> {
    if let Ok(Some(_)) = &result {
        transaction.commit().await.map_err(MirrorError::at_commit)?;
    } else {
        // If that fails, the connection is closed.
        let _ = transaction.rollback().await.is_ok();
    }
    result
}

async fn select(
    conn: &mut Conn<'_>,
    names: &Names,
    stream: &str,
) -> Result<Option<EventsCursor>, sqlx::Error> {
    let sql = names.sql(
        "SELECT started_at, after, event_at, drained_at FROM {p}mirror_poll WHERE stream = $1",
    );
    let row = conn.rows(sql, &[stream.into()], &[Int, Text, Int, Int]).await?.pop();
    let cursor = |row: Vec<Value>| {
        let mut values = row.into_iter();
        Some(EventsCursor {
            started_at: values.next()?.as_int().map(timestamp)?,
            after: values.next()?.into_text(),
            event_at: values.next()?.as_int().map(timestamp),
            drained_at: values.next()?.as_int().map(timestamp),
        })
    };
    Ok(row.and_then(cursor))
}

async fn update(
    conn: &mut Conn<'_>,
    names: &Names,
    stream: &str,
    to: &EventsCursor,
) -> Result<(), sqlx::Error> {
    let sql = names.sql(
        "INSERT INTO {p}mirror_poll (stream, started_at, after, event_at, drained_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (stream) DO UPDATE SET (started_at, after, event_at, drained_at) \
         = (excluded.started_at, excluded.after, excluded.event_at, excluded.drained_at)",
    );
    let values = [
        stream.into(),
        micros(to.started_at).into(),
        to.after.clone().into(),
        to.event_at().into(),
        to.drained_at.map(micros).into(),
    ];
    conn.execute(sql, &values).await.map(drop)
}
