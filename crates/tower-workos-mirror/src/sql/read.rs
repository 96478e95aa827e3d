//! Reads the rows that a batch changes.

use crate::{
    rules::{batch::Batch, document::ObjectKind},
    sql::{
        conn::Conn,
        names::Names,
        rows::{self, Row},
        table::Table,
        value::{Kind, Value},
    },
};

/// Reads the rows of everything that the facts are about, and of the directories that the facts or these rows name.
pub(crate) async fn rows_before(
    conn: &mut Conn<'_>,
    names: &Names,
    facts: &Batch,
) -> Result<Batch, sqlx::Error> {
    let mut before = Batch::default();
    let keys = Keys::of(facts);
    read(conn, names, &keys, &mut before).await?;
    // Almost every event names its directory.
    let owners = before.groups.values().chain(before.users.values());
    let mut others: Vec<_> = owners
        .filter_map(|object| object.directory_id.as_ref())
        .filter(|id| keys.directories.binary_search(id).is_err())
        .cloned()
        .collect();
    if !others.is_empty() {
        others.sort_unstable();
        others.dedup();
        let keys = Keys { directories: others, ..Keys::default() };
        read(conn, names, &keys, &mut before).await?;
    }
    Ok(before)
}

async fn read(
    conn: &mut Conn<'_>,
    names: &Names,
    keys: &Keys,
    before: &mut Batch,
) -> Result<(), sqlx::Error> {
    let tables: Vec<_> = Table::STATE.into_iter().filter(|table| keys.has(*table)).collect();
    if tables.is_empty() {
        return Ok(());
    }
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Postgres(connection) => {
            for (table, row) in postgres(connection, names, &tables, keys).await? {
                add(before, table, row);
            }
        }
        #[cfg(feature = "sqlite")]
        Conn::Sqlite(_) => {
            for table in tables {
                let columns = table.columns();
                let kinds: Vec<_> = columns.iter().map(|(_, kind)| *kind).collect();
                let sql = format!(
                    "SELECT {} FROM {}",
                    list(&columns, "t."),
                    from_sqlite(&names.table(table), table)
                );
                for row in conn.rows(sql, &[keys.json(table)], &kinds).await? {
                    add(before, table, row);
                }
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Keys {
    directories: Vec<String>,
    groups: Vec<String>,
    users: Vec<String>,
    member_groups: Vec<String>,
    member_users: Vec<String>,
}

impl Keys {
    fn of(facts: &Batch) -> Self {
        let (member_groups, member_users) = facts.members.keys().cloned().unzip();
        Self {
            directories: facts.directory_ids(),
            groups: facts.groups.keys().cloned().collect(),
            users: facts.users.keys().cloned().collect(),
            member_groups,
            member_users,
        }
    }

    fn has(&self, table: Table) -> bool {
        !match table {
            Table::Object(ObjectKind::Directory) => &self.directories,
            Table::Object(ObjectKind::Group) => &self.groups,
            Table::Object(ObjectKind::User) => &self.users,
            Table::Applied | Table::Change | Table::Member | Table::Unindexed(_) => {
                &self.member_groups
            }
        }
        .is_empty()
    }
}

fn add(before: &mut Batch, table: Table, row: Row) {
    match table {
        Table::Object(kind) => {
            if let Some(object) = rows::object(kind, row) {
                before.object(kind, object);
            }
        }
        Table::Member => {
            if let Some((key, member)) = rows::member(row) {
                before.members.insert(key, member);
            }
        }
        Table::Applied | Table::Change | Table::Unindexed(_) => {}
    }
}

#[cfg(feature = "sqlite")]
fn list(columns: &[(&str, Kind)], alias: &str) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("{alias}{name}")).collect();
    names.join(", ")
}

#[cfg(feature = "sqlite")]
impl Keys {
    fn json(&self, table: Table) -> Value {
        let json = match table {
            Table::Object(ObjectKind::Directory) => serde_json::json!(self.directories),
            Table::Object(ObjectKind::Group) => serde_json::json!(self.groups),
            Table::Object(ObjectKind::User) => serde_json::json!(self.users),
            Table::Applied | Table::Change | Table::Member | Table::Unindexed(_) => {
                let pairs: Vec<_> = self.member_groups.iter().zip(&self.member_users).collect();
                serde_json::json!(pairs)
            }
        };
        json.to_string().into()
    }
}

#[cfg(feature = "sqlite")]
fn from_sqlite(name: &str, table: Table) -> String {
    if table == Table::Member {
        // `CROSS JOIN` makes SQLite look up each pair.
        format!(
            "json_each($1) AS k CROSS JOIN {name} AS t \
             WHERE t.group_id = k.value ->> 0 AND t.user_id = k.value ->> 1"
        )
    } else {
        format!("{name} AS t WHERE t.id IN (SELECT value FROM json_each($1))")
    }
}

/// Reads all tables with one statement: each statement is a round trip, and over a network these take most of the time.
#[cfg(feature = "postgres")]
async fn postgres(
    connection: &mut sqlx::PgConnection,
    names: &Names,
    tables: &[Table],
    keys: &Keys,
) -> Result<Vec<(Table, Row)>, sqlx::Error> {
    use sqlx::Row as _;

    let count = |table: &Table, of| table.columns().iter().filter(|(_, kind)| *kind == of).count();
    let most = |of| tables.iter().map(|table| count(table, of)).max().unwrap_or(0);
    let (texts, ints) = (most(Kind::Text), most(Kind::Int));
    let selects: Vec<_> = tables
        .iter()
        .enumerate()
        .map(|(tag, table)| {
            let columns = table.columns();
            let mut fields = vec![format!("{tag}::bigint")];
            for (kind, width) in [(Kind::Text, texts), (Kind::Int, ints)] {
                let names = columns.iter().filter(|(_, it)| *it == kind);
                let names = names.map(|(name, _)| format!("t.{name}"));
                let padding = std::iter::repeat(format!("NULL::{}", kind.name()));
                fields.extend(names.chain(padding).take(width));
            }
            format!("SELECT {} {}", fields.join(", "), from_postgres(&names.table(*table), *table))
        })
        .collect();
    let query = sqlx::query(sqlx::AssertSqlSafe(selects.join(" UNION ALL ")));
    let query = query
        .bind(&keys.directories)
        .bind(&keys.groups)
        .bind(&keys.users)
        .bind(&keys.member_groups)
        .bind(&keys.member_users);
    let found = query.fetch_all(connection).await?;
    found
        .into_iter()
        .filter_map(|row| {
            let tag: i64 = row.try_get(0).ok()?;
            let table = *tables.get(usize::try_from(tag).ok()?)?;
            let text = |column: usize| row.try_get(column + 1).map(Value::Text);
            let int = |column: usize| row.try_get(column + 1 + texts).map(Value::Int);
            let texts = (0..count(&table, Kind::Text)).map(text);
            let values = texts.chain((0..count(&table, Kind::Int)).map(int));
            Some(values.collect::<Result<Row, _>>().map(|row| (table, row)))
        })
        .collect()
}

#[cfg(feature = "postgres")]
fn from_postgres(name: &str, table: Table) -> String {
    match table {
        Table::Object(ObjectKind::Directory) => format!("FROM {name} t WHERE t.id = ANY($1)"),
        Table::Object(ObjectKind::Group) => format!("FROM {name} t WHERE t.id = ANY($2)"),
        Table::Object(ObjectKind::User) => format!("FROM {name} t WHERE t.id = ANY($3)"),
        Table::Applied | Table::Change | Table::Member | Table::Unindexed(_) => format!(
            "FROM unnest($4::text[], $5::text[]) k (group_id, user_id) \
             JOIN {name} t ON t.group_id = k.group_id AND t.user_id = k.user_id"
        ),
    }
}
