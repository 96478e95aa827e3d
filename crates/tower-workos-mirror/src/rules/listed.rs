//! Converts the items of the API's lists to facts that can be merged.

use bytes::Bytes;
use tower_workos::{DirectoryEvent, DirectoryId, EventData, ParseError, Timestamp};

use crate::{
    rules::{
        batch::Batch,
        document::{Document, ObjectKind},
        facts::{UNREADABLE, readable_state},
        member::{Member, Operation},
        object::{LOWEST, ListVersion, Object},
    },
    text::{id, micros},
};

/// Adds an item of a list that is at least as new as `fence`. It is read like the `data` of an event, so a field that
/// can't be read does not matter, except for the state: then the object is not active.
///
/// # Errors
///
/// If the item is not an object with an id.
pub(crate) fn add(
    batch: &mut Batch,
    kind: ObjectKind,
    item: &[u8],
    fence: i64,
    directory: Option<&str>,
) -> Result<(), ParseError> {
    let name = match kind {
        ObjectKind::Directory => "dsync.activated",
        ObjectKind::Group => "dsync.group.created",
        ObjectKind::User => "dsync.user.created",
    };
    let mut body = format!(r#"{{"id":"list","event":"{name}","data":"#).into_bytes();
    body.extend_from_slice(item);
    body.push(b'}');
    let event = DirectoryEvent::parse(Bytes::from(body))?;
    let (object_id, owner, updated_at, document) = match event.data() {
        EventData::DirectoryActivated(it) => {
            // Unlike an event, every item of a list has a state. `linked` was read as `active`, and `unlinked` as `inactive`.
            let state = readable_state(&event, it).or(Some(UNREADABLE));
            let mut document = Document::of_directory(it, state);
            document.copy_unlisted(&Document::empty(kind));
            (it.id.as_str(), None, it.updated_at, document)
        }
        EventData::GroupCreated(it) => {
            (it.id.as_str(), it.directory_id.as_ref(), it.updated_at, Document::of_group(it))
        }
        EventData::UserCreated(it) => {
            (it.id.as_str(), it.directory_id.as_ref(), it.updated_at, Document::of_user(it))
        }
        _ => return Ok(()),
    };
    let mut object = present(object_id, fence);
    let owner = owner.map(DirectoryId::as_str).or(directory);
    object.directory_id = owner.map(|owner| id(owner).into_owned());
    let updated = updated_at.map_or(LOWEST, micros);
    object.list = Some((ListVersion { at: fence, updated }, document));
    batch.object(kind, object);
    Ok(())
}

/// Adds a user who was in the list of a group's members.
pub(crate) fn add_member(batch: &mut Batch, group: &str, user: &str, directory: &str, fence: i64) {
    for (kind, object) in [(ObjectKind::Group, group), (ObjectKind::User, user)] {
        let mut object = present(object, fence);
        object.directory_id = Some(id(directory).into_owned());
        batch.object(kind, object);
    }
    // It has no event, so an event at the same time wins.
    let operation = Operation { at: fence, removed: false, event: String::new() };
    let member = Member { operation: Some(operation), absent_at: None };
    batch.member(id(group).into_owned(), id(user).into_owned(), member);
}

fn present(object: &str, fence: i64) -> Object {
    let mut object = Object::new(id(object));
    object.evidence_at = Some(fence);
    object
}

/// The fence of a response with this `Date`: what happened before it is contained in the response.
pub(crate) fn fence(date: Timestamp, margin: std::time::Duration) -> i64 {
    micros(date).saturating_sub(i64::try_from(margin.as_micros()).unwrap_or(i64::MAX))
}
