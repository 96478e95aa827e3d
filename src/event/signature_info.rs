//! What an event remembers of its signature.

use crate::event::{DirectoryEvent, Timestamp};

/// When and with which secret a delivery was signed, as it was verified at the time.
///
/// From [`Verified::signature`](crate::Verified::signature), or from an event that may have been stored since, in
/// which case it proves nothing: see [`DirectoryEvent::signature`].
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

    /// Which secret signed: its index in the set at that time, from 0. After a rotation, the old secret can be
    /// removed once its index is no longer seen.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }
}

impl DirectoryEvent {
    /// When and with which secret this event was signed; `None` if it came without a signature.
    ///
    /// After deserializing, this is what was known when the event was serialized. It proves nothing about where the
    /// serialized form came from.
    #[must_use]
    pub fn signature(&self) -> Option<SignatureInfo> {
        self.0.signature
    }
}
