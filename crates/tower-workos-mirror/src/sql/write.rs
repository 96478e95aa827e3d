//! Writes many rows with few statements.

#[cfg(feature = "postgres")]
use crate::sql::transaction::channel;
use crate::{
    rules::document::ObjectKind,
    sql::{
        conn::Conn,
        names::Names,
        rows::Row,
        table::Table,
        value::{Kind, Value},
    },
};

/// The maximum number of rows of a table in one statement, so that a first sync does not fill the server's memory.
#[cfg(feature = "postgres")]
const AT_ONCE: usize = 16_384;

/// What a transaction has to know after it has written changes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The numbers of the new changes, in order.
    pub(crate) numbers: Vec<i64>,
    /// The queues that get a job for each of them.
    pub(crate) outboxes: Vec<String>,
}

/// Writes rows to tables, and replaces existing rows with the same keys.
///
/// In PostgreSQL, one statement writes to all tables and reads the names of the outboxes, because each statement is a round trip.
pub(crate) async fn write(
    conn: &mut Conn<'_>,
    names: &Names,
    mut tables: Vec<(Table, Vec<Row>)>,
) -> Result<Written, sqlx::Error> {
    tables.retain(|(_, rows)| !rows.is_empty());
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Postgres(connection) => {
            let mut written = Written::default();
            while tables.iter().any(|(_, rows)| !rows.is_empty()) {
                let part =
                    tables.iter_mut().filter(|(_, rows)| !rows.is_empty()).map(|(table, rows)| {
                        let rest = rows.split_off(rows.len().min(AT_ONCE));
                        (*table, std::mem::replace(rows, rest))
                    });
                let part = postgres(connection, names, part.collect()).await?;
                written.numbers.extend(part.numbers);
                // All parts with changes see the same names.
                if !part.outboxes.is_empty() {
                    written.outboxes = part.outboxes;
                }
            }
            Ok(written)
        }
        #[cfg(feature = "sqlite")]
        Conn::Sqlite(_) => {
            let mut numbers = Vec::new();
            for (table, rows) in tables {
                sqlite(conn, names, table, rows, &mut numbers).await?;
            }
            let outboxes =
                if numbers.is_empty() { Vec::new() } else { outboxes(conn, names).await? };
            Ok(Written { numbers, outboxes })
        }
    }
}

/// The names of the queues that were registered as outboxes.
#[cfg(any(feature = "outbox", feature = "sqlite"))]
pub(crate) async fn outboxes(
    conn: &mut Conn<'_>,
    names: &Names,
) -> Result<Vec<String>, sqlx::Error> {
    let sql = names.sql("SELECT name FROM {p}mirror_outbox ORDER BY name");
    let rows = conn.rows(sql, &[], &[Kind::Text]).await?;
    Ok(rows.into_iter().flatten().filter_map(Value::into_text).collect())
}

/// The clause for rows whose keys exist.
fn on_conflict(table: Table) -> String {
    let columns = table.columns();
    let (key, others) = columns.split_at(table.key());
    let list = |columns: &[(&str, Kind)], prefix: &str| {
        let names: Vec<_> = columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
        names.join(", ")
    };
    match table {
        Table::Change => String::new(),
        // The first delivery of an event counts.
        Table::Applied => " ON CONFLICT DO NOTHING".to_owned(),
        Table::Member | Table::Object(_) | Table::Unindexed(_) => {
            let keeps_indexed = matches!(table, Table::Unindexed(_));
            let is_set = |name| !(keeps_indexed && ObjectKind::is_indexed(name));
            let others: Vec<_> = others.iter().filter(|(name, _)| is_set(name)).copied().collect();
            format!(
                " ON CONFLICT ({}) DO UPDATE SET ({}) = ({})",
                list(key, ""),
                list(&others, ""),
                list(&others, "excluded.")
            )
        }
    }
}

