//! Requests as bytes, because an HTTP library would not send most of them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::endpoint::Endpoint;

/// A request that may be malformed in any way.
#[derive(Clone)]
pub(super) struct RawRequest {
    method: &'static str,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    framing: Framing,
    pub(super) pace: Pace,
}

/// How the end of the body is marked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By the length.
    Length,
    /// By a length that is too large by this much.
    Longer(usize),
    /// By a length that is too small by this much.
    Shorter(usize),
    /// By two lengths, one of which is wrong.
    TwoLengths,
    /// By chunks of this many bytes.
    Chunks(usize),
}

/// How the bytes are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// In one write.
    AtOnce,
    /// In writes of this many bytes, with a pause after each.
    Pieces(usize),
    /// The head, and then one byte of the body at a time, but never the last one.
    Slow,
    /// The head and half of the body; then the sending side is closed.
    Half,
}

impl RawRequest {
    /// A delivery with this signature header and body.
    pub(super) fn new(signature: impl AsRef<[u8]>, body: impl Into<Vec<u8>>) -> Self {
        Self::unsigned(body).header("workos-signature", signature)
    }

    /// A delivery without a signature header.
    pub(super) fn unsigned(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            headers: vec![("content-type", b"application/json".to_vec())],
            body: body.into(),
            framing: Framing::Length,
            pace: Pace::AtOnce,
        }
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Adds a header, even if there is one with this name.
    pub(super) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    pub(super) fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Returns the head and the body as they are sent.
    pub(super) fn bytes(&self, endpoint: &Endpoint) -> (Vec<u8>, Vec<u8>) {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, endpoint.path()).into_bytes();
        let mut header = |name: &str, value: &[u8]| {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        header("host", endpoint.authority().as_bytes());
        header("user-agent", concat!("dsync/", env!("CARGO_PKG_VERSION")).as_bytes());
        header("connection", b"close");
        for (name, value) in &self.headers {
            header(name, value);
        }
        let length = self.body.len();
        let mut content_length =
            |length: usize| header("content-length", length.to_string().as_bytes());
        let mut body = self.body.clone();
        match self.framing {
            Framing::Length => content_length(length),
            Framing::Longer(by) => content_length(length.saturating_add(by)),
            Framing::Shorter(by) => content_length(length.saturating_sub(by)),
            Framing::TwoLengths => {
                content_length(length);
                content_length(length / 2);
            }
            Framing::Chunks(size) => {
                header("transfer-encoding", b"chunked");
                body = chunked(&self.body, size);
            }
        }
        head.extend_from_slice(b"\r\n");
        (head, body)
    }
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size.max(1)) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Returns the signature of a time and a body, in hex.
pub(super) fn mac(key: &[u8], time: &str, body: &[u8]) -> String {
    hex::encode(mac_of(key, &[time.as_bytes(), b".", body]))
}

pub(super) fn mac_of(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
