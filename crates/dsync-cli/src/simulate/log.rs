//! What was sent in which order, and how it was answered.

use http::StatusCode;

use crate::client::{Answer, SendError};

/// Every attempt at a delivery in the order of sending. Eight bytes each, so that it can be kept for all.
#[derive(Default)]
pub(super) struct Log {
    attempts: Vec<Attempt>,
}

#[derive(Clone, Copy)]
struct Attempt {
    /// The event's place in the life.
    sequence: u32,
    /// 0 until there is a reply.
    status: u16,
}

/// No answer came.
const SILENCE: u16 = 1;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    Silence,
    /// It was under way when the simulation was interrupted.
    Open,
}

impl Reply {
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Status(200..300))
    }
}

impl Log {
    /// Notes that an event is sent; returns the attempt's place.
    pub(super) fn send(&mut self, sequence: u64) -> usize {
        let sequence = u32::try_from(sequence).unwrap_or(u32::MAX);
        self.attempts.push(Attempt { sequence, status: 0 });
        self.attempts.len() - 1
    }

    pub(super) fn reply(&mut self, place: usize, result: &Result<Answer, SendError>) {
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.status =
                result.as_ref().map_or(SILENCE, |answer| StatusCode::as_u16(&answer.status));
        }
    }

    /// The attempts' numbers from 1, their events' places in the life, and their replies.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (usize, u64, Reply)> {
        self.attempts.iter().enumerate().map(|(place, attempt)| {
            let reply = match attempt.status {
                0 => Reply::Open,
                SILENCE => Reply::Silence,
                status => Reply::Status(status),
            };
            (place + 1, u64::from(attempt.sequence), reply)
        })
    }
}
