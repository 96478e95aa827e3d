//! What is known of an event's signature.

use crate::event::timestamp::Timestamp;

/// When and with which secret a delivery was signed, as it was verified when it arrived.
///
/// [`Verified::signature`](crate::Verified::signature) returns it, and
/// [`DirectoryEvent::signature`](crate::DirectoryEvent::signature) for an event that may have been stored since: then it
/// proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureInfo {
    pub(crate) issued_at: Timestamp,
    pub(crate) secret_index: usize,
}

impl SignatureInfo {
    /// When the signature was made: the header's `t`.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The index of the secret in the set at that time, from 0. After a rotation, the old secret can be removed once its
    /// index no longer occurs.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}
