//! The tables that a batch reads and writes.

use crate::{
    rules::document::ObjectKind,
    sql::value::Kind::{self, Int, Text},
};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Applied,
    Change,
    Member,
    Object(ObjectKind),
    /// The same table, for rows whose indexed columns don't change. SQLite updates the index of each column that a statement
    /// names, even if its value stays the same.
    Unindexed(ObjectKind),
}

pub(crate) type Column = (&'static str, Kind);

impl Table {
    /// The tables that contain the state.
    pub(crate) const STATE: [Self; 4] = [
        Self::Object(ObjectKind::Directory),
        Self::Object(ObjectKind::Group),
        Self::Object(ObjectKind::User),
        Self::Member,
    ];

    /// The table's name without the prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Applied => "mirror_applied",
            Self::Change => "mirror_change",
            Self::Member => "mirror_member",
            Self::Object(ObjectKind::Directory) | Self::Unindexed(ObjectKind::Directory) => {
                "mirror_directory"
            }
            Self::Object(ObjectKind::Group) | Self::Unindexed(ObjectKind::Group) => "mirror_group",
            Self::Object(ObjectKind::User) | Self::Unindexed(ObjectKind::User) => "mirror_user",
        }
    }

    /// All columns that are written, texts first.
    pub(crate) fn columns(self) -> Vec<Column> {
        match self {
            Self::Applied => vec![
                ("event_id", Text),
                ("name", Text),
                ("directory_id", Text),
                ("group_id", Text),
                ("user_id", Text),
                ("happened_at", Int),
                ("arrived_at", Int),
                ("changes", Int),
            ],
            Self::Change => vec![
                ("kind", Text),
                ("directory_id", Text),
                ("group_id", Text),
                ("user_id", Text),
                ("fields", Text),
                ("event_id", Text),
                ("happened_at", Int),
                ("recorded_at", Int),
            ],
            Self::Member => vec![
                ("group_id", Text),
                ("user_id", Text),
                ("op_event", Text),
                ("op_at", Int),
                ("op_removed", Int),
                ("absent_at", Int),
            ],
            Self::Object(kind) | Self::Unindexed(kind) => object_columns(kind),
        }
    }

    /// How many of the first columns are the primary key.
    pub(crate) fn key(self) -> usize {
        match self {
            Self::Change => 0,
            Self::Member => 2,
            Self::Applied | Self::Object(_) | Self::Unindexed(_) => 1,
        }
    }
}

fn object_columns(kind: ObjectKind) -> Vec<Column> {
    let owner = (kind != ObjectKind::Directory).then_some(("directory_id", Text));
    let document = |of: Kind| kind.columns().iter().filter(move |(_, kind)| *kind == of).copied();
    let environment = (kind == ObjectKind::Directory).then_some(("environment", Text));
    let listed_at = (kind != ObjectKind::User).then_some(("listed_at", Int));
    let texts = [("id", Text)].into_iter().chain(owner).chain(environment).chain([
        ("ev_event", Text),
        ("deleted_by", Text),
        ("spare", Text),
    ]);
    let ints = [
        ("ev_updated", Int),
        ("ev_at", Int),
        ("ev_inactive", Int),
        ("list_at", Int),
        ("list_updated", Int),
        ("evidence_at", Int),
        ("absent_at", Int),
        ("deleted_at", Int),
    ];
    texts.chain(document(Text)).chain(ints).chain(listed_at).chain(document(Int)).collect()
}
