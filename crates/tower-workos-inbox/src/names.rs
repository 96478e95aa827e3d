//! The names of the tables and streams.

use crate::error::InboxError;

/// The schema and the prefix of the tables, and the name of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "NATS has none")
    )]
    pub(crate) schema: Option<String>,
    pub(crate) prefix: String,
    pub(crate) queue: String,
}

impl Names {
    pub(crate) fn new(
        schema: Option<String>,
        prefix: String,
        queue: String,
    ) -> Result<Self, InboxError> {
        for name in schema.iter().chain([&prefix, &queue]) {
            if !is_identifier(name) {
                return Err(InboxError::config(format!(
                    "{name:?} can't be a schema, a prefix or a queue: use at most 30 of a-z, 0-9 and _, and no digit first"
                )));
            }
        }
        if queue.is_empty() {
            return Err(InboxError::config("the name of a queue can't be empty"));
        }
        Ok(Self { schema, prefix, queue })
    }

    /// The schema of graphile_worker's tables. Each queue has its own: graphile_worker has no index that tells their jobs apart,
    /// so that the jobs of one queue would slow down the others. `schema` is the schema of the queue's table.
    #[cfg(feature = "postgres")]
    pub(crate) fn graphile(&self, schema: Option<&str>) -> Result<String, String> {
        let schema = match schema {
            None => return Err("`search_path` names no schema that exists".to_owned()),
            Some("public") => String::new(),
            Some(schema) if is_identifier(schema) => format!("{schema}$"),
            Some(schema) => {
                return Err(format!(
                    "set the queue's schema: {schema:?} is not a plain identifier"
                ));
            }
        };
        // A character that the parts can't contain, so that no other parts make the same name.
        let name = format!("{schema}{}${}_graphile_worker", self.prefix, self.queue);
        // PostgreSQL would truncate it.
        if name.len() > 63 {
            return Err(format!(
                "the schema of graphile_worker would be {name:?}, which is longer than 63 characters: choose shorter names"
            ));
        }
        Ok(name)
    }

    /// Replaces `{p}name` by the quoted and qualified name of a table, and `{i}name` by that of an index, which is in the
    /// schema of its table.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn sql(&self, template: &str) -> String {
        let schema = self.schema.as_ref().map(|it| format!("\"{it}\".")).unwrap_or_default();
        let prefix = &self.prefix;
        template.replace("{p}", &format!("{schema}{prefix}")).replace("{i}", prefix)
    }
}

/// Identifiers can't be parameters of a statement, so only these are accepted. They need no quotes unless they are
/// keywords, which the tables' own part of the name excludes.
fn is_identifier(text: &str) -> bool {
    text.len() <= 30
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn names_are_qualified() {
        let names = Names::new(Some("hr".into()), "workos_".into(), "inbox".into()).unwrap();
        assert_eq!(
            names.sql("CREATE INDEX {i}a ON {p}inbox_job (id)"),
            "CREATE INDEX workos_a ON \"hr\".workos_inbox_job (id)"
        );
        for bad in ["a\"b", "A", "1a", "a-b", &"a".repeat(31)] {
            assert!(Names::new(None, bad.into(), "inbox".into()).is_err(), "{bad}");
            assert!(Names::new(Some(bad.into()), String::new(), "inbox".into()).is_err(), "{bad}");
            assert!(Names::new(None, String::new(), bad.into()).is_err(), "{bad}");
        }
        assert!(Names::new(None, String::new(), String::new()).is_err());
    }
}
