//! Everything at once, for tests.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};
use tower_workos::DirectoryUserId;

use super::{
    model::{Directory, Group, Membership, Record, User},
    select::Select,
};
use crate::{
    error::MirrorError,
    mirror::Mirror,
    sql::{conn::Conn, names::Names, transaction::Transaction},
};

/// Everything that the tables show, in the form that `dsync simulate --check` compares with what it sent. Each list is
/// sorted by id.
///
/// `Debug` shows the lengths only.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct State {
    /// The directories.
    pub directories: Vec<Directory>,
    /// The groups.
    pub groups: Vec<Group>,
    /// The users, with or without access. In JSON, they also have their custom attributes `job_title` and
    /// `department_name`.
    #[serde(serialize_with = "with_attributes")]
    pub users: Vec<User>,
    /// The memberships.
    pub memberships: Vec<Membership>,
    /// The ids of the users who have access.
    pub access: Vec<DirectoryUserId>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("directories", &self.directories.len())
            .field("groups", &self.groups.len())
            .field("users", &self.users.len())
            .field("memberships", &self.memberships.len())
            .field("access", &self.access.len())
            .finish()
    }
}

impl Mirror {
    /// Returns everything that the tables show at one moment, for tests with `dsync simulate --check`.
    ///
    /// It reads all tables into memory and contains personal data. Don't serve it to others.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn state(&self) -> Result<State, MirrorError> {
        let names = &self.shared.names;
        let mut transaction = Transaction::snapshot(&self.shared.pool).await?;
        let mut conn = transaction.conn();
        let state = State {
            directories: all(&mut conn, names, Select::directories(), "d.id").await?,
            groups: all(&mut conn, names, Select::groups(), "g.id").await?,
            users: all(&mut conn, names, Select::users(), "u.id").await?,
            memberships: all(&mut conn, names, Select::memberships(), "m.group_id, m.user_id")
                .await?,
            access: all(&mut conn, names, Select::access(), "u.id").await?,
        };
        transaction.commit().await?;
        Ok(state)
    }
}

async fn all<T: Record>(
    conn: &mut Conn<'_>,
    names: &Names,
    select: Select,
    key: &str,
) -> Result<Vec<T>, sqlx::Error> {
    let rows = Select::run(vec![select], conn, names, key, usize::MAX).await?;
    Ok(rows.into_iter().map(T::of_row).collect())
}

#[derive(Serialize)]
struct WithAttributes<'a> {
    #[serde(flatten)]
    user: &'a User,
    job_title: Option<Cow<'a, str>>,
    department_name: Option<Cow<'a, str>>,
}

fn with_attributes<S: Serializer>(users: &[User], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(users.iter().map(|user| WithAttributes {
        user,
        job_title: user.custom_attributes.job_title(),
        department_name: user.custom_attributes.department_name(),
    }))
}