fn column_list(table: Table) -> String {
    let columns = table.columns();
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The numbers of rows in one statement. Each number is a statement that the connection prepares and keeps, so there are
/// few of them. SQLite allows 32 766 parameters.
#[cfg(feature = "sqlite")]
const CHUNKS: [usize; 4] = [512, 64, 8, 1];

#[cfg(feature = "sqlite")]
async fn sqlite(
    conn: &mut Conn<'_>,
    names: &Names,
    table: Table,
    rows: Vec<Row>,
    numbers: &mut Vec<i64>,
) -> Result<(), sqlx::Error> {
    let width = table.columns().len();
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    while let Some(&size) = CHUNKS.iter().find(|size| left >= **size) {
        left -= size;
        let group = format!("(?{})", ", ?".repeat(width.saturating_sub(1)));
        let mut sql =
            format!("INSERT INTO {} ({}) VALUES {group}", names.table(table), column_list(table));
        for _ in 1..size {
            sql.push_str(", ");
            sql.push_str(&group);
        }
        sql.push_str(&on_conflict(table));
        let values = rows.by_ref().take(size).flatten();
        if table == Table::Change {
            sql.push_str(" RETURNING seq");
            let rows = conn.insert(sql, values, &[Kind::Int]).await?;
            // SQLite does not guarantee the order of returned rows.
            let mut new: Vec<_> = rows.iter().filter_map(|row| row.first()?.as_int()).collect();
            new.sort_unstable();
            numbers.extend(new);
        } else {
            conn.insert(sql, values, &[]).await?;
        }
    }
    Ok(())
}

#[cfg(feature = "postgres")]
async fn postgres(
    connection: &mut sqlx::PgConnection,
    names: &Names,
    mut tables: Vec<(Table, Vec<Row>)>,
) -> Result<Written, sqlx::Error> {
    // The statement ends with the changes, whose numbers it returns.
    tables.sort_by_key(|(table, _)| *table == Table::Change);
    let Some((last, _)) = tables.last() else { return Ok(Written::default()) };
    let returns_numbers = *last == Table::Change;
    let mut inserts = Vec::new();
    let mut first = 1;
    for (table, _) in &tables {
        let columns = table.columns();
        let arrays: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(index, (_, kind))| format!("${}::{}[]", first + index, kind.name()))
            .collect();
        first += columns.len();
        let list = column_list(*table);
        let arrays = arrays.join(", ");
        let insert = if *table == Table::Change {
            // The numbers follow the order of the changes. The subqueries run once. The second one wakes the readers of the
            // feed after the commit.
            format!(
                "SELECT {list} FROM unnest({arrays}) WITH ORDINALITY AS t ({list}, ordinality) \
                 ORDER BY ordinality RETURNING seq, \
                 (SELECT array_agg(name ORDER BY name) FROM {}), (SELECT pg_notify('{}', ''))",
                names.sql("{p}mirror_outbox"),
                channel(names)
            )
        } else {
            format!("SELECT * FROM unnest({arrays}){}", on_conflict(*table))
        };
        inserts.push(format!("INSERT INTO {} ({list}) {insert}", names.table(*table)));
    }
    let last = inserts.pop().unwrap_or_default();
    let others: Vec<_> =
        inserts.iter().enumerate().map(|(index, sql)| format!("w{index} AS ({sql})")).collect();
    let sql = if others.is_empty() { last } else { format!("WITH {} {last}", others.join(", ")) };

    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for (table, rows) in tables {
        let mut columns: Vec<_> = table
            .columns()
            .iter()
            .map(|(_, kind)| (*kind, Vec::with_capacity(rows.len())))
            .collect();
        for row in rows {
            for ((_, column), value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        for (kind, column) in columns {
            query = match kind {
                Kind::Text => {
                    let column: Vec<_> = column.into_iter().map(Value::into_text).collect();
                    query.bind(column)
                }
                Kind::Bytes | Kind::Int => {
                    let column: Vec<_> = column.iter().map(Value::as_int).collect();
                    query.bind(column)
                }
            };
        }
    }
    if returns_numbers {
        use sqlx::Row as _;
        let rows = query.fetch_all(connection).await?;
        let numbers = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let outboxes: Option<Option<_>> = rows.first().map(|row| row.try_get(1)).transpose()?;
        Ok(Written { numbers, outboxes: outboxes.flatten().unwrap_or_default() })
    } else {
        query.execute(connection).await?;
        Ok(Written::default())
    }
}
