//! Inserts many rows with few statements.

use std::{collections::HashSet, fmt::Write as _};

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::{error::InboxError, payload::Item, time::now};

/// The numbers of rows of a statement. They are few, so that the prepared statements fit into sqlx's cache.
const SIZES: [usize; 3] = [64, 8, 1];

/// Inserts the items with a new key, and adds their keys to `new`.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    table: &str,
    queue: &str,
    items: &[Item],
    new: &mut HashSet<String>,
) -> Result<(), InboxError> {
    let now = now();
    let mut rest = items;
    for size in SIZES {
        let sql = statement(table, size);
        while let Some((chunk, after)) = rest.split_at_checked(size) {
            let mut query = sqlx::query_scalar(AssertSqlSafe(&*sql)).bind(queue).bind(now);
            for item in chunk {
                query = query
                    .bind(&item.key)
                    .bind(&item.name)
                    .bind(&*item.body)
                    .bind(i64::from(item.dead.is_some()))
                    .bind(&item.dead);
            }
            let keys: Vec<String> = query.fetch_all(&mut *conn).await?;
            new.extend(keys);
            rest = after;
        }
    }
    Ok(())
}

fn statement(table: &str, rows: usize) -> String {
    let mut sql = format!(
        "INSERT INTO {table} (queue, stored_at, run_at, key, name, body, state, error) VALUES "
    );
    for row in 0..rows {
        let at = 3 + row * 5;
        let comma = if row == 0 { "" } else { ", " };
        // Writing to a `String` can't fail.
        let _ = write!(
            sql,
            "{comma}($1, $2, $2, ${at}, ${}, ${}, ${}, ${})",
            at + 1,
            at + 2,
            at + 3,
            at + 4
        )
        .is_ok();
    }
    sql.push_str(" ON CONFLICT (queue, key) DO NOTHING RETURNING key");
    sql
}
