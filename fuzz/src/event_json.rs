//! Checks how the JSON of a body is read as an event.

use bytes::Bytes;
use serde_json::{Value, json};
use tower_workos::{
    AccessChange, Attributes, CustomAttributes, DirectoryEvent, DirectoryUser, EventData,
    ParseError, Previous, PreviousAttributes, Verifier, VerifyError, WebhookSecret,
    testing::Signer,
};

use crate::{
    json::{Fault, Node},
    model::{self, Event, Reading},
    moment::nanoseconds,
    typed,
};

/// Checks that the library reads a body like the simple model, or that both reject it for the same reason, and that the
/// library returns the body's bytes.
///
/// # Panics
///
/// If a check fails.
pub fn check(body: &[u8]) {
    let parsed = DirectoryEvent::parse(Bytes::copy_from_slice(body));
    match &parsed {
        Ok(event) => round_trips(event, body),
        Err(error) => reveals_nothing_else(error, body),
    }
    signed_is_the_same(&parsed, body);

    let text = std::str::from_utf8(body);
    if let Ok(text) = text {
        the_reader_agrees_with_serde_json(text);
    }
    let expected = match text.map(Event::read) {
        Ok(Ok(expected)) => expected,
        Ok(Err(_)) => return,
        Err(_) => Reading::Other,
    };
    match (&parsed, &expected) {
        (Ok(event), Reading::Event(expected)) => same(event, expected),
        (Err(letter), Reading::DeadLetter { id, name, path }) => {
            assert_eq!(letter.id().map(AsRef::as_ref), id.as_deref());
            assert_eq!(letter.name(), name.as_deref());
            assert_eq!(letter.path(), Some(path.as_str()));
        }
        (Err(letter), Reading::Other) => assert_eq!(letter.path(), None),
        (parsed, expected) => panic!("{parsed:?}, but {expected:?}"),
    }
}

/// Compares the model's own JSON reader with serde_json.
fn the_reader_agrees_with_serde_json(text: &str) {
    let value: Result<Value, _> = serde_json::from_str(text);
    match (value, Node::read(text)) {
        (Ok(value), Ok(node)) => assert_eq!(node.to_value(), Some(value)),
        (Ok(_), Err(fault)) => assert_eq!(fault, Fault::Depth),
        // serde_json's type does not support numbers of any size, lone surrogates or deep nesting.
        (Err(_), Ok(_) | Err(_)) => {}
    }
}

fn round_trips(event: &DirectoryEvent, body: &[u8]) {
    assert_eq!(event.raw(), body);
    let stored = serde_json::to_string(event).expect("an event serializes");
    let again: DirectoryEvent = serde_json::from_str(&stored).expect("a stored event deserializes");
    assert_eq!(again.raw(), body);
    assert_eq!(again.data(), event.data());
    assert_eq!(again.unreadable_fields(), event.unreadable_fields());
    assert_eq!(again.signature(), event.signature());
    assert!(!format!("{event:?}").is_empty());
}

/// Checks that an error shows only the escaped id and name of the event, and one of these texts.
fn reveals_nothing_else(letter: &ParseError, body: &[u8]) {
    assert_eq!(letter.raw(), body);
    let excerpt = |text: &str| {
        let start: String = text.chars().take(64).collect();
        start.escape_debug().to_string() + if text.chars().count() > 64 { "…" } else { "" }
    };
    let id = letter.id().map(|id| excerpt(id.as_str()));
    let name = letter.name().map(excerpt);
    let who = match (id, name) {
        (Some(id), Some(name)) => format!("event \"{id}\" ({name}): "),
        (Some(id), None) => format!("event \"{id}\": "),
        (None, Some(name)) => format!("event ({name}): "),
        (None, None) => String::new(),
    };
    let reason = letter.reason().to_string();
    assert_eq!(letter.to_string(), format!("{who}{reason}"));
    assert_eq!(format!("{letter:?}"), format!("ParseError({who}{reason})"));
    let (fault, at) = match reason.rsplit_once(" at byte ") {
        Some((fault, at)) => (fault, at.parse().expect("a number")),
        None => (reason.as_str(), 0),
    };
    assert!(at <= body.len(), "{reason}");
    let known = [
        "the body is not UTF-8",
        "the body is not JSON",
        "the body is not a JSON object",
        "`id` is missing or not a non-empty string",
        "`event` is missing or not a string",
        "`data` is missing or not an object",
        "`data.id` is missing or not a non-empty string",
        "`data.user` is missing or not an object",
        "`data.user.id` is missing or not a non-empty string",
        "`data.group` is missing or not an object",
        "`data.group.id` is missing or not a non-empty string",
    ];
    assert!(known.contains(&fault), "{reason}");
}

