//! Stores items.

use std::collections::HashSet;

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        Context, context::PublishErrorKind, message::PublishMessage, stream::DirectGetErrorKind,
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesOrdered};

use super::{
    Nats,
    error::{diagnose, failed},
    message::{Meta, token},
};
use crate::{
    error::{InboxError, InboxErrorKind},
    payload::Item,
    queue::Stored,
};

/// How many items of a batch are stored at the same time.
const CONCURRENCY: usize = 256;

impl Nats {
    pub(crate) async fn store(&self, items: &[Item]) -> Result<Vec<Stored>, InboxError> {
        let mut keys = HashSet::with_capacity(items.len());
        let mut stored = Vec::with_capacity(items.len());
        for chunk in items.chunks(CONCURRENCY) {
            let mut storing = FuturesOrdered::new();
            for item in chunk {
                // If a batch contains a key twice, the first one is new.
                let is_first = keys.insert(&item.key);
                storing.push_back(async move {
                    if is_first { self.store_one(item).await } else { Ok(Stored::Duplicate) }
                });
            }
            while let Some(result) = storing.next().await {
                match result {
                    Ok(one) => stored.push(one),
                    Err(error) => return Err(diagnose(&self.context, &self.streams, error).await),
                }
            }
        }
        Ok(stored)
    }

    /// The order matters: an error or a crash in between can make a second job of an item, but never loses it.
    async fn store_one(&self, item: &Item) -> Result<Stored, InboxError> {
        let token = token(&item.key);
        let key = format!("{}.{token}", self.streams.keys);
        if self.is_known(&key).await? {
            return Ok(Stored::Duplicate);
        }
        let stream = if item.dead.is_some() { &self.streams.dead } else { &self.streams.jobs };
        let headers = Meta::of(item).to_headers();
        let stored = publish(&self.context, stream, &token, headers, item.body.clone()).await?;
        let what = "NATS did not store a key";
        let remembering = self.context.publish(key, Bytes::new()).await;
        remembering
            .map_err(|error| failed(what, error))?
            .await
            .map_err(|error| failed(what, error))?;
        Ok(stored)
    }

    async fn is_known(&self, key: &str) -> Result<bool, InboxError> {
        let what = "NATS did not look up a key";
        let stream = self.context.get_stream_no_info(&self.streams.keys).await;
        let stream = stream.map_err(|error| failed(what, error))?;
        match stream.direct_get_last_for_subject(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(what, error)),
        }
    }
}

/// Publishes a message, and returns once the stream has stored it. A message with a known id is not stored.
pub(super) async fn publish(
    context: &Context,
    stream: &str,
    id: &str,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Stored, InboxError> {
    headers.insert(NATS_MESSAGE_ID, id);
    let message = PublishMessage::build().headers(headers).payload(body).expected_stream(stream);
    let published = async { context.send_publish(stream.to_owned(), message).await?.await }.await;
    match published {
        Ok(ack) if ack.duplicate => Ok(Stored::Duplicate),
        Ok(_) => Ok(Stored::New),
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
            let hint = "the item is larger than the NATS server accepts: raise its max_payload";
            Err(InboxError::new(InboxErrorKind::TooLarge, hint).caused(error))
        }
        Err(error) => Err(failed("NATS did not store a message", error)),
    }
}
