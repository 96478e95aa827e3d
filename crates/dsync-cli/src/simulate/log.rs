//! The order of the attempts and their results.

use http::StatusCode;

use crate::client::{Answer, SendError};

/// Every attempt, in the order of sending. An attempt takes eight bytes, so that all can be kept.
#[derive(Default)]
pub(crate) struct Log {
    attempts: Vec<Attempt>,
}

#[derive(Clone, Copy)]
struct Attempt {
    /// The event's sequence number.
    sequence: u32,
    /// 0 until there is a result.
    status: u16,
}

/// No response arrived.
const SILENCE: u16 = 1;

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    Silence,
    /// The simulation was interrupted before the result.
    Open,
}

impl Reply {
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Status(200..300))
    }
}

impl Log {
    /// Adds an attempt, and returns its index.
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

    /// Each attempt's number (from 1), sequence number and result.
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
