//! A body's JSON: what is an event, and what it says.

use std::fmt::Debug;

use bytes::Bytes;
use serde_json::{Value, json};
use tower_workos::{
    AccessChange, Attributes, CustomAttributes, Directory, DirectoryEvent, DirectoryGroup,
    DirectoryToken, DirectoryUser, EmailAddress, EventData, GroupMembership, ParseError,
    PostalAddress, Previous, PreviousAttributes, Role, Timestamp, Verifier, VerifyError,
    WebhookSecret, testing::Signer,
};

use crate::{
    json::{Fault, Node},
    model::{self, Event, Reading, Unreadable},
};

/// The library reads a body as the plain model does, or both reject it for the same reason; and gives its bytes back.
///
/// # Panics
///
/// Where that is not so.
pub fn check(body: &[u8]) {
    let parsed = DirectoryEvent::parse(Bytes::copy_from_slice(body));
    match &parsed {
        Ok(event) => round_trips(event, body),
        Err(error) => says_nothing_of_the_body(error, body),
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

/// The reader of the model and serde_json's own type have nothing in common but the text.
fn the_reader_agrees_with_serde_json(text: &str) {
    let value: Result<Value, _> = serde_json::from_str(text);
    match (value, Node::read(text)) {
        (Ok(value), Ok(node)) => assert_eq!(node.to_value(), Some(value)),
        (Ok(_), Err(fault)) => assert_eq!(fault, Fault::Depth),
        // serde_json's type holds no number of any size, no half of a character and no great depth.
        (Err(_), Ok(_) | Err(_)) => {}
    }
}

fn round_trips(event: &DirectoryEvent, body: &[u8]) {
    assert_eq!(event.raw(), body);
    let stored = serde_json::to_string(event).expect("an event serializes");
    let again: DirectoryEvent = serde_json::from_str(&stored).expect("and back");
    assert_eq!(again.raw(), body);
    assert_eq!(again.data(), event.data());
    assert_eq!(again.unreadable_fields(), event.unreadable_fields());
    assert_eq!(again.signature(), event.signature());
    assert!(!format!("{event:?}").is_empty());
}

/// An error says the event's id and name, as they may be printed, and apart from them one of these texts.
fn says_nothing_of_the_body(letter: &ParseError, body: &[u8]) {
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

/// A verifier reads the event of a signed body as it is read without a signature.
fn signed_is_the_same(parsed: &Result<DirectoryEvent, ParseError>, body: &[u8]) {
    let secret = WebhookSecret::new("whsec_of_the_fuzzing").expect("a secret");
    let delivery = Signer::new(secret.clone()).sign(Bytes::copy_from_slice(body));
    let header = delivery.signature().parse().expect("a header of our own");
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

fn same(event: &DirectoryEvent, expected: &Event) {
    let seen = Event {
        id: event.id().to_string(),
        name: event.name().to_owned(),
        created_at: event.created_at().map(model::nanoseconds),
        context: event.context().raw().to_owned(),
        data: data(event.data()),
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
    let actor = context.actor().map(|actor| {
        actor.map(|actor| json!({"id": actor.id, "source": actor.source, "name": actor.name}))
    });
    now(context.raw(), "actor", &actor);
    match event.data() {
        EventData::UserCreated(user) | EventData::UserDeleted(user) => custom_attributes(user),
        EventData::UserUpdated(change) => {
            custom_attributes(&change.user);
            previous_attributes(&change.previous_attributes);
        }
        EventData::GroupUpdated(change) => previous_attributes(&change.previous_attributes),
        EventData::GroupCreated(group) => {
            let raw: &Attributes = &group.raw_attributes;
            let id = raw.get("id").map(|id| id.map(|id| id.get().to_owned()));
            let expected = model::lookup(raw.raw(), "id")
                .map(|id| id.filter(|id| !id.is_null()).map(|id| id.text.to_owned()));
            assert_eq!(id.map_err(|_| Unreadable), expected);
        }
        EventData::GroupUserAdded(membership) => custom_attributes(&membership.user),
        _ => {}
    }
}

/// A typed attribute of now is what the model finds in the text.
fn now<E: Debug>(text: &str, key: &str, seen: &Result<Option<Value>, E>) {
    let expected = model::lookup(text, key).and_then(|node| {
        let node = node.filter(|node| !node.is_null());
        node.map(|node| model::attribute(&node, key).ok_or(Unreadable)).transpose()
    });
    assert_eq!(
        seen.as_ref().map_err(|_| Unreadable),
        expected.as_ref().map_err(|_| Unreadable),
        "{key}"
    );
}

/// A typed attribute of before is what the model finds in the text.
fn before<E: Debug>(text: &str, key: &str, seen: Result<Previous<Value>, E>) {
    let expected = match model::lookup(text, key) {
        Ok(None) => Ok(Previous::Unchanged),
        Ok(Some(node)) if node.is_null() => Ok(Previous::WasAbsent),
        Ok(Some(node)) => model::attribute(&node, key).map(Previous::Was).ok_or(Unreadable),
        Err(Unreadable) => Err(Unreadable),
    };
    assert_eq!(seen.map_err(|_| Unreadable), expected, "{key}");
}

fn was<T>(previous: Previous<T>, value: impl FnOnce(T) -> Value) -> Previous<Value> {
    match previous {
        Previous::Unchanged => Previous::Unchanged,
        Previous::Was(former) => Previous::Was(value(former)),
        Previous::WasAbsent => Previous::WasAbsent,
    }
}

macro_rules! texts {
    ($check:ident, $attributes:expr, $wrap:ident, [$($key:ident),*]) => {$(
        $check!($attributes, $key, $wrap);
    )*};
}

macro_rules! text_now {
    ($attributes:expr, $key:ident, $wrap:ident) => {
        let seen = $attributes.$key().map(|text| text.map(|text| $wrap(text.as_ref())));
        now($attributes.raw(), stringify!($key), &seen);
    };
}

macro_rules! text_before {
    ($attributes:expr, $key:ident, $wrap:ident) => {
        let seen = $attributes.$key().map(|text| was(text, |text| $wrap(text.as_ref())));
        before($attributes.raw(), stringify!($key), seen);
    };
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn custom_attributes(user: &DirectoryUser) {
    let email = user.primary_email().map(std::borrow::Cow::into_owned);
    assert_eq!(email, Event::primary_email(&self::user(user)));
    let attributes: &CustomAttributes = &user.custom_attributes;
    texts!(
        text_now,
        attributes,
        text,
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
    let emails = attributes.emails().map(|list| list.map(|list| emails(&list)));
    now(attributes.raw(), "emails", &emails);
    let addresses = attributes.addresses().map(|list| list.map(|list| addresses(&list)));
    now(attributes.raw(), "addresses", &addresses);
}

fn previous_attributes(previous: &PreviousAttributes) {
    texts!(text_before, previous, text, [email, first_name, idp_id, last_name, name]);
    before(
        previous.raw(),
        "state",
        previous.state().map(|state| was(state, |state| text(state.as_str()))),
    );
    before(previous.raw(), "role", previous.role().map(|one| was(one, |one| role(&one))));
    before(previous.raw(), "roles", previous.roles().map(|list| was(list, |list| roles(&list))));
    let Ok(custom) = previous.custom_attributes() else {
        assert!(model::lookup(previous.raw(), "custom_attributes").is_err());
        return;
    };
    texts!(text_before, custom, text, [department_name, job_title, username]);
    before(custom.raw(), "emails", custom.emails().map(|list| was(list, |list| emails(&list))));
    before(
        custom.raw(),
        "addresses",
        custom.addresses().map(|list| was(list, |list| addresses(&list))),
    );
}

/// The typed data with every field, in the form of the model's.
fn data(data: &EventData) -> Value {
    match data {
        EventData::DirectoryActivated(directory) | EventData::DirectoryDeleted(directory) => {
            self::directory(directory)
        }
        EventData::GroupCreated(group) | EventData::GroupDeleted(group) => self::group(group),
        EventData::GroupUpdated(change) => {
            with_previous(group(&change.group), &change.previous_attributes)
        }
        EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
            self::membership(membership)
        }
        EventData::TokenCreated(token) | EventData::TokenRevoked(token) => self::token(token),
        EventData::UserCreated(user) | EventData::UserDeleted(user) => self::user(user),
        EventData::UserUpdated(change) => {
            with_previous(user(&change.user), &change.previous_attributes)
        }
        EventData::Unknown(unknown) => Value::from(unknown.data().get()),
        _ => Value::Null,
    }
}

fn with_previous(mut object: Value, previous: &PreviousAttributes) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert("previous_attributes".to_owned(), Value::from(previous.raw()));
    }
    object
}

fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::from(model::nanoseconds(time).to_string()))
}

fn directory(directory: &Directory) -> Value {
    json!({
        "id": directory.id,
        "organization_id": directory.organization_id,
        "type": directory.directory_type.as_ref().map(|of| of.as_str()),
        "state": directory.state.as_ref().map(|state| state.as_str()),
        "name": directory.name,
        "external_key": directory.external_key,
        "domains": directory.domains.iter()
            .map(|domain| json!({"id": domain.id, "domain": domain.domain}))
            .collect::<Value>(),
        "created_at": time(directory.created_at),
        "updated_at": time(directory.updated_at),
    })
}

fn user(user: &DirectoryUser) -> Value {
    json!({
        "id": user.id,
        "directory_id": user.directory_id,
        "organization_id": user.organization_id,
        "idp_id": user.idp_id,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "name": user.name,
        "state": user.state.as_ref().map(|state| state.as_str()),
        "custom_attributes": user.custom_attributes.raw(),
        "role": user.role.as_ref().map(role),
        "roles": roles(&user.roles),
        "created_at": time(user.created_at),
        "updated_at": time(user.updated_at),
    })
}

fn group(group: &DirectoryGroup) -> Value {
    json!({
        "id": group.id,
        "directory_id": group.directory_id,
        "organization_id": group.organization_id,
        "idp_id": group.idp_id,
        "name": group.name,
        "raw_attributes": group.raw_attributes.raw(),
        "created_at": time(group.created_at),
        "updated_at": time(group.updated_at),
    })
}

fn membership(membership: &GroupMembership) -> Value {
    json!({
        "user": user(&membership.user),
        "group": group(&membership.group),
        "directory_id": membership.directory_id,
    })
}

fn token(token: &DirectoryToken) -> Value {
    json!({
        "id": token.id,
        "directory_id": token.directory_id,
        "organization_id": token.organization_id,
        "token_suffix": token.token_suffix,
        "created_at": time(token.created_at),
    })
}

fn role(role: &Role) -> Value {
    json!({"slug": role.slug})
}

fn roles(roles: &[Role]) -> Value {
    roles.iter().map(role).collect()
}

fn emails(emails: &[EmailAddress]) -> Value {
    let email = |email: &EmailAddress| json!({"primary": email.primary, "type": email.email_type, "value": email.value});
    emails.iter().map(email).collect()
}

fn addresses(addresses: &[PostalAddress]) -> Value {
    let address = |address: &PostalAddress| {
        json!({
            "primary": address.primary,
            "type": address.address_type,
            "raw_address": address.raw_address,
            "street_address": address.street_address,
            "locality": address.locality,
            "region": address.region,
            "postal_code": address.postal_code,
            "country": address.country,
        })
    };
    addresses.iter().map(address).collect()
}
