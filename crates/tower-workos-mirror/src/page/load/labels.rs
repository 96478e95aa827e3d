//! The names of objects.

use std::{collections::HashMap, hash::Hash};

use crate::{
    change::Change,
    error::MirrorError,
    mirror::Mirror,
    page::facts::Labels,
    sql::value::{Kind::Text, Value},
    text,
};

/// The names of what these changes are about.
pub(in crate::page) async fn labels_of(
    mirror: &Mirror,
    changes: &[Change],
) -> Result<Labels, MirrorError> {
    labels(
        mirror,
        changes.iter().filter_map(|it| it.directory_id.as_ref()),
        changes.iter().filter_map(|it| it.group_id.as_ref()),
        changes.iter().filter_map(|it| it.user_id.as_ref()),
    )
    .await
}

/// The names of these objects.
pub(super) async fn labels<'a, D, G, U>(
    mirror: &Mirror,
    directories: D,
    groups: G,
    users: U,
) -> Result<Labels, MirrorError>
where
    D: Iterator<Item = &'a tower_workos::DirectoryId>,
    G: Iterator<Item = &'a tower_workos::DirectoryGroupId>,
    U: Iterator<Item = &'a tower_workos::DirectoryUserId>,
{
    let user_name = "coalesce(name, first_name || ' ' || last_name, first_name, last_name, email)";
    Ok(Labels {
        directories: names(mirror, "directories", "name", directories).await?,
        groups: names(mirror, "groups", "name", groups).await?,
        users: names(mirror, "users", user_name, users).await?,
    })
}

async fn names<'a, I>(
    mirror: &Mirror,
    view: &str,
    name: &str,
    ids: impl Iterator<Item = &'a I>,
) -> Result<HashMap<I, String>, MirrorError>
where
    I: AsRef<str> + Eq + Hash + From<String> + 'a,
{
    let Some((parameters, ids)) = parameters(ids.map(AsRef::as_ref), 1) else {
        return Ok(HashMap::new());
    };
    let sql = mirror
        .shared
        .names
        .sql(&format!("SELECT id, {name} FROM {{p}}{view} WHERE id IN ({parameters})"));
    let rows = mirror.shared.pool.acquire().await?.conn().rows(sql, &ids, &[Text, Text]).await?;
    let pairs = rows.into_iter().filter_map(|row| {
        let mut texts = row.into_iter().map(Value::into_text);
        Some((I::from(texts.next()??), texts.next()??))
    });
    Ok(pairs.collect())
}

/// The sizes of the lists in statements.
const SIZES: [usize; 4] = [1, 8, 64, 512];

/// The parameters of a condition `IN`, beginning with this number, and their values; `None` if there are none.
///
/// The connection keeps a statement for each text. So there are only a few texts, and the last id is repeated.
pub(super) fn parameters<'a>(
    ids: impl Iterator<Item = &'a str>,
    first: usize,
) -> Option<(String, Vec<Value>)> {
    let mut ids: Vec<_> = ids.map(text::stored_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let last = ids.last()?.clone();
    let size = SIZES.into_iter().find(|size| *size >= ids.len()).unwrap_or(ids.len());
    ids.resize(size, last);
    let numbers: Vec<_> = (first..).take(size).map(|number| format!("${number}")).collect();
    Some((numbers.join(", "), ids.into_iter().map(|id| id.into_owned().into()).collect()))
}
