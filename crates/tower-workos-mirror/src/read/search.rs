//! Users by the start of a name, an e-mail address or an id.

use super::{
    filter::UserFilter,
    model::{Record, User},
    select::Select,
};
use crate::{
    error::MirrorError,
    mirror::Mirror,
    sql::{
        schema::{NAME_START, dialect},
        value::Kind,
    },
    text::{email_key, stored_id},
};

/// Where a page of the results begins: after this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The index of the way in which the user was found.
    way: usize,
    id: String,
}

impl Position {
    /// For a URL. It contains no name or address.
    pub(crate) fn to_text(&self) -> String {
        format!("{}.{}", self.way, self.id)
    }

    /// `None` if [`to_text`](Self::to_text) did not write the text.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (way, id) = text.split_once('.')?;
        Some(Self { way: way.parse().ok()?, id: stored_id(id).into_owned() })
    }
}

/// A column or an expression with an index, and a text that it must start with.
struct Way {
    key: &'static str,
    /// The condition of the index.
    indexed: Option<&'static str>,
    start: String,
}

const ID: &str = "(u.id COLLATE \"C\")";
const EMAIL: &str = "(u.email_key COLLATE \"C\")";
const NAME: &str = "(left(lower(coalesce(u.name, u.first_name || ' ' || u.last_name, u.first_name)), 64) COLLATE \"C\")";
const LAST_NAME: &str = "(left(lower(u.last_name), 64) COLLATE \"C\")";

impl Mirror {
    /// Returns a page of the users that the filter selects and whose id, e-mail address, name or last name starts with a text,
    /// regardless of case, in this order. Each user occurs once.
    ///
    /// In SQLite, and in a PostgreSQL database with the locale `C`, `lower` changes only ASCII letters. There, another letter is
    /// found as it was typed, in lower case, or with each word's first letter in upper case.
    pub(crate) async fn search(
        &self,
        filter: &UserFilter,
        text: &str,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<Position>), MirrorError> {
        let ways = ways(text);
        let (mut users, mut last): (Vec<User>, _) = (Vec::new(), None);
        for (index, way) in ways.iter().enumerate() {
            let after = match after {
                Some(after) if after.way > index => continue,
                Some(after) if after.way == index => self.key_of(way, after).await?,
                _ => None,
            };
            let select =
                self.select(filter, way, ways.get(..index).unwrap_or_default(), after.as_ref());
            // One more shows whether there is another page.
            let order = format!("{}, u.id", self.key(way));
            for row in self.rows(vec![select], &order, limit + 1).await? {
                if users.len() == limit {
                    return Ok((users, last));
                }
                let user = User::of_row(row);
                last = Some(Position { way: index, id: user.id.as_str().to_owned() });
                users.push(user);
            }
        }
        Ok((users, None))
    }

    /// What the results are sorted by: the key and the id of a user. `None` if the user was deleted or has another name now.
    /// Then the results begin again with the first one: a user who occurs twice is better than one who is missing.
    async fn key_of(
        &self,
        way: &Way,
        after: &Position,
    ) -> Result<Option<(String, String)>, MirrorError> {
        let sql = format!("SELECT {} FROM {{p}}mirror_user u WHERE u.id = $1", self.key(way));
        let sql = self.shared.names.sql(&sql);
        let mut connection = self.shared.pool.acquire().await?;
        let rows = connection.conn().rows(sql, &[after.id.as_str().into()], &[Kind::Text]).await?;
        let key = rows.into_iter().next().and_then(|row| row.into_iter().next()?.into_text());
        Ok(key.filter(|key| key.starts_with(&way.start)).map(|key| (key, after.id.clone())))
    }

    fn select(
        &self,
        filter: &UserFilter,
        way: &Way,
        before: &[Way],
        after: Option<&(String, String)>,
    ) -> Select {
        let key = self.key(way);
        let mut select = Select::users();
        filter.restrict_access(&mut select);
        filter.restrict(&mut select, false);
        select.conditions.extend(way.indexed.map(str::to_owned));
        let matches = self.matches(&mut select, way);
        select.conditions.push(matches);
        for way in before {
            let found = self.matches(&mut select, way);
            select.conditions.push(format!("({found}) IS NOT TRUE"));
        }
        if let Some((key_after, id_after)) = after.cloned() {
            let (key_after, id_after) = (select.bind(key_after), select.bind(id_after));
            // The first condition finds the start in the index.
            select.conditions.push(format!(
                "{key} >= {key_after} AND ({key} > {key_after} OR u.id > {id_after})"
            ));
        }
        select
    }

    fn matches(&self, select: &mut Select, way: &Way) -> String {
        let key = self.key(way);
        // No text sorts between those that start with `start` and this one.
        let end = format!("{}{}", way.start, char::MAX);
        let (start, end) = (select.bind(way.start.clone()), select.bind(end));
        format!("{key} >= {start} AND {key} < {end}")
    }

    fn key(&self, way: &Way) -> String {
        dialect(way.key, self.shared.pool.is_postgres())
    }
}

fn ways(text: &str) -> Vec<Way> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    let mut ways = vec![
        Way { key: ID, indexed: None, start: stored_id(text).into_owned() },
        Way { key: EMAIL, indexed: Some("u.email_key IS NOT NULL"), start: email_key(text) },
    ];
    let text = text.replace('\0', "\u{fffd}");
    // Unlike `str::to_lowercase`, databases know no other sigma for the end of a word.
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    let mut starts = vec![lower.clone(), text.to_ascii_lowercase(), capitalized(&lower)];
    for start in &mut starts {
        *start = start.chars().take(NAME_START).collect();
    }
    starts.dedup();
    for (key, indexed) in [
        (NAME, "coalesce(u.name, u.first_name, u.last_name) IS NOT NULL"),
        (LAST_NAME, "u.last_name IS NOT NULL"),
    ] {
        let indexed = Some(indexed);
        ways.extend(starts.iter().map(|start| Way { key, indexed, start: start.clone() }));
    }
    ways
}

/// A text in lower case, except that a word that starts with a letter outside ASCII starts with it in upper case.
fn capitalized(text: &str) -> String {
    let mut starts = true;
    let mut capitalized = String::with_capacity(text.len());
    for char in text.chars() {
        if starts && !char.is_ascii() {
            capitalized.extend(char.to_uppercase());
        } else {
            capitalized.push(char);
        }
        starts = !char.is_alphanumeric();
    }
    capitalized
}
