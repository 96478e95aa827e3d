//! What the tables store about a directory, a group or a user, apart from its versions.

use serde_json::Value as Json;
use tower_workos::{Directory, DirectoryGroup, DirectoryUser};

use crate::{
    sql::value::{Kind, Value},
    text::{canonical, email_key, id, micros, plain},
};

/// A kind of object, which has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ObjectKind {
    Directory,
    Group,
    User,
}

impl ObjectKind {
    /// The columns of a document, in the order of its values.
    pub(crate) fn columns(self) -> &'static [(&'static str, Kind)] {
        use Kind::{Int, Text};
        match self {
            Self::Directory => &[
                ("organization_id", Text),
                ("name", Text),
                ("type", Text),
                ("state", Text),
                ("domains", Text),
                ("created_at", Int),
                ("updated_at", Int),
            ],
            Self::Group => &[
                ("organization_id", Text),
                ("idp_id", Text),
                ("name", Text),
                ("raw_attributes", Text),
                ("created_at", Int),
                ("updated_at", Int),
            ],
            Self::User => &[
                ("organization_id", Text),
                ("idp_id", Text),
                ("email", Text),
                ("email_key", Text),
                ("first_name", Text),
                ("last_name", Text),
                ("name", Text),
                ("state", Text),
                ("role", Text),
                ("roles", Text),
                ("custom_attributes", Text),
                ("created_at", Int),
                ("updated_at", Int),
            ],
        }
    }

    /// Whether the API's lists lack this column, although events have it. Only directories have such a column.
    pub(crate) fn is_unlisted(column: &str) -> bool {
        column == "domains"
    }

    /// Whether changes of this column are reported. Those of the others follow from another column, or occur in every
    /// version.
    pub(crate) fn is_reported(column: &str) -> bool {
        !matches!(column, "email_key" | "created_at" | "updated_at")
    }

    /// Whether an index contains this column.
    pub(crate) fn is_indexed(column: &str) -> bool {
        matches!(
            column,
            "absent_at"
                | "deleted_at"
                | "directory_id"
                | "email_key"
                | "first_name"
                | "idp_id"
                | "last_name"
                | "name"
                | "organization_id"
        )
    }

    /// The index of the state in a document. Groups have no state.
    pub(crate) fn state_column(self) -> Option<usize> {
        self.columns().iter().position(|(name, _)| *name == "state")
    }
}

/// The values of [`ObjectKind::columns`], in a canonical form: equal documents have equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document(pub(crate) Vec<Value>);

impl Document {
    pub(crate) fn empty(kind: ObjectKind) -> Self {
        Self(kind.columns().iter().map(|(_, kind)| kind.null()).collect())
    }

    pub(crate) fn of_directory(directory: &Directory, state: Option<&str>) -> Self {
        let domains: Vec<_> = directory
            .domains
            .iter()
            .map(|domain| {
                serde_json::json!({
                    "domain": domain.domain.as_deref().and_then(plain),
                    "id": domain.id.as_str(),
                })
            })
            .collect();
        Self(vec![
            ids(directory.organization_id.as_ref()),
            texts(directory.name.as_deref()),
            texts(directory.directory_type.as_ref().map(|it| it.as_str())),
            texts(state),
            json(&Json::from(domains).to_string()),
            times(directory.created_at),
            times(directory.updated_at),
        ])
    }

    pub(crate) fn of_group(group: &DirectoryGroup) -> Self {
        Self(vec![
            ids(group.organization_id.as_ref()),
            ids(group.idp_id.as_ref()),
            texts(group.name.as_deref()),
            json(group.raw_attributes.raw()),
            times(group.created_at),
            times(group.updated_at),
        ])
    }

    pub(crate) fn of_user(user: &DirectoryUser) -> Self {
        let email = user.primary_email();
        let roles: Vec<_> = user.roles.iter().map(|role| role.slug.as_str()).collect();
        Self(vec![
            ids(user.organization_id.as_ref()),
            ids(user.idp_id.as_ref()),
            texts(email.as_deref()),
            Value::Text(email.as_deref().map(email_key).filter(|key| !key.is_empty())),
            texts(user.first_name.as_deref()),
            texts(user.last_name.as_deref()),
            texts(user.name.as_deref()),
            texts(user.state.as_ref().map(|state| state.as_str())),
            texts(user.role.as_ref().map(|role| role.slug.as_str())),
            json(&Json::from(roles).to_string()),
            json(user.custom_attributes.raw()),
            times(user.created_at),
            times(user.updated_at),
        ])
    }

    /// Copies the columns of a directory that lists lack.
    pub(crate) fn copy_unlisted(&mut self, from: &Self) {
        let columns = ObjectKind::Directory.columns();
        for (((name, _), to), from) in columns.iter().zip(&mut self.0).zip(&from.0) {
            if ObjectKind::is_unlisted(name) {
                to.clone_from(from);
            }
        }
    }

    /// Keeps the state only.
    pub(crate) fn erase(&mut self, kind: ObjectKind) {
        let state = kind.state_column();
        for (column, (value, (_, kind))) in self.0.iter_mut().zip(kind.columns()).enumerate() {
            if Some(column) != state {
                *value = kind.null();
            }
        }
    }

    /// The state, if the object has one.
    pub(crate) fn state(&self, kind: ObjectKind) -> Option<&str> {
        self.0.get(kind.state_column()?)?.as_text()
    }

    /// Whether the indexed columns are equal.
    pub(crate) fn is_indexed_like(&self, other: &Self, kind: ObjectKind) -> bool {
        let values = self.0.iter().zip(&other.0);
        let mut columns = kind.columns().iter().zip(values);
        columns.all(|((name, _), (a, b))| !ObjectKind::is_indexed(name) || a == b)
    }

    /// The names of the columns that differ.
    pub(crate) fn differences(&self, other: &Self, kind: ObjectKind) -> Vec<&'static str> {
        kind.columns()
            .iter()
            .zip(self.0.iter().zip(&other.0))
            .filter(|((name, _), (a, b))| ObjectKind::is_reported(name) && a != b)
            .map(|((name, _), _)| *name)
            .collect()
    }

    /// The document as JSON text, for the column `spare`.
    pub(crate) fn to_json(&self) -> String {
        let values = self.0.iter().map(|value| match value {
            Value::Int(number) => Json::from(*number),
            Value::Text(text) => Json::from(text.clone()),
            Value::Bytes(_) => Json::Null,
        });
        Json::Array(values.collect()).to_string()
    }

    /// `None` if the text was not written by [`to_json`](Self::to_json).
    pub(crate) fn from_json(text: &str, kind: ObjectKind) -> Option<Self> {
        let values: Vec<Json> = serde_json::from_str(text).ok()?;
        let columns = kind.columns();
        let values = columns.iter().zip(values).map(|((_, kind), value)| match kind {
            Kind::Int => Value::Int(value.as_i64()),
            Kind::Text => Value::Text(value.as_str().map(str::to_owned)),
            Kind::Bytes => kind.null(),
        });
        let values: Vec<_> = values.collect();
        (values.len() == columns.len()).then_some(Self(values))
    }
}

fn ids(text: Option<&impl AsRef<str>>) -> Value {
    let text = text.map(AsRef::as_ref).filter(|text| !text.is_empty());
    Value::Text(text.map(|text| id(text).into_owned()))
}

fn texts(text: Option<&str>) -> Value {
    Value::Text(text.and_then(plain))
}

fn json(text: &str) -> Value {
    Value::Text(canonical(text))
}

fn times(time: Option<tower_workos::Timestamp>) -> Value {
    Value::Int(time.map(micros))
}
