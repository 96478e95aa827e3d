//! Dead letters.

use std::time::SystemTime;

use async_nats::jetstream::{message::StreamMessage, stream::RawMessageErrorKind};
use serde_json::{Value, json};

use super::{
    Nats,
    error::{diagnose, failed},
    message::Meta,
    store::publish,
    streams::call,
};
use crate::{
    dead_letter::DeadLetter,
    error::InboxError,
    time::{micros, system},
};

impl Nats {
    pub(crate) async fn dead_letters(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, InboxError> {
        let mut letters = Vec::new();
        let mut after = u64::try_from(after).unwrap_or(0);
        for _ in 0..limit {
            let Some(message) = self.letter(after.saturating_add(1), true).await? else { break };
            after = message.sequence;
            letters.push(letter(message));
        }
        Ok(letters)
    }

    /// The dead letter with this number, or the next one.
    async fn letter(&self, seq: u64, or_next: bool) -> Result<Option<StreamMessage>, InboxError> {
        let what = "NATS did not read a dead letter";
        let dead = &self.streams.dead;
        let stream = self.context.get_stream_no_info(dead).await;
        let stream = stream.map_err(|error| failed(what, error))?;
        let mut request = stream.raw_message_builder().sequence(seq);
        if or_next {
            // The server skips what was deleted.
            request = request.next_by_subject(dead.clone());
        }
        match request.send().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(diagnose(&self.context, &self.streams, failed(what, error)).await),
        }
    }

    pub(crate) async fn revive(&self, seq: i64) -> Result<bool, InboxError> {
        let Ok(number) = u64::try_from(seq) else { return Ok(false) };
        let Some(message) = self.letter(number, false).await? else { return Ok(false) };
        let published = micros(message.time.into());
        let meta = Meta::from_headers(Some(&message.headers));
        let stored_at = Some(meta.stored_at.unwrap_or(published));
        let meta = Meta { stored_at, attempts: None, error: None, ..meta };
        // Of two calls at the same time, or of two because of a crash before the letter is deleted, the server stores one. The time
        // makes the id unique if the stream was deleted and created again.
        let id = format!("revive:{number}:{published}");
        let jobs = &self.streams.jobs;
        publish(&self.context, jobs, &id, meta.to_headers(), message.payload).await?;
        self.delete(seq).await
    }

    pub(crate) async fn delete(&self, seq: i64) -> Result<bool, InboxError> {
        let Ok(number) = u64::try_from(seq) else { return Ok(false) };
        let what = "NATS did not delete a dead letter";
        let subject = format!("STREAM.MSG.DELETE.{}", self.streams.dead);
        // The server overwrites its bytes.
        let deleted: Result<Value, _> =
            call(&self.context, &subject, &json!({ "seq": number }), what).await;
        match deleted {
            Ok(_) => Ok(true),
            Err(error) => match self.letter(number, false).await? {
                Some(_) => Err(error),
                // There was none.
                None => Ok(false),
            },
        }
    }
}

fn letter(message: StreamMessage) -> DeadLetter {
    let meta = Meta::from_headers(Some(&message.headers));
    DeadLetter {
        seq: i64::try_from(message.sequence).unwrap_or(i64::MAX),
        key: meta.key,
        name: meta.name,
        error: meta.error.unwrap_or_default(),
        attempts: meta.attempts.unwrap_or(0),
        stored_at: meta.stored_at.map_or_else(|| SystemTime::from(message.time), system),
        body: message.payload,
    }
}
