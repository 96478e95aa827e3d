//! WIP
#![cfg_attr(docsrs, feature(doc_cfg))]
mod clock;
mod error;
mod event;
pub mod layer;
mod secret;
mod signature;
mod verifier;
pub use crate::{
    clock::{Clock, SystemClock},
    error::{ConfigError, Rejection, RejectionKind},
    event::{
        AccessChange, Actor, AttributeError, Attributes, CustomAttributes, Directory,
        DirectoryEvent, DirectoryGroup, DirectoryGroupId, DirectoryId, DirectoryState,
        DirectoryToken, DirectoryTokenId, DirectoryType, DirectoryUser, DirectoryUserId,
        DirectoryUserState, EmailAddress, EventContext, EventData, EventId, GroupMembership,
        GroupUpdated, OrganizationDomain, OrganizationDomainId, OrganizationId, PostalAddress,
        Previous, PreviousAttributes, PreviousCustomAttributes, Role, Timestamp, TimestampError,
        UnknownEvent, UserUpdated,
    },
    layer::{DirectorySync, DirectorySyncLayer},
    secret::{WebhookSecret, WebhookSecrets},
    signature::{SIGNATURE_HEADER, SignatureHeader},
    verifier::{Verification, Verified, Verifier},
};
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "axum")]
pub use extract::MissingDirectoryEvent;
#[cfg(feature = "tonic")]
pub mod grpc;
