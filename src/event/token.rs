//! A directory token.

use crate::event::{
    id::{DirectoryId, DirectoryTokenId, OrganizationId},
    macros::object,
    timestamp::Timestamp,
};

object! {
    /// A bearer token that a provider's connector authenticates to WorkOS with. The token itself is never
    /// sent.
    ///
    /// WorkOS lists its events for the Events API only, so far.
    DirectoryToken, debug(id, directory_id, organization_id);
    required {
        /// The token's id.
        id: DirectoryTokenId,
    }
    optional {
        /// The directory it authenticates to.
        directory_id: Option<DirectoryId>,
        /// The organization whose directory it is.
        organization_id: Option<OrganizationId>,
        /// The token's last characters, to recognise it by.
        token_suffix: Option<String>,
        /// When it was created.
        created_at: Option<Timestamp>,
    }
}
