//! The statements of the queries.
//!
//! They follow the same rules as the views in `sql/schema/1.sql`, but return times and JSON in their stored form.

use crate::{
    sql::{
        conn::Conn,
        names::Names,
        rows::Row,
        value::{
            Kind::{self, Int, Text},
            Value,
        },
    },
    text,
};

pub(super) const DIRECTORY: &str = "{p}mirror_directory";
pub(super) const GROUP: &str = "{p}mirror_group";
pub(super) const MEMBER: &str = "{p}mirror_member";
pub(super) const USER: &str = "{p}mirror_user";

pub(super) const GROUPS_DIRECTORY: &str =
    "LEFT JOIN {p}mirror_directory d ON d.id = g.directory_id";
pub(super) const USERS_DIRECTORY: &str = "LEFT JOIN {p}mirror_directory d ON d.id = u.directory_id";

/// The directory `d` gives access. So does a directory without a row.
pub(super) const GIVES_ACCESS: &str =
    "coalesce(d.state, 'active') IN ('active', 'invalid_credentials', 'linked', 'validating')";
/// The membership `m` exists, regardless of its user and its group.
pub(super) const JOINED: &str =
    "m.op_removed = 0 AND (m.absent_at IS NULL OR m.op_at >= m.absent_at)";
/// The directory `d` was not deleted. A directory without a row was not deleted either.
pub(super) const LIVE_DIRECTORY: &str =
    "d.deleted_at IS NULL AND (d.absent_at IS NULL OR d.evidence_at >= d.absent_at)";

/// The object with this alias exists, regardless of its directory.
pub(super) fn present(alias: &str) -> String {
    format!(
        "{alias}.deleted_at IS NULL AND {alias}.evidence_at >= coalesce({alias}.absent_at, {alias}.evidence_at)"
    )
}

/// The user or group with this alias exists, in the directory `d`.
pub(super) fn live(alias: &str) -> String {
    format!("{} AND {LIVE_DIRECTORY}", present(alias))
}

/// A statement that is being built.
#[derive(Clone)]
pub(super) struct Select {
    columns: String,
    kinds: &'static [Kind],
    pub(super) from: String,
    pub(super) conditions: Vec<String>,
    pub(super) arguments: Vec<Value>,
}

impl Select {
    pub(super) fn new(columns: &str, kinds: &'static [Kind], from: String) -> Self {
        let columns = columns.to_owned();
        Self { columns, kinds, from, conditions: Vec::new(), arguments: Vec::new() }
    }

    pub(super) fn directories() -> Self {
        let columns = format!(
            "d.id, d.organization_id, d.name, d.type, d.state, d.domains, d.created_at, d.updated_at, {}",
            flag(GIVES_ACCESS)
        );
        let kinds = &[Text, Text, Text, Text, Text, Text, Int, Int, Int];
        let mut select = Self::new(&columns, kinds, format!("{DIRECTORY} d"));
        select.conditions.push(present("d"));
        select
    }

    pub(super) fn groups() -> Self {
        let columns = "g.id, g.directory_id, coalesce(g.organization_id, d.organization_id), g.idp_id, g.name, \
                       g.raw_attributes, g.created_at, g.updated_at";
        let kinds = &[Text, Text, Text, Text, Text, Text, Int, Int];
        let mut select = Self::new(columns, kinds, format!("{GROUP} g {GROUPS_DIRECTORY}"));
        select.conditions.push(live("g"));
        select
    }

    pub(super) fn memberships() -> Self {
        let from = format!(
            "{MEMBER} m JOIN {USER} u ON u.id = m.user_id JOIN {GROUP} g ON g.id = m.group_id \
             {USERS_DIRECTORY} LEFT JOIN {DIRECTORY} e ON e.id = g.directory_id"
        );
        let mut select = Self::new("m.group_id, m.user_id, u.directory_id", &[Text; 3], from);
        select.conditions =
            vec![JOINED.to_owned(), live("u"), present("g"), LIVE_DIRECTORY.replace("d.", "e.")];
        select
    }

    pub(super) fn users() -> Self {
        let columns = format!(
            "u.id, u.directory_id, coalesce(u.organization_id, d.organization_id), u.idp_id, u.email, u.first_name, \
             u.last_name, u.name, u.state, u.role, u.roles, u.custom_attributes, u.created_at, u.updated_at, {}",
            flag(&format!("u.state = 'active' AND {GIVES_ACCESS}"))
        );
        let kinds = &[
            Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Int, Int, Int,
        ];
        let mut select = Self::new(&columns, kinds, format!("{USER} u {USERS_DIRECTORY}"));
        select.conditions.push(live("u"));
        select
    }

