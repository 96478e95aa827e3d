//! One delivery of an item, until the server has confirmed its outcome.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Request,
    jetstream::{AckKind, Message},
};
use bytes::Bytes;
use tokio::{
    select,
    sync::{Notify, OwnedSemaphorePermit},
    time::{Instant, sleep},
};

use super::{
    Nats, TIMEOUT,
    error::failed,
    message::{Meta, excerpt},
    run::{Health, LAST, PAUSE},
    store::publish,
};
use crate::{
    engine::{Claim, Delivery, Outcome, Run},
    error::InboxError,
    time::micros,
};

/// The longest wait before another attempt. The server computes in nanoseconds that must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) struct Attempt {
    pub(super) engine: Nats,
    pub(super) run: Run,
    pub(super) health: Arc<Health>,
    /// Notified when the handler has returned.
    pub(super) freed: Arc<Notify>,
}

/// When the server was last told that the item is being handled.
struct Lease {
    renewed: Mutex<Instant>,
    length: Duration,
}

impl Lease {
    fn begin(length: Duration) -> Self {
        Self { renewed: Mutex::new(Instant::now()), length }
    }

    fn renew(&self, at: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Whether the server may have delivered the item again. The message took some time to arrive.
    fn is_lost(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.elapsed() >= self.length.mul_f64(0.9)
    }
}

impl Attempt {
    pub(super) async fn handle(self, message: Message, place: OwnedSemaphorePermit) {
        // The consumer delivers nothing without it.
        let Ok(info) = message.info() else { return };
        let (stream_seq, published) = (info.stream_sequence, micros(info.published.into()));
        let attempts = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        let meta = Meta::from_headers(message.headers.as_ref());
        let stored_at = meta.stored_at.unwrap_or(published);
        let delivery = Delivery {
            key: meta.key.clone(),
            name: meta.name.clone(),
            body: message.payload.clone(),
            attempts,
            // A delivery again after a failure looks the same.
            cut_short: 0,
            stored_at,
            claim: Claim::None,
        };
        let lease = Lease::begin(self.run.lease);
        let outcome = select! {
            outcome = Arc::clone(&self.run.handle).handle(delivery) => outcome,
            never = self.renew(&message, &lease) => match never {},
        };
        drop(place);
        self.freed.notify_one();
        // Unique, also if the stream is deleted and created again.
        let id = format!("dead:{stream_seq}:{published}");
        let meta = Meta { stored_at: Some(stored_at), attempts: Some(attempts), ..meta };
        self.settle(&message, &lease, outcome, &id, meta).await;
    }

    async fn renew(&self, message: &Message, lease: &Lease) -> std::convert::Infallible {
        loop {
            sleep(lease.length / 3).await;
            let now = Instant::now();
            match confirm(message, AckKind::Progress).await {
                Ok(()) => lease.renew(now),
                Err(error) => self.health.failed(&error),
            }
        }
    }

    /// Tries again until the server has confirmed the outcome or may have delivered the item again.
    ///
    /// The server does not check which attempt an acknowledgement is of. So after the lease, only one that is late and says that the
    /// item is done is still sent: it is true. A failure would be about the attempt of another worker.
    async fn settle(
        &self,
        message: &Message,
        lease: &Lease,
        outcome: Outcome,
        id: &str,
        meta: Meta,
    ) {
        let (kind, letter) = match outcome {
            Outcome::Done => (AckKind::Ack, None),
            Outcome::Retry { after, .. } if after.is_zero() => (AckKind::Nak(None), None),
            Outcome::Retry { after, .. } => (AckKind::Nak(Some(after.min(LONGEST))), None),
            Outcome::Dead { error } => {
                (AckKind::Ack, Some(Meta { error: Some(excerpt(&error)), ..meta }))
            }
        };
        let is_done = letter.is_none() && matches!(kind, AckKind::Ack);
        let begin = Instant::now();
        let mut pause = PAUSE.0;
        let mut is_first = true;
        while !lease.is_lost() || (is_first && is_done) {
            is_first = false;
            match self.try_to_settle(message, kind, id, letter.as_ref()).await {
                Ok(()) => return self.health.succeeded(),
                Err(error) => self.health.failed(&error),
            }
            if *self.run.stop.borrow() && begin.elapsed() >= LAST {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn try_to_settle(
        &self,
        message: &Message,
        kind: AckKind,
        id: &str,
        letter: Option<&Meta>,
    ) -> Result<(), InboxError> {
        if let Some(letter) = letter {
            // The server stores a letter with the same id once, if the acknowledgement fails and the item is attempted again.
            let (headers, body) = (letter.to_headers(), message.payload.clone());
            publish(&self.engine.context, &self.engine.streams.dead, id, headers, body).await?;
        }
        confirm(message, kind).await
    }
}

/// Acknowledges a message, and waits until the server has confirmed it. `double_ack` of async-nats would need a subscription for
/// each, and it takes the response that nobody is listening for a confirmation.
async fn confirm(message: &Message, kind: AckKind) -> Result<(), InboxError> {
    let subject = message.reply.clone().unwrap_or_else(|| "".into());
    let request = Request::new().payload(Bytes::from(kind)).timeout(Some(TIMEOUT));
    let confirmed = message.context.client().send_request(subject, request).await;
    confirmed.map_err(|error| failed("NATS did not confirm an acknowledgement", error))?;
    Ok(())
}
