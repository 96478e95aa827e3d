//! A user, whether or not the user is listed.

use tower_workos::{DirectoryId, DirectoryUserId, EventId, OrganizationId, Timestamp};

use super::{directory, history, labels::labels_of};
use crate::{
    change::{Change, ChangeKind},
    error::MirrorError,
    feed::page::latest,
    mirror::Mirror,
    page::facts::{Access, DirectoryState, Reason, UserFacts},
    read::{Columns, Page, User, UserFilter},
    sql::value::Kind::{Int, Text},
    text,
};

/// How many other users with the same address are shown.
const OTHERS: usize = 10;

/// Everything about a user. `None` if the id never occurred.
pub(in crate::page) async fn user(
    mirror: &Mirror,
    id: DirectoryUserId,
    before: &str,
) -> Result<Option<UserFacts>, MirrorError> {
    let id = DirectoryUserId::from(text::stored_id(id.as_str()).into_owned());
    let (row, user, directory) = loop {
        let Some(row) = Known::load(mirror, &id).await? else { return Ok(None) };
        let user = mirror.user(&id).await?;
        let directory = match &row.directory_id {
            Some(directory) => directory::state(mirror, directory).await?,
            None => None,
        };
        // A change in between would give a wrong reason.
        if Known::load(mirror, &id).await?.as_ref() == Some(&row)
            && mirror.user(&id).await?.map(|it| it.has_access)
                == user.as_ref().map(|it| it.has_access)
        {
            break (row, user, directory);
        }
    };
    let access = access(mirror, &id, &row, user.as_ref(), directory.as_ref()).await?;
    let groups = mirror.groups_of(&id).await?;
    let others = others(mirror, &id, user.as_ref()).await?;
    let (history, older) = history::history(mirror, &id, row.directory_id.as_ref(), before).await?;
    let changes: Vec<Change> =
        history.iter().flat_map(|entry| entry.changes.iter().cloned()).collect();
    let labels = labels_of(mirror, &changes).await?;
    let now = Timestamp::now();
    Ok(Some(UserFacts { now, id, access, user, directory, groups, others, history, older, labels }))
}

/// Whether there is a page about this user.
pub(super) async fn is_known(mirror: &Mirror, id: &DirectoryUserId) -> Result<bool, MirrorError> {
    let id = DirectoryUserId::from(text::stored_id(id.as_str()).into_owned());
    Ok(Known::load(mirror, &id).await?.is_some())
}

/// What the table says about the user.
#[derive(PartialEq)]
struct Known {
    directory_id: Option<DirectoryId>,
    state: Option<String>,
    /// The event with the latest version.
    event: Option<EventId>,
    happened_at: Option<Timestamp>,
    is_seen: bool,
    absent_since: Option<Timestamp>,
    deleted: Option<(Timestamp, Option<EventId>)>,
}

impl Known {
    async fn load(mirror: &Mirror, id: &DirectoryUserId) -> Result<Option<Self>, MirrorError> {
        let sql = mirror.shared.names.sql(
            "SELECT directory_id, state, ev_event, ev_at, evidence_at, \
             CASE WHEN absent_at IS NULL OR evidence_at >= absent_at THEN NULL ELSE absent_at END, deleted_at, deleted_by \
             FROM {p}mirror_user WHERE id = $1",
        );
        let kinds = [Text, Text, Text, Int, Int, Int, Int, Text];
        let arguments = [id.as_str().into()];
        let mut connection = mirror.shared.pool.acquire().await?;
        let row = connection.conn().rows(sql, &arguments, &kinds).await?.pop();
        Ok(row.map(|row| {
            let mut row = Columns(row.into_iter());
            Self {
                directory_id: row.text(),
                state: row.text(),
                event: row.text(),
                happened_at: row.time(),
                is_seen: row.time().is_some(),
                absent_since: row.time(),
                deleted: row.time().map(|at| (at, row.text().filter(directory::is_event))),
            }
        }))
    }
}

