use std::{
    convert::Infallible,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The error of a request body.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a verified request: the signed bytes, in one frame.
///
/// The request's trailers are not signed, so they are dropped.
#[derive(Clone, Default)]
pub struct VerifiedBody {
    bytes: Bytes,
}

impl VerifiedBody {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Returns the bytes, without reading the body as a stream.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        u64::try_from(self.bytes.len()).map_or_else(|_| SizeHint::new(), SizeHint::with_exact)
    }
}

/// Shows the length only, because the bytes are a payload.
impl fmt::Debug for VerifiedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedBody").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// What has been received of a request body.
pub(super) enum Received {
    Nothing,
    One(Bytes),
    Joined(Vec<u8>),
}

impl Received {
    /// Adds a frame. `expected` is the length that the sender announced. Memory is reserved for it only in proportion
    /// to what has arrived, so that announcing a false length doesn't make the server reserve memory.
    pub(super) fn push(&mut self, frame: Bytes, expected: usize) {
        *self = match mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(frame),
            Self::One(first) => {
                let total = first.len().saturating_add(frame.len());
                let credit = total.saturating_mul(4).max(FREE_CAPACITY);
                let mut joined = Vec::with_capacity(expected.min(credit).max(total));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&frame);
                Self::Joined(joined)
            }
            Self::Joined(mut joined) => {
                joined.extend_from_slice(&frame);
                Self::Joined(joined)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(frame) => frame.len(),
            Self::Joined(joined) => joined.len(),
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(frame) if frame.len() <= COPIED_UP_TO => Bytes::copy_from_slice(&frame),
            Self::One(frame) => frame,
            Self::Joined(mut joined) => {
                // The event may be kept for a long time, so it should not keep much spare capacity alive.
                if joined.capacity() - joined.len() > joined.len() / 8 {
                    joined.shrink_to_fit();
                }
                joined.into()
            }
        }
    }
}

/// A single frame is a slice of the server's read buffer (hyper: 8 to 408 KiB), which an event that is kept would keep alive.
/// The copy costs 3 % of the layer's instructions for a typical event. Above this length, the size of the
/// buffer is in proportion to that of the body.
const COPIED_UP_TO: usize = 64 * 1024;

/// The capacity that may be reserved regardless of how little has arrived.
const FREE_CAPACITY: usize = 64 * 1024;
