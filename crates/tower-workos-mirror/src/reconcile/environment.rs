//! Whether an API key belongs to the environment of the mirror's directories.

use std::collections::HashSet;

use tower_workos::DirectoryEvent;

use crate::{
    api::{client::ApiClient, error::ApiErrorKind, page::Pages, request::EventsFrom},
    mirror::Shared,
    reconcile::{
        error::{ReconcileError, ReconcileErrorKind},
        repair::known_directories,
    },
    sql::value::{Kind::Text, Value},
    text::{id, micros, timestamp},
};

/// How many pages of events are searched.
const PAGES: usize = 10;
/// The API answers queries of at most 30 days.
const WINDOW: i64 = 29 * 24 * 60 * 60 * 1_000_000;

pub(super) fn wrong_environment() -> ReconcileError {
    let message = "the API shows none of the directories in the mirror, nor recent events about them, so the key probably \
                   belongs to another environment: check WORKOS_API_KEY. If it is right, run the Reconciler once with \
                   allow_new_environment and allow_mass_removal";
    ReconcileError::new(ReconcileErrorKind::Environment, message)
}

/// Fails if the mirror has directories of this environment, and the key sees none of them.
pub(crate) async fn check_environment(
    shared: &Shared,
    api: &ApiClient,
    environment: &str,
) -> Result<(), ReconcileError> {
    let known = known_directories(shared).await?;
    let ours = known.into_iter().filter(|(_, it)| it.is_of(environment));
    let ours: HashSet<_> = ours.map(|(id, _)| id).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let mut pages = Pages::new(usize::MAX);
    let mut after = None;
    let date = loop {
        let page = api.directories(after.as_deref()).await?;
        if page.items.iter().any(|item| ours.contains(&*id(&item.id))) {
            return Ok(());
        }
        after = pages.advance(page.after)?;
        if after.is_none() {
            break page.date.ok_or_else(ReconcileError::no_date)?;
        }
    };
    match events_name(shared, api, environment, &ours, micros(date)).await? {
        true => Ok(()),
        false => Err(wrong_environment()),
    }
}

/// Whether the events that follow the poller's position, or those of the last month if it has none, name one of these
/// directories. If the last directory of an environment is deleted, only they show that the key is right.
pub(super) async fn events_name(
    shared: &Shared,
    api: &ApiClient,
    environment: &str,
    directories: &HashSet<String>,
    now: i64,
) -> Result<bool, ReconcileError> {
    let sql = shared.names.sql("SELECT after FROM {p}mirror_poll WHERE stream = $1");
    let mut connection = shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[environment.into()], &[Text]).await?.pop();
    drop(connection);
    let mut after = row.and_then(|row| row.into_iter().next().and_then(Value::into_text));
    let since = timestamp(now.saturating_sub(WINDOW));
    for _ in 0..PAGES {
        let from = after.as_deref().map_or(EventsFrom::Since(since), EventsFrom::After);
        let page = match api.events(from, None).await {
            Ok(page) => page,
            // The position is too old, or that of another environment.
            Err(error) if error.kind() == ApiErrorKind::Cursor && after.is_some() => {
                after = None;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let names_one = page.entries.into_iter().any(|entry| {
            let event = DirectoryEvent::parse(entry.json).ok();
            let directory = event.as_ref().and_then(|event| event.directory_id());
            directory.is_some_and(|it| directories.contains(&*id(it.as_str())))
        });
        if names_one || page.after.is_none() {
            return Ok(names_one);
        }
        after = page.after;
    }
    Ok(false)
}