/// Checks that a signed body is read like one without a signature.
fn signed_is_the_same(parsed: &Result<DirectoryEvent, ParseError>, body: &[u8]) {
    let secret = WebhookSecret::new("whsec_of_the_fuzzing").expect("a secret");
    let delivery = Signer::new(secret.clone()).sign(Bytes::copy_from_slice(body));
    let header = delivery.signature().parse().expect("a valid header");
    let signed = Verifier::new(secret).construct_event(&header, delivery.body().clone());
    match (&signed, parsed) {
        (Ok(signed), Ok(parsed)) => {
            assert_eq!(signed, parsed);
            assert_eq!(signed.data(), parsed.data());
            assert_eq!(signed.unreadable_fields(), parsed.unreadable_fields());
            assert_eq!(signed.signature().map(|signature| signature.secret_index()), Some(0));
            assert_eq!(signed.created_at(), parsed.created_at().or(Some(header.issued_at())));
        }
        (signed, parsed) => {
            let expected = parsed.clone().err().map(VerifyError::Parse);
            assert_eq!(signed.as_ref().err(), expected.as_ref());
        }
    }
}

/// Checks that an object serializes to JSON that is read as the same object.
macro_rules! rereads {
    ($value:expr) => {{
        let json = serde_json::to_string($value).expect("an object serializes");
        assert_eq!(&serde_json::from_str(&json).ok().as_ref(), &Some($value), "{json}");
    }};
}

fn objects_reread(data: &EventData) {
    match data {
        EventData::DirectoryActivated(it) | EventData::DirectoryDeleted(it) => rereads!(it),
        EventData::GroupCreated(it) | EventData::GroupDeleted(it) => rereads!(it),
        EventData::GroupUpdated(it) => rereads!(it),
        EventData::GroupUserAdded(it) | EventData::GroupUserRemoved(it) => rereads!(it),
        EventData::TokenCreated(it) | EventData::TokenRevoked(it) => rereads!(it),
        EventData::UserCreated(it) | EventData::UserDeleted(it) => rereads!(it),
        EventData::UserUpdated(it) => rereads!(it),
        _ => {}
    }
}

fn same(event: &DirectoryEvent, expected: &Event) {
    let seen = Event {
        id: event.id().to_string(),
        name: event.name().to_owned(),
        created_at: event.created_at().map(nanoseconds),
        context: event.context().raw().to_owned(),
        data: typed::data(event.data()),
        unreadable: {
            let mut paths = event.unreadable_fields().to_vec();
            paths.sort();
            paths
        },
    };
    assert_eq!(&seen, expected);
    assert_eq!(event.organization_id().map(AsRef::as_ref), expected.organization_id());
    assert_eq!(event.directory_id().map(AsRef::as_ref), expected.directory_id());
    let access = event.access_change().map(|change| match change {
        AccessChange::Changed(user) => ("changed", user.id.as_str()),
        AccessChange::DirectoryRevoked(directory) => ("directory revoked", directory.id.as_str()),
        AccessChange::GroupChanged(group) => ("group changed", group.id.as_str()),
        AccessChange::GroupRevoked(group) => ("group revoked", group.id.as_str()),
        AccessChange::Granted(user) => ("granted", user.id.as_str()),
        AccessChange::MembershipAdded { user, .. } => ("added", user.id.as_str()),
        AccessChange::MembershipRemoved { user, .. } => ("removed", user.id.as_str()),
        AccessChange::Revoked(user) => ("revoked", user.id.as_str()),
        _ => ("?", "?"),
    });
    assert_eq!(access, expected.access_change());

    let context = event.context();
    let actor = context.actor();
    let actor =
        actor.map(|actor| json!({"id": actor.id, "source": actor.source, "name": actor.name}));
    now(context.raw(), "actor", actor);
    objects_reread(event.data());
    match event.data() {
        EventData::UserCreated(user) | EventData::UserDeleted(user) => custom_attributes(user),
        EventData::UserUpdated(change) => {
            custom_attributes(&change.user);
            previous_attributes(&change.previous_attributes);
        }
        EventData::GroupUpdated(change) => previous_attributes(&change.previous_attributes),
        EventData::GroupCreated(group) => {
            let raw: &Attributes = &group.raw_attributes;
            let id = raw.get("id").map(|id| id.get().to_owned());
            let expected = model::lookup(raw.raw(), "id").filter(|id| !id.is_null());
            assert_eq!(id, expected.map(|id| id.text.to_owned()));
        }
        EventData::GroupUserAdded(membership) => custom_attributes(&membership.user),
        _ => {}
    }
}

