//! Typed events.

mod access;
mod address;
mod attributes;
mod context;
mod custom_attributes;
mod data;
mod directory;
mod directory_event;
mod duplicates;
mod email;
mod envelope;
mod fast;
mod group;
mod guess;
mod id;
mod kind;
mod lenient;
mod membership;
mod object;
mod parse;
mod parse_error;
mod previous;
mod repair;
mod role;
mod signature_info;
mod text;
mod timestamp;
mod token;
mod ulid;
mod updated;
mod user;
mod user_state;

#[cfg(feature = "tracing")]
pub(crate) use self::parse_error::Excerpt;
pub use self::{
    access::AccessChange,
    address::PostalAddress,
    attributes::{AttributeError, Attributes},
    context::{Actor, EventContext},
    custom_attributes::CustomAttributes,
    data::{EventData, UnknownEvent},
    directory::{Directory, DirectoryState, DirectoryType, OrganizationDomain},
    directory_event::DirectoryEvent,
    email::EmailAddress,
    group::{DirectoryGroup, GroupUpdated},
    id::{
        DirectoryGroupId, DirectoryId, DirectoryTokenId, DirectoryUserId, EventId,
        OrganizationDomainId, OrganizationId,
    },
    membership::GroupMembership,
    parse_error::ParseError,
    previous::{Previous, PreviousAttributes, PreviousCustomAttributes},
    role::Role,
    signature_info::SignatureInfo,
    text::Unrecognized,
    timestamp::{Timestamp, TimestampError},
    token::DirectoryToken,
    user::{DirectoryUser, UserUpdated},
    user_state::DirectoryUserState,
};