async fn access(
    mirror: &Mirror,
    id: &DirectoryUserId,
    row: &Known,
    user: Option<&User>,
    directory: Option<&DirectoryState>,
) -> Result<Access, MirrorError> {
    let no = |reason, at, event| Access { has_access: false, reason, at, event };
    if let Some((at, by)) = &row.deleted {
        return Ok(no(Reason::Deleted, Some(*at), by.clone()));
    }
    if let Some((at, by)) = directory.and_then(|it| it.deleted.as_ref()) {
        return Ok(no(Reason::DirectoryDeleted, Some(*at), by.clone()));
    }
    if row.absent_since.is_some() {
        return Ok(no(Reason::Absent, row.absent_since, None));
    }
    if let Some(since) = directory.and_then(|it| it.absent_since) {
        return Ok(no(Reason::DirectoryAbsent, Some(since), None));
    }
    let Some(user) = user.filter(|_| row.is_seen) else {
        return Ok(no(Reason::NotSeen, row.happened_at, row.event.clone()));
    };
    // Without a change, which may have been purged, it is not known since when.
    let told = async |kind: ChangeKind, column: &str, id: &str| -> Result<_, MirrorError> {
        let condition = format!("{column} = $1 AND kind = $2");
        let condition = match column {
            "directory_id" => format!("{condition} AND user_id IS NULL AND group_id IS NULL"),
            _ => condition,
        };
        let arguments = vec![id.into(), kind.as_str().into()];
        let change = latest(mirror, &condition, arguments, 1).await?.pop();
        Ok(change.map(|change| {
            (Some(change.happened_at.unwrap_or(change.recorded_at)), change.event_id)
        }))
    };
    if user.has_access {
        let granted = told(ChangeKind::UserGranted, "user_id", id.as_str()).await?;
        let restored = match &row.directory_id {
            Some(directory) => {
                told(ChangeKind::DirectoryRestored, "directory_id", directory.as_str()).await?
            }
            None => None,
        };
        let later = granted.into_iter().chain(restored).max_by_key(|(at, _)| *at);
        let (at, event) = later.unwrap_or_default();
        return Ok(Access { has_access: true, reason: Reason::Active, at, event });
    }
    match row.state.as_deref() {
        Some("active") => {
            let state = directory.and_then(|it| it.listed.as_ref()?.state.as_ref());
            let state = state.map(|state| state.as_str().to_owned()).unwrap_or_default();
            let told = match &row.directory_id {
                Some(directory) => {
                    told(ChangeKind::DirectoryRevoked, "directory_id", directory.as_str()).await?
                }
                None => None,
            };
            let (at, event) = told.unwrap_or_default();
            Ok(no(Reason::DirectoryState(state), at, event))
        }
        state => {
            let mut since = told(ChangeKind::UserRevoked, "user_id", id.as_str()).await?;
            if since.is_none() {
                // The user never had access.
                since = told(ChangeKind::UserCreated, "user_id", id.as_str()).await?;
            }
            let (at, event) = since.unwrap_or_default();
            let reason = state.map(str::to_owned).map_or(Reason::NoState, Reason::State);
            Ok(no(reason, at, event))
        }
    }
}

/// Other users with the same e-mail address in the same organization: the same person.
async fn others(
    mirror: &Mirror,
    id: &DirectoryUserId,
    user: Option<&User>,
) -> Result<Vec<User>, MirrorError> {
    let Some((email, organization)) =
        user.and_then(|user| user.email.as_deref().zip(user.organization_id.as_ref()))
    else {
        return Ok(Vec::new());
    };
    let organization: OrganizationId = organization.clone();
    let filter = UserFilter::new().email(email).organization(organization);
    let mut users = mirror.users(&filter, Page::new(OTHERS + 1)).await?.items;
    users.retain(|user| user.id != *id);
    Ok(users)
}
