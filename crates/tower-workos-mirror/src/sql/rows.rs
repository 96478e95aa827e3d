//! Objects and memberships as rows.

use std::borrow::Cow;

use crate::{
    rules::{
        batch::MemberKey,
        document::{Document, ObjectKind},
        member::{Member, Operation},
        object::{EventVersion, ListVersion, Object},
    },
    sql::value::{Kind, Value},
};

/// The values of [`Table::columns`](crate::sql::table::Table::columns).
pub(crate) type Row = Vec<Value>;

/// Both cells of versions have a document. The document that is shown is in the columns, and the other one is in `spare`.
pub(crate) fn object_row(kind: ObjectKind, object: Object) -> Row {
    let is_list_shown = object.is_list_shown();
    let shown = object.shown(kind).map(Cow::into_owned);
    let (event, event_document) = object.event.unzip();
    let (list, list_document) = object.list.unzip();
    let spare =
        if is_list_shown { event_document } else { list_document.filter(|_| event.is_some()) };
    let shown = shown.unwrap_or_else(|| Document::empty(kind));
    let (texts, ints): (Vec<_>, Vec<_>) =
        shown.0.into_iter().partition(|value| matches!(value, Value::Text(_)));
    let (deleted_at, deleted_by) = object.deleted.unzip();

    let mut row = vec![Value::from(object.id)];
    if kind != ObjectKind::Directory {
        row.push(object.directory_id.into());
    }
    if kind == ObjectKind::Directory {
        row.push(object.environment.into());
    }
    row.push(event.as_ref().map(|event| event.event.clone()).into());
    row.push(deleted_by.into());
    row.push(spare.map(|document| document.to_json()).into());
    row.extend(texts);
    row.push(event.as_ref().map(|event| event.updated).into());
    row.push(event.as_ref().map(|event| event.at).into());
    row.push(event.as_ref().map(|event| i64::from(event.inactive)).into());
    row.push(list.map(|list| list.at).into());
    row.push(list.map(|list| list.updated).into());
    row.push(object.evidence_at.into());
    row.push(object.absent_at.into());
    row.push(deleted_at.into());
    if kind != ObjectKind::User {
        row.push(object.listed_at.into());
    }
    row.extend(ints);
    row
}

/// Reads what [`object_row`] wrote. `None` for any other row, which no table contains.
pub(crate) fn object(kind: ObjectKind, row: Row) -> Option<Object> {
    let mut values = row.into_iter();
    let mut object = Object::new(text(&mut values)?);
    if kind != ObjectKind::Directory {
        object.directory_id = text(&mut values);
    } else {
        object.environment = text(&mut values);
    }
    let event = text(&mut values);
    let deleted_by = text(&mut values);
    let spare = text(&mut values);
    let is = |of: Kind| kind.columns().iter().filter(move |(_, kind)| *kind == of).count();
    let mut document: Vec<_> = values.by_ref().take(is(Kind::Text)).collect();
    let updated = int(&mut values);
    let at = int(&mut values);
    let inactive = int(&mut values) == Some(1);
    let list_at = int(&mut values);
    let list_updated = int(&mut values);
    object.evidence_at = int(&mut values);
    object.absent_at = int(&mut values);
    object.deleted = int(&mut values).zip(deleted_by);
    if kind != ObjectKind::User {
        object.listed_at = int(&mut values);
    }
    document.extend(values.take(is(Kind::Int)));

    let event = match (updated, at, event) {
        (Some(updated), Some(at), Some(event)) => {
            Some(EventVersion { updated, at, inactive, event })
        }
        _ => None,
    };
    let list = list_at.zip(list_updated).map(|(at, updated)| ListVersion { at, updated });
    let shown = Document(document);
    let spare = spare.and_then(|spare| Document::from_json(&spare, kind));
    match (event, list) {
        (Some(event), Some(list)) => {
            let spare = spare.unwrap_or_else(|| Document::empty(kind));
            // The versions determine which one is shown.
            object.event = Some((event, spare.clone()));
            object.list = Some((list, spare.clone()));
            let is_list_shown = object.is_list_shown();
            let event = object.event.take().map(|(event, _)| event);
            let (events, mut lists) = if is_list_shown { (spare, shown) } else { (shown, spare) };
            if kind == ObjectKind::Directory {
                // They are the event's.
                lists.copy_unlisted(&Document::empty(kind));
            }
            object.event = event.map(|event| (event, events));
            object.list = Some((list, lists));
        }
        (Some(event), None) => object.event = Some((event, shown)),
        (None, Some(list)) => object.list = Some((list, shown)),
        (None, None) => {}
    }
    Some(object)
}

pub(crate) fn member_row((group, user): MemberKey, member: Member) -> Row {
    let operation = member.operation;
    vec![
        Value::from(group),
        Value::from(user),
        operation.as_ref().map(|it| it.event.clone()).into(),
        operation.as_ref().map(|it| it.at).into(),
        operation.as_ref().map(|it| i64::from(it.removed)).into(),
        member.absent_at.into(),
    ]
}

/// Reads what [`member_row`] wrote.
pub(crate) fn member(row: Row) -> Option<(MemberKey, Member)> {
    let mut values = row.into_iter();
    let key = (text(&mut values)?, text(&mut values)?);
    let event = text(&mut values);
    let (at, removed) = (int(&mut values), int(&mut values) == Some(1));
    let operation = at.zip(event).map(|(at, event)| Operation { at, removed, event });
    Some((key, Member { operation, absent_at: int(&mut values) }))
}

fn text(values: &mut impl Iterator<Item = Value>) -> Option<String> {
    values.next()?.into_text()
}

fn int(values: &mut impl Iterator<Item = Value>) -> Option<i64> {
    values.next()?.as_int()
}
