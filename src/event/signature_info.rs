//! What is known about an event's signature.

use crate::event::timestamp::Timestamp;

/// When and with which secret a delivery was signed.
///
/// [`Verified::signature`](crate::Verified::signature) and
/// [`DirectoryEvent::signature`](crate::DirectoryEvent::signature) return it. For an event that was stored in the meantime,
/// it proves nothing.
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

    /// The secret's index, from 0, in the set of secrets at the time of the verification. After a rotation, the old secret
    /// can be removed once its index no longer occurs.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}
