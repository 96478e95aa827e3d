//! Reads events. This is independent of `tower_workos::DirectoryEvent` and of [`State`](crate::directory::State), so that each
//! can be tested with the others.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::item::{Context, Fields, Id, Item, Kind, millis, object, text};
use crate::error::WorldError;

/// A change of the world. The stores share the items.
#[derive(Clone)]
pub(super) enum Change {
    /// A user is a member of a group.
    Added { user: Arc<Item>, group: Arc<Item> },
    /// An object was deleted.
    Gone(Id),
    /// An object was created or has changed.
    Item(Arc<Item>),
    /// A user is no longer a member of a group.
    Removed { user: Arc<Item>, group: Arc<Item> },
}

/// An event.
pub(super) struct Event {
    pub(super) id: Id,
    pub(super) name: Box<str>,
    /// In Unix milliseconds.
    pub(super) happened_at: i64,
    pub(super) organization: Option<Id>,
    /// Whether the body says `"object":"event"`.
    pub(super) has_object: bool,
    /// `None` for events that change nothing.
    pub(super) change: Option<Change>,
}

#[derive(Deserialize)]
struct Body<'a> {
    id: String,
    event: String,
    #[serde(borrow, default)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Fields<'a>,
}

impl Event {
    /// Reads an event. `now` is the time of an event without `created_at`; `organization` returns the organization of a
    /// directory.
    pub(super) fn read(
        body: &[u8],
        now: i64,
        organization: impl Fn(&str) -> Option<Id>,
    ) -> Result<Self, WorldError> {
        let body: Body<'_> = serde_json::from_slice(body).map_err(|_| WorldError::Unreadable)?;
        let created_at = body.created_at.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let happened_at = created_at.and_then(|text: Cow<'_, str>| millis(&text)).unwrap_or(now);
        let item = |kind, fields: &Fields<'_>, directory: Option<&str>| {
            let context = Context { kind, happened_at, directory };
            context.item(fields, &organization).map(Arc::new).ok_or(WorldError::Unreadable)
        };
        let data = &body.data;
        let own = |kind| item(kind, data, None);
        let both = || {
            let directory = text(data, "directory_id");
            let part = |kind, name| {
                let fields = object(data, name).ok_or(WorldError::Unreadable)?;
                item(kind, &fields, directory.as_deref())
            };
            Ok((part(Kind::User, "user")?, part(Kind::Group, "group")?))
        };
        let gone = |kind| own(kind).map(|item| Change::Gone(Arc::clone(&item.id)));
        let change = match body.event.as_str() {
            "dsync.activated" => Some(Change::Item(own(Kind::Directory)?)),
            "dsync.deleted" => Some(gone(Kind::Directory)?),
            "dsync.group.created" | "dsync.group.updated" => Some(Change::Item(own(Kind::Group)?)),
            "dsync.group.deleted" => Some(gone(Kind::Group)?),
            "dsync.group.user_added" => {
                let (user, group) = both()?;
                Some(Change::Added { user, group })
            }
            "dsync.group.user_removed" => {
                let (user, group) = both()?;
                Some(Change::Removed { user, group })
            }
            "dsync.user.created" | "dsync.user.updated" => Some(Change::Item(own(Kind::User)?)),
            "dsync.user.deleted" => Some(gone(Kind::User)?),
            _ => None,
        };
        Ok(Self {
            organization: organization_of(data).map(Into::into),
            id: body.id.into(),
            name: body.event.into(),
            happened_at,
            has_object: body.object.is_some(),
            change,
        })
    }
}

/// The organization of an event: of its object, or of the user or group in it.
fn organization_of(data: &Fields<'_>) -> Option<String> {
    let of_part = |name| text(&object(data, name)?, "organization_id");
    text(data, "organization_id").or_else(|| of_part("user")).or_else(|| of_part("group"))
}
