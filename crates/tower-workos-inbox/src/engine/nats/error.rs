//! The errors of NATS.

use std::fmt::{Debug, Display};

use async_nats::{
    connection::State,
    jetstream::{self, Context, ErrorCode},
};

use super::streams::{self, Streams};
use crate::error::{InboxError, InboxErrorKind};

/// An error of the client. Its kind contains no payload.
pub(super) fn failed<K>(what: &str, error: async_nats::error::Error<K>) -> InboxError
where
    K: Clone + Debug + Display + PartialEq + Send + Sync + 'static,
{
    InboxError::storage(format!("{what}: {}", error.kind())).caused(error)
}

/// An error that the server has returned.
pub(super) fn rejected(what: &str, error: jetstream::Error) -> InboxError {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => not_migrated(),
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
            let hint = "the item is larger than the NATS stream accepts: raise its max_msg_size";
            InboxError::new(InboxErrorKind::TooLarge, hint).caused(error)
        }
        _ => InboxError::storage(format!("{what}: {error}")).caused(error),
    }
}

fn not_migrated() -> InboxError {
    let hint = "the queue's streams are missing: call Queue::migrate at start-up, with the same name and prefix";
    InboxError::new(InboxErrorKind::NotMigrated, hint)
}

/// Finds out whether a request failed because a stream is missing. The error of such a request does not tell.
pub(super) async fn diagnose(
    context: &Context,
    streams: &Streams,
    error: InboxError,
) -> InboxError {
    if error.kind() == InboxErrorKind::Storage
        && context.client().connection_state() == State::Connected
    {
        for stream in streams.names() {
            match streams::describe(context, stream).await {
                Err(error) if error.kind() == InboxErrorKind::NotMigrated => return error,
                // The server may not respond at all.
                Err(_) => break,
                Ok(_) => {}
            }
        }
    }
    error
}
