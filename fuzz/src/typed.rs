//! Converts the library's typed values into the form of the model.

use serde_json::{Value, json};
use tower_workos::{
    Directory, DirectoryGroup, DirectoryToken, DirectoryUser, EmailAddress, EventData,
    GroupMembership, PostalAddress, PreviousAttributes, Role, Timestamp,
};

use crate::moment::nanoseconds;

/// The typed data in the form of the model, with every field.
pub(crate) fn data(data: &EventData) -> Value {
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
    time.map_or(Value::Null, |time| Value::from(nanoseconds(time).to_string()))
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

pub(crate) fn user(user: &DirectoryUser) -> Value {
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

pub(crate) fn role(role: &Role) -> Value {
    json!({"slug": role.slug})
}

pub(crate) fn roles(roles: &[Role]) -> Value {
    roles.iter().map(role).collect()
}

pub(crate) fn emails(emails: &[EmailAddress]) -> Value {
    let email = |email: &EmailAddress| json!({"primary": email.primary, "type": email.email_type, "value": email.value});
    emails.iter().map(email).collect()
}

pub(crate) fn addresses(addresses: &[PostalAddress]) -> Value {
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