/// Compares a current attribute with what the model finds in the text.
fn now(text: &str, key: &str, seen: Option<Value>) {
    let node = model::lookup(text, key).filter(|node| !node.is_null());
    assert_eq!(seen, node.and_then(|node| model::attribute(&node, key)), "{key}");
}

/// Compares a former attribute with what the model finds in the text.
fn before(text: &str, key: &str, seen: Previous<Value>) {
    let expected = model::lookup(text, key).map_or(Previous::Unchanged, |node| {
        let value = Some(node).filter(|node| !node.is_null());
        let value = value.and_then(|node| model::attribute(&node, key));
        value.map_or(Previous::WasAbsent, Previous::Was)
    });
    assert_eq!(seen, expected, "{key}");
}

fn was<T>(previous: Previous<T>, value: impl FnOnce(T) -> Value) -> Previous<Value> {
    match previous {
        Previous::Unchanged => Previous::Unchanged,
        Previous::Was(former) => Previous::Was(value(former)),
        Previous::WasAbsent => Previous::WasAbsent,
    }
}

macro_rules! texts {
    ($check:ident, $attributes:expr, [$($key:ident),*]) => {$(
        $check!($attributes, $key);
    )*};
}

macro_rules! text_now {
    ($attributes:expr, $key:ident) => {
        let seen = $attributes.$key().map(|text| Value::from(text.as_ref()));
        now($attributes.raw(), stringify!($key), seen);
    };
}

macro_rules! text_before {
    ($attributes:expr, $key:ident) => {
        let seen = was($attributes.$key(), |text| Value::from(text.as_ref()));
        before($attributes.raw(), stringify!($key), seen);
    };
}

fn custom_attributes(user: &DirectoryUser) {
    let email = user.primary_email().map(std::borrow::Cow::into_owned);
    assert_eq!(email, Event::primary_email(&typed::user(user)));
    let attributes: &CustomAttributes = &user.custom_attributes;
    texts!(
        text_now,
        attributes,
        [
            cost_center_name,
            department_name,
            division_name,
            employee_number,
            employee_type,
            employment_start_date,
            job_title,
            manager_email,
            organization,
            username
        ]
    );
    now(attributes.raw(), "emails", attributes.emails().map(|list| typed::emails(&list)));
    let addresses = attributes.addresses().map(|list| typed::addresses(&list));
    now(attributes.raw(), "addresses", addresses);
}

fn previous_attributes(previous: &PreviousAttributes) {
    let raw = previous.raw();
    texts!(text_before, previous, [email, first_name, idp_id, last_name, name]);
    before(raw, "state", was(previous.state(), |state| Value::from(state.as_str())));
    before(raw, "role", was(previous.role(), |role| typed::role(&role)));
    before(raw, "roles", was(previous.roles(), |roles| typed::roles(&roles)));
    let custom = previous.custom_attributes();
    let expected = model::lookup(raw, "custom_attributes");
    let expected = expected.filter(|node| node.as_object().is_some());
    assert_eq!(custom.raw(), expected.map_or("{}", |node| node.text));
    texts!(
        text_before,
        custom,
        [
            cost_center_name,
            department_name,
            division_name,
            employee_number,
            employee_type,
            employment_start_date,
            job_title,
            manager_email,
            organization,
            username
        ]
    );
    before(custom.raw(), "emails", was(custom.emails(), |list| typed::emails(&list)));
    before(custom.raw(), "addresses", was(custom.addresses(), |list| typed::addresses(&list)));
}
