//! Lists, in pages.

use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId};

use super::{
    ROWS,
    labels::{labels, labels_of},
};
use crate::{
    change::Change,
    error::MirrorError,
    feed::page::latest,
    mirror::Mirror,
    page::facts::{ChangeList, GroupFacts, GroupList, Labels, UserList, UserQuery},
    read::{DirectoryFilter, GroupFilter, Page, Position, User, UserFilter},
};

/// How many directories a filter offers.
const CHOICES: usize = 100;

pub(in crate::page) async fn users(
    mirror: &Mirror,
    query: UserQuery,
) -> Result<UserList, MirrorError> {
    let mut filter = UserFilter::new();
    if !query.directory.is_empty() {
        filter = filter.directory(query.directory.as_str());
    }
    if !query.group.is_empty() {
        filter = filter.group(query.group.as_str());
    }
    match query.access.as_str() {
        "yes" => filter = filter.access(true),
        "no" => filter = filter.access(false),
        _ => {}
    }
    let text = query.q.trim();
    let (users, next) = if text.is_empty() {
        let page = mirror.users(&filter, page(&query.after)).await?;
        (page.items, after(page.next))
    } else {
        let after = Position::from_text(&query.after);
        let (users, next) = mirror.search(&filter, text, after.as_ref(), ROWS).await?;
        (users, next.map(|next| next.to_text()))
    };
    let unlisted = if users.is_empty() && !text.is_empty() {
        let id = DirectoryUserId::from(text);
        super::user::is_known(mirror, &id).await?.then_some(id)
    } else {
        None
    };
    let mut labels = of_users(mirror, &users).await?;
    if !query.group.is_empty() {
        let group = DirectoryGroupId::from(query.group.as_str());
        labels.groups = labels_of_group(mirror, &group).await?.groups;
    }
    let choices = choices(mirror).await?;
    Ok(UserList { query, users, next, labels, choices, unlisted })
}

async fn labels_of_group(mirror: &Mirror, group: &DirectoryGroupId) -> Result<Labels, MirrorError> {
    labels(mirror, std::iter::empty(), std::iter::once(group), std::iter::empty()).await
}

pub(in crate::page) async fn groups(
    mirror: &Mirror,
    directory: String,
    from: &str,
) -> Result<GroupList, MirrorError> {
    let mut filter = GroupFilter::new();
    if !directory.is_empty() {
        filter = filter.directory(directory.as_str());
    }
    let page = mirror.groups(&filter, page(from)).await?;
    let (groups, next) = (page.items, after(page.next));
    let directories = groups.iter().filter_map(|group| group.directory_id.as_ref());
    let labels = labels(mirror, directories, std::iter::empty(), std::iter::empty()).await?;
    Ok(GroupList { directory, groups, next, labels, choices: choices(mirror).await? })
}

/// `None` if there is no such group.
pub(in crate::page) async fn group(
    mirror: &Mirror,
    id: &DirectoryGroupId,
    from: &str,
) -> Result<Option<GroupFacts>, MirrorError> {
    let Some(group) = mirror.group(id).await? else { return Ok(None) };
    let page = mirror.members_of(id, page(from)).await?;
    let (members, next) = (page.items, after(page.next));
    let directories = members.iter().filter_map(|user| user.directory_id.as_ref());
    let directories = directories.chain(group.directory_id.as_ref());
    let labels = labels(mirror, directories, std::iter::empty(), std::iter::empty()).await?;
    Ok(Some(GroupFacts { group, members, next, labels }))
}

/// The changes before this number, or the latest ones.
pub(in crate::page) async fn changes(
    mirror: &Mirror,
    before: Option<i64>,
) -> Result<ChangeList, MirrorError> {
    let mut changes: Vec<Change> =
        latest(mirror, "seq < $1", vec![before.unwrap_or(i64::MAX).into()], ROWS + 1).await?;
    let is_last = changes.len() <= ROWS;
    changes.truncate(ROWS);
    let older = changes.last().filter(|_| !is_last).map(|change| change.seq);
    let labels = labels_of(mirror, &changes).await?;
    Ok(ChangeList { changes, older, is_live: before.is_none(), labels })
}

fn page<I: for<'a> From<&'a str>>(after: &str) -> Page<I> {
    let page = Page::new(ROWS);
    if after.is_empty() { page } else { page.after(after) }
}

fn after<I: AsRef<str>>(next: Option<Page<I>>) -> Option<String> {
    next.and_then(|page| page.after).map(|id| id.as_ref().to_owned())
}

async fn of_users(mirror: &Mirror, users: &[User]) -> Result<Labels, MirrorError> {
    let directories = users.iter().filter_map(|user| user.directory_id.as_ref());
    labels(mirror, directories, std::iter::empty(), std::iter::empty()).await
}

/// The directories to choose from in a filter.
async fn choices(mirror: &Mirror) -> Result<Vec<(DirectoryId, String)>, MirrorError> {
    let page = mirror.directories(&DirectoryFilter::new(), Page::new(CHOICES)).await?;
    let name = |it: crate::read::Directory| {
        let name = it.name.unwrap_or_else(|| it.id.as_str().to_owned());
        (it.id, name)
    };
    Ok(page.items.into_iter().map(name).collect())
}