    /// The users who have access: their ids only.
    pub(super) fn access() -> Self {
        let mut select = Self::new("u.id", &[Text], format!("{USER} u {USERS_DIRECTORY}"));
        select.conditions.push(live("u"));
        select.conditions.push(format!("u.state = 'active' AND {GIVES_ACCESS}"));
        select
    }

    /// Adds a text as an argument and returns an expression for it.
    ///
    /// If the database has statistics, some builds of SQLite compile a statement again for each new argument that is
    /// compared with an indexed column, which takes longer than most of these queries. They don't look into
    /// expressions.
    pub(super) fn bind(&mut self, argument: impl Into<Value>) -> String {
        self.arguments.push(argument.into());
        format!("(${} || '')", self.arguments.len())
    }

    pub(super) fn bind_id(&mut self, id: &str) -> String {
        self.bind(text::stored_id(id).into_owned())
    }

    /// Adds a condition that ends with an id.
    pub(super) fn id(&mut self, condition: &str, id: &str) {
        let id = self.bind_id(id);
        self.conditions.push(format!("{condition} {id}"));
    }

    /// Adds the condition that a column, `owner`, has the id of this directory.
    ///
    /// The database looks at the directory first, not at each row: a deleted directory can have many.
    pub(super) fn directory(&mut self, column: &str, directory: &str, with_access: bool) {
        let id = self.bind_id(directory);
        let access = if with_access { format!(" AND {GIVES_ACCESS}") } else { String::new() };
        let is_listed = format!(
            "NOT EXISTS (SELECT 1 FROM {DIRECTORY} d WHERE d.id = {id} AND ({LIVE_DIRECTORY}{access}) IS NOT TRUE)"
        );
        self.only_if(column, &id, &is_listed);
    }

    /// Adds the condition that the members are those of this group.
    pub(super) fn group(&mut self, group: &str) {
        let id = self.bind_id(group);
        let listed = live("g");
        let is_listed = format!(
            "EXISTS (SELECT 1 FROM {GROUP} g {GROUPS_DIRECTORY} WHERE g.id = {id} AND {listed})"
        );
        self.only_if("m.group_id", &id, &is_listed);
    }

    /// Adds the condition that a column has a value, which no row has unless another condition holds.
    ///
    /// PostgreSQL evaluates the condition once, before it reads rows. SQLite would evaluate it for each row, but its index
    /// finds nothing for NULL.
    fn only_if(&mut self, column: &str, value: &str, condition: &str) {
        self.conditions.push(format!("{column} = (SELECT {value} WHERE {condition})"));
        self.conditions.push(condition.to_owned());
    }

    /// The first rows of one or two statements with the same arguments, sorted by the key.
    ///
    /// The limit is part of the text, because PostgreSQL makes worse plans if it doesn't know the limit. The connection
    /// keeps a statement for each text, so there are only a few limits, and the rows beyond the requested limit are
    /// dropped.
    pub(super) async fn run(
        selects: Vec<Self>,
        conn: &mut Conn<'_>,
        names: &Names,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let Some(first) = selects.first().cloned() else { return Ok(Vec::new()) };
        let asked = limit;
        let limit = LIMITS.iter().find(|limit| **limit >= asked);
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let mut parts: Vec<_> = selects
            .into_iter()
            .map(|Self { columns, from, conditions, .. }| {
                let conditions = conditions.join(" AND ");
                format!("SELECT {columns} FROM {from} WHERE {conditions} ORDER BY {key}{limit}")
            })
            .collect();
        let sql = if parts.len() == 1 {
            parts.pop().unwrap_or_default()
        } else {
            let parts: Vec<_> = parts
                .into_iter()
                .enumerate()
                .map(|(index, part)| format!("SELECT * FROM ({part}) AS part_{index}"))
                .collect();
            format!("{} ORDER BY 1{limit}", parts.join(" UNION ALL "))
        };
        let mut rows = conn.rows(names.sql(&sql), &first.arguments, first.kinds).await?;
        rows.truncate(asked);
        Ok(rows)
    }
}

/// The limits of statements. One row more than the page has shows whether there is another page.
const LIMITS: [usize; 5] = [1, 11, 51, 101, 1001];

fn flag(condition: &str) -> String {
    format!("CAST(CASE WHEN {condition} THEN 1 ELSE 0 END AS bigint)")
}
