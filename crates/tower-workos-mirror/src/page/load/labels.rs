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
    let mut ids: Vec<&str> = ids.map(AsRef::as_ref).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let parameters: Vec<_> = (1..=ids.len()).map(|number| format!("${number}")).collect();
    let sql = mirror.shared.names.sql(&format!(
        "SELECT id, {name} FROM {{p}}{view} WHERE id IN ({})",
        parameters.join(", ")
    ));
    let ids: Vec<Value> =
        ids.into_iter().map(|id| text::stored_id(id).into_owned().into()).collect();
    let rows = mirror.shared.pool.acquire().await?.conn().rows(sql, &ids, &[Text, Text]).await?;
    let pairs = rows.into_iter().filter_map(|row| {
        let mut texts = row.into_iter().map(Value::into_text);
        Some((I::from(texts.next()??), texts.next()??))
    });
    Ok(pairs.collect())
}
