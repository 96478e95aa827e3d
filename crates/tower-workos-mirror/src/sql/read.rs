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
    if facts.is_empty() {
        return Ok(before);
    }
    let keys = Keys::of(facts);
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Postgres(connection) => {
            for (table, row) in postgres(connection, names, &keys).await? {
                add(&mut before, table, row);
            }
        }
        #[cfg(feature = "sqlite")]
        Conn::Sqlite(_) => {
            for table in Table::STATE {
                let Some((condition, arguments)) = keys.in_sqlite(names, table) else { continue };
                let columns = table.columns();
                let kinds: Vec<_> = columns.iter().map(|(_, kind)| *kind).collect();
                let sql = format!(
                    "SELECT {} FROM {} {condition}",
                    list(&columns, "t."),
                    from_sqlite(names, table)
                );
                for row in conn.rows(sql, &arguments, &kinds).await? {
                    add(&mut before, table, row);
                }
            }
        }
    }
    Ok(before)
}

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
        Table::Applied | Table::Change => {}
    }
}

fn list(columns: &[(&str, Kind)], alias: &str) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("{alias}{name}")).collect();
    names.join(", ")
}

/// The tables of the directories that rows of users and groups name.
fn owners(names: &Names) -> [String; 2] {
    [ObjectKind::User, ObjectKind::Group].map(|kind| names.table(Table::Object(kind)))
}

#[cfg(feature = "sqlite")]
impl Keys {
    fn in_sqlite(&self, names: &Names, table: Table) -> Option<(String, Vec<Value>)> {
        let json = |ids: &[String]| Value::from(serde_json::json!(ids).to_string());
        let (ids, condition) = match table {
            Table::Object(ObjectKind::Directory) => {
                let [users, groups] = owners(names);
                let condition = format!(
                    "WHERE t.id IN (SELECT value FROM json_each($1) \
                     UNION SELECT directory_id FROM {users} WHERE id IN (SELECT value FROM json_each($2)) \
                     UNION SELECT directory_id FROM {groups} WHERE id IN (SELECT value FROM json_each($3)))"
                );
                let arguments =
                    vec![json(&self.directories), json(&self.users), json(&self.groups)];
                return Some((condition, arguments));
            }
            Table::Object(ObjectKind::Group) => {
                (&self.groups, "WHERE t.id IN (SELECT value FROM json_each($1))")
            }
            Table::Object(ObjectKind::User) => {
                (&self.users, "WHERE t.id IN (SELECT value FROM json_each($1))")
            }
            Table::Member if self.member_groups.is_empty() => return None,
            Table::Member => {
                let pairs: Vec<_> = self.member_groups.iter().zip(&self.member_users).collect();
                let pairs = Value::from(serde_json::json!(pairs).to_string());
                let condition = "WHERE t.group_id = k.value ->> 0 AND t.user_id = k.value ->> 1";
                return Some((condition.to_owned(), vec![pairs]));
            }
            Table::Applied | Table::Change => return None,
        };
        (!ids.is_empty()).then(|| (condition.to_owned(), vec![json(ids)]))
    }
}

#[cfg(feature = "sqlite")]
fn from_sqlite(names: &Names, table: Table) -> String {
    let name = names.table(table);
    // `CROSS JOIN` makes SQLite look up each pair.
    if table == Table::Member {
        format!("json_each($1) AS k CROSS JOIN {name} AS t")
    } else {
        format!("{name} AS t")
    }
}

/// One statement for all tables: each statement is a round trip, and over a network these take most of the time.
#[cfg(feature = "postgres")]
async fn postgres(
    connection: &mut sqlx::PgConnection,
    names: &Names,
    keys: &Keys,
) -> Result<Vec<(Table, Row)>, sqlx::Error> {
    use sqlx::Row as _;

    let count = |table: &Table, of| table.columns().iter().filter(|(_, kind)| *kind == of).count();
    let most = |of| Table::STATE.iter().map(|table| count(table, of)).max().unwrap_or(0);
    let (texts, ints) = (most(Kind::Text), most(Kind::Int));
    let selects: Vec<_> = Table::STATE
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
            format!("SELECT {} {}", fields.join(", "), from_postgres(names, *table))
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
            let table = *Table::STATE.get(usize::try_from(tag).ok()?)?;
            let text = |column: usize| row.try_get(column + 1).map(Value::Text);
            let int = |column: usize| row.try_get(column + 1 + texts).map(Value::Int);
            let texts = (0..count(&table, Kind::Text)).map(text);
            let values = texts.chain((0..count(&table, Kind::Int)).map(int));
            Some(values.collect::<Result<Row, _>>().map(|row| (table, row)))
        })
        .collect()
}

#[cfg(feature = "postgres")]
fn from_postgres(names: &Names, table: Table) -> String {
    let name = names.table(table);
    match table {
        Table::Object(ObjectKind::Directory) => {
            let [users, groups] = owners(names);
            format!(
                "FROM {name} t WHERE t.id IN (SELECT unnest($1::text[]) \
                 UNION SELECT directory_id FROM {users} WHERE id = ANY($3) \
                 UNION SELECT directory_id FROM {groups} WHERE id = ANY($2))"
            )
        }
        Table::Object(ObjectKind::Group) => format!("FROM {name} t WHERE t.id = ANY($2)"),
        Table::Object(ObjectKind::User) => format!("FROM {name} t WHERE t.id = ANY($3)"),
        Table::Applied | Table::Change | Table::Member => format!(
            "FROM unnest($4::text[], $5::text[]) k (group_id, user_id) \
             JOIN {name} t ON t.group_id = k.group_id AND t.user_id = k.user_id"
        ),
    }
}
