//! The names of the tables, with schema and prefix.

use crate::{error::ConfigError, sql::table::Table};

/// The schema and the prefix of the tables.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The start of the name of each table and view, for example `"workos_`. Without the closing quote.
    qualified: String,
    /// The start of the name of each index, which is in the schema of its table.
    prefix: String,
    /// For the queues.
    #[cfg(feature = "outbox")]
    schema: Option<String>,
}

impl Default for Names {
    /// The prefix `workos_`, in the schema in which the connection creates tables.
    fn default() -> Self {
        Self {
            qualified: "\"workos_".to_owned(),
            prefix: "\"workos_".to_owned(),
            #[cfg(feature = "outbox")]
            schema: None,
        }
    }
}

impl Names {
    pub(crate) fn new(schema: Option<&str>, prefix: &str) -> Result<Self, ConfigError> {
        for identifier in schema.into_iter().chain([prefix]) {
            if !is_identifier(identifier) {
                return Err(ConfigError::identifier(identifier));
            }
        }
        let qualifier = schema.map(|schema| format!("\"{schema}\".")).unwrap_or_default();
        Ok(Self {
            qualified: format!("{qualifier}\"{prefix}"),
            prefix: format!("\"{prefix}"),
            #[cfg(feature = "outbox")]
            schema: schema.map(str::to_owned),
        })
    }

    /// The schema and the prefix, as they were set.
    #[cfg(feature = "outbox")]
    pub(crate) fn parts(&self) -> (Option<&str>, &str) {
        (self.schema.as_deref(), self.prefix.trim_start_matches('"'))
    }

    /// Replaces `{p}name` by the quoted and qualified name of a table or view, and `{i}name` by that of an index.
    pub(crate) fn sql(&self, template: &str) -> String {
        let mut sql = String::with_capacity(template.len() + 64);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            sql.push_str(before);
            let (kind, after) = after.split_once('}').unwrap_or((after, ""));
            sql.push_str(if kind == "i" { &self.prefix } else { &self.qualified });
            let end =
                after.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            sql.push_str(name);
            sql.push('"');
            rest = after;
        }
        sql.push_str(rest);
        sql
    }

    /// The current time of the database in microseconds, as an SQL expression.
    pub(crate) fn now(conn: &crate::sql::conn::Conn<'_>) -> String {
        crate::sql::schema::dialect("@now", conn.is_postgres())
    }

    pub(crate) fn table(&self, table: Table) -> String {
        format!("{}{}\"", self.qualified, table.name())
    }

    #[cfg(feature = "postgres")]
    /// A text that is different for each set of tables in a database.
    pub(crate) fn qualified(&self) -> &str {
        &self.qualified
    }
}

/// Identifiers can't be parameters of a statement, so only these are accepted. PostgreSQL cuts names after 63 bytes.
fn is_identifier(text: &str) -> bool {
    text.len() <= 30
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let names = Names::new(Some("hr"), "workos_").unwrap();
        assert_eq!(
            names.sql("CREATE INDEX {i}a_b ON {p}mirror_user (id)"),
            r#"CREATE INDEX "workos_a_b" ON "hr"."workos_mirror_user" (id)"#
        );
        assert_eq!(Names::new(None, "").unwrap().sql("{p}users"), r#""users""#);
        for bad in ["a\"b", "A", "1a", "a-b", &"a".repeat(31)] {
            assert!(Names::new(None, bad).is_err(), "{bad}");
            assert!(Names::new(Some(bad), "").is_err(), "{bad}");
        }
    }
}
