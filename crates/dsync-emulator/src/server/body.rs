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
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    /// The body breaks off, but what was sent before is flushed first.
    Broken {
        is_flushed: bool,
    },
}

impl ReplyBody {
    pub(super) fn new(data: Vec<u8>) -> Self {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        Self { data: Some(data.into()), length, end: End::Complete }
    }

    /// Sends only the first half, then closes the connection.
    pub(super) fn broken(mut data: Vec<u8>) -> Self {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        data.truncate(data.len() / 2);
        Self { data: Some(data.into()), length, end: End::Broken { is_flushed: false } }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Complete => Poll::Ready(None),
            End::Broken { is_flushed: false } => {
                // hyper flushes when a body is not ready.
                self.end = End::Broken { is_flushed: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken { is_flushed: true } => Poll::Ready(Some(Err(BrokenOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.end == End::Complete
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
