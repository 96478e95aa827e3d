//! Sends a request as bytes, and reads the status of the response.

use std::{fmt, io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    time::{Instant, sleep, timeout},
};

use super::request::{Pace, RawRequest};
use crate::network::{Network, Stream};

/// The pause between two pieces.
const PAUSE: Duration = Duration::from_millis(20);
/// The pause between two bytes of a slow body.
const SLOW_PAUSE: Duration = Duration::from_millis(250);
/// A response with a longer head is not accepted as HTTP.
const MAX_HEAD: usize = 1 << 16;

/// The response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    /// The connection was closed without a response.
    Closed,
    /// No response arrived within this time.
    Silence(Duration),
    NotHttp,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.pad(&status.to_string()),
            Self::Closed => f.pad("closed"),
            Self::Silence(_) => f.pad("nothing"),
            Self::NotHttp => f.pad("not HTTP"),
        }
    }
}

/// Sends a request and waits up to `patience` for the response. Fails only if the connection can't be opened.
pub(super) async fn exchange(
    network: &Network,
    request: &RawRequest,
    patience: Duration,
) -> Result<Reply, String> {
    let stream = network.connect().await?;
    let (head, body) = request.bytes(network.endpoint());
    let (read, write) = tokio::io::split(stream);
    let end = Instant::now() + patience;
    let talk = async {
        let mut read = std::pin::pin!(read_status(read));
        tokio::select! {
            // The response may arrive before the request is complete.
            reply = &mut read => reply,
            // If writing fails, there may still be a response to read. `_open` keeps the connection open until then.
            _open = send(write, &head, &body, request.pace, end) => {
                read.await
            }
        }
    };
    Ok(timeout(patience, talk).await.unwrap_or(Reply::Silence(patience)))
}

async fn send(
    mut write: WriteHalf<Stream>,
    head: &[u8],
    body: &[u8],
    pace: Pace,
    end: Instant,
) -> (WriteHalf<Stream>, io::Result<()>) {
    let sent = write_all(&mut write, head, body, pace, end).await;
    (write, sent)
}

async fn write_all(
    write: &mut WriteHalf<Stream>,
    head: &[u8],
    body: &[u8],
    pace: Pace,
    end: Instant,
) -> io::Result<()> {
    match pace {
        Pace::AtOnce => {
            write.write_all(&[head, body].concat()).await?;
        }
        Pace::Pieces(size) => {
            for piece in [head, body].concat().chunks(size.max(1)) {
                write.write_all(piece).await?;
                write.flush().await?;
                sleep(PAUSE).await;
            }
        }
        Pace::Slow => {
            write.write_all(head).await?;
            // The last byte is never sent.
            let (_, slow) = body.split_last().unwrap_or((&0, &[]));
            for byte in slow.chunks(1) {
                if Instant::now() >= end {
                    break;
                }
                write.write_all(byte).await?;
                write.flush().await?;
                sleep(SLOW_PAUSE).await;
            }
        }
        Pace::Half => {
            let (half, _) = body.split_at(body.len() / 2);
            write.write_all(&[head, half].concat()).await?;
            write.shutdown().await?;
        }
    }
    write.flush().await
}

async fn read_status(mut read: ReadHalf<Stream>) -> Reply {
    let mut head = Vec::with_capacity(1024);
    loop {
        match read.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Reply::Closed,
            Ok(_) => {}
        }
        match status(&head) {
            Some(reply) => return reply,
            None if head.len() > MAX_HEAD => return Reply::NotHttp,
            None => {}
        }
    }
}

/// Returns the first status that is not an interim one, or `None` if the response is incomplete.
fn status(mut bytes: &[u8]) -> Option<Reply> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => match response.code {
                Some(100..200) => bytes = bytes.get(length..).unwrap_or_default(),
                Some(code) => return Some(Reply::Status(code)),
                None => return Some(Reply::NotHttp),
            },
            Ok(httparse::Status::Partial) => return None,
            Err(_) => return Some(Reply::NotHttp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_responses_are_skipped() {
        let status = |text: &str| status(text.as_bytes()).map(|reply| reply.to_string());
        assert_eq!(status("HTTP/1.1 200 OK\r\n\r\n").as_deref(), Some("200"));
        assert_eq!(
            status("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nA: b\r\n\r\n").as_deref(),
            Some("401")
        );
        assert_eq!(status("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 40"), None);
        assert_eq!(status("SSH-2.0-x\r\n").as_deref(), Some("not HTTP"));
    }
}
