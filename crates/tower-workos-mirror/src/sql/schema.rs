//! The migrations.

/// The migrations for both databases. [`Names::sql`](crate::sql::names::Names::sql) replaces `{p}` and `{i}`, and
/// [`dialect`] replaces these words by those of the database:
///
/// | here | PostgreSQL | SQLite |
/// |---|---|---|
/// | `@int` | `bigint` | `INTEGER` |
/// | `@bytes` | `bytea` | `BLOB` |
/// | `@seq` | `bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY` | `INTEGER PRIMARY KEY AUTOINCREMENT` |
/// | `@update_room` | room in each page for updated rows | |
/// | `@no_rowid` | | `WITHOUT ROWID` |
/// | `@time(x)` | microseconds `x` as `timestamptz` | as ISO 8601 in UTC |
/// | `@json(x)` | `x` as `jsonb` | `x` |
/// | `@empty_object` | `'{}'` | `'{}'` |
/// | `@now` | the current time in microseconds | |
/// | `left(x, 64)` | | `substr(x, 1, 64)` |
/// | ` COLLATE "C"` | | |
/// | `@postgres` | | begins a comment |
/// | `@view` | `CREATE OR REPLACE VIEW` | `CREATE VIEW` |
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Replaces the words of [`MIGRATIONS`] by those of the database.
pub(crate) fn dialect(sql: &str, postgres: bool) -> String {
    let words = [
        ("@int", "bigint", "INTEGER"),
        ("@bytes", "bytea", "BLOB"),
        (
            "@seq",
            "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            "INTEGER PRIMARY KEY AUTOINCREMENT",
        ),
        ("@update_room", "WITH (fillfactor = 80)", ""),
        ("@no_rowid", "", "WITHOUT ROWID"),
        // A word, because braces in the scripts enclose names.
        ("@empty_object", "'{}'", "'{}'"),
        (
            "@now",
            "(extract(epoch FROM now()) * 1000000)::bigint",
            "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        ),
        ("@postgres", "", "--"),
        ("@view", "CREATE OR REPLACE VIEW", "CREATE VIEW"),
    ];
    let mut sql = sql.to_owned();
    for (word, in_postgres, in_sqlite) in words {
        sql = sql.replace(word, if postgres { in_postgres } else { in_sqlite });
    }
    if !postgres {
        sql = sql
            .replace(" COLLATE \"C\"", "")
            .replace("left(", "substr(")
            .replace(", 64)", ", 1, 64)");
    }
    let (time, json): (Expression, Expression) = if postgres {
        (
            // The product is computed in floating point: as one number of microseconds, it would be exact only until 2255.
            |micros| {
                format!(
                    "(timestamptz 'epoch' + {micros} / 1000000 * interval '1 second' \
                     + {micros} % 1000000 * interval '1 microsecond')"
                )
            },
            |text| format!("{text}::jsonb"),
        )
    } else {
        (
            |micros| {
                // SQLite's own fractions of seconds are milliseconds.
                let fraction = format!("(({micros} % 1000000 + 1000000) % 1000000)");
                format!(
                    "strftime('%Y-%m-%dT%H:%M:%S', ({micros} - {fraction}) / 1000000, 'unixepoch') \
                     || printf('.%06dZ', {fraction})"
                )
            },
            str::to_owned,
        )
    };
    let sql = calls(&sql, "@time(", time);
    calls(&sql, "@json(", json)
}

/// How many characters of a name an index contains.
#[cfg(feature = "page")]
pub(crate) const NAME_START: usize = 64;

/// Makes an SQL expression from a column's name.
type Expression = fn(&str) -> String;

fn calls(sql: &str, call: &str, replacement: impl Fn(&str) -> String) -> String {
    let mut parts = sql.split(call);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (argument, rest) = part.split_once(')').unwrap_or((part, ""));
        replaced.push_str(&replacement(argument));
        replaced.push_str(rest);
    }
    replaced
}
