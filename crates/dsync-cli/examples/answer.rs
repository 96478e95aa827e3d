//! A server that responds to every request with 200, to measure the speed of `dsync simulate`. See the README.
//!
//! ```text
//! taskset -c 1 cargo run --release -p dsync-cli --example answer -- 127.0.0.1:3999
//! ```

use std::{env, io};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3999".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream));
    }
}

/// Responds to each complete request. It supports only what `dsync` sends: a length, no chunks.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        while let Some(length) = request_length(&buffer) {
            buffer.drain(..length);
            stream.write_all(ANSWER).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Returns the length of the first request, if it is complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    let text = std::str::from_utf8(bytes.get(..head)?).ok()?;
    let lengths = text.lines().filter_map(|line| line.split_once(':'));
    let mut length = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize =
        length.next_back().map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    let whole = head + HEAD_END.len() + length;
    (bytes.len() >= whole).then_some(whole)
}
