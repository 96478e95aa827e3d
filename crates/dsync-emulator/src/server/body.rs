//! The bodies of responses.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body that may break off before its end.
#[derive(Debug)]
pub(super) struct ReplyBody {
    data: Option<Bytes>,
    /// The length that the headers declare.
    length: u64,
    is_broken: bool,
}

impl ReplyBody {
    pub(super) fn new(data: Vec<u8>) -> Self {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        Self { data: Some(data.into()), length, is_broken: false }
    }

    /// Sends only the first half, then closes the connection.
    #[allow(dead_code, reason = "for the faults")]
    pub(super) fn broken(mut data: Vec<u8>) -> Self {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        data.truncate(data.len() / 2);
        Self { data: Some(data.into()), length, is_broken: true }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if std::mem::take(&mut self.is_broken) => Some(Err(BrokenOff)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.is_broken
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Closes the connection.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the emulator closed the connection")
    }
}

impl std::error::Error for BrokenOff {}
