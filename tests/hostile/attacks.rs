//! The attacks, each of which lasts a few seconds.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_workos::testing::sample;

use crate::{ATTACK, BODY_LIMIT, Responses, signer};

/// The number of concurrent connections that stop halfway; fewer if the limit on open files is lower.
const HALF_WAY: usize = 5000;
/// Longer than the server's time-out plus the delays of a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    None,
    OneByteASecond,
    EndlessChunks,
    TinyChunks,
    LyingLength,
    HeadersOnly,
    Disconnects,
    Pipelining,
    Http2Streams,
    ForgedAtFullRate,
    StopHalfWay,
}

/// The results of an attack.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) responses: Responses,
    /// The number of genuine deliveries that the attacker sent. All are handled.
    pub(crate) genuine: usize,
    /// The number of connections whose bodies the server held at the same time.
    pub(crate) held: usize,
}

impl Attack {
    pub(crate) const ALL: [Self; 11] = [
        Self::None,
        Self::OneByteASecond,
        Self::EndlessChunks,
        Self::TinyChunks,
        Self::LyingLength,
        Self::HeadersOnly,
        Self::Disconnects,
        Self::Pipelining,
        Self::Http2Streams,
        Self::ForgedAtFullRate,
        Self::StopHalfWay,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no attack",
            Self::OneByteASecond => "500 bodies at one byte per second",
            Self::EndlessChunks => "endless chunks of 8 KiB",
            Self::TinyChunks => "endless chunks of one byte",
            Self::LyingLength => "lying Content-Length",
            Self::HeadersOnly => "500 heads that never end",
            Self::Disconnects => "disconnects at every byte",
            Self::Pipelining => "pipelines of 50",
            Self::Http2Streams => "HTTP/2, 100 streams at once",
            Self::ForgedAtFullRate => "forged signatures at full rate",
            Self::StopHalfWay => "5000 bodies that stop half-way",
        }
    }

    pub(crate) async fn run(self, address: SocketAddr, files: u64) -> Outcome {
        match self {
            Self::None => {
                sleep(ATTACK).await;
                Outcome::default()
            }
            Self::OneByteASecond => at_once(500, move |_| one_byte_a_second(address)).await,
            Self::EndlessChunks => repeat(50, move || endless_chunks(address, 8192)).await,
            Self::TinyChunks => repeat(50, move || endless_chunks(address, 1)).await,
            Self::LyingLength => repeat(8, move || lying_length(address)).await,
            Self::HeadersOnly => at_once(500, move |_| headers_only(address)).await,
            Self::Disconnects => repeat(8, move || disconnects(address)).await,
            Self::Pipelining => repeat(4, move || pipelining(address)).await,
            Self::Http2Streams => repeat(4, move || http2_streams(address)).await,
            Self::ForgedAtFullRate => repeat(8, move || forged_at_full_rate(address)).await,
            Self::StopHalfWay => {
                let granted = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(500);
                let connections = HALF_WAY.min(granted);
                if connections < HALF_WAY {
                    crate::report(format!("  only {connections} connections: raise `ulimit -n`"));
                }
                let mut outcome = at_once(connections, move |_| stop_half_way(address)).await;
                outcome.held = outcome.responses.get(&408).copied().unwrap_or(0);
                outcome
            }
        }
    }
}

impl Outcome {
    /// Asserts the expected statuses. One connection in twenty may end without a response.
    pub(crate) fn check(&self, attack: Attack) {
        let allowed: &[u16] = match attack {
            Attack::None => &[],
            Attack::OneByteASecond | Attack::TinyChunks | Attack::StopHalfWay => &[408],
            Attack::EndlessChunks => &[413],
            // Shorter than declared; longer than declared; declared beyond the limit.
            Attack::LyingLength => &[400, 401, 413],
            // hyper's own time-out closes the connection without a response.
            Attack::HeadersOnly | Attack::Disconnects => &[0],
            Attack::Pipelining => &[200, 401],
            Attack::Http2Streams => &[0, 401],
            Attack::ForgedAtFullRate => &[401],
        };
        // On a busy machine a client may send its head too late, or a reset may arrive before the response.
        let total: usize = self.responses.values().sum();
        let mut got = self.responses.clone();
        if !allowed.contains(&0) && got.remove(&0).is_some_and(|ended| ended * 20 > total) {
            panic!("{}: {:?}", attack.name(), self.responses);
        }
        let got: Vec<u16> = got.into_keys().collect();
        assert_eq!(got, allowed, "{}", attack.name());
    }

    fn count(&mut self, status: u16) {
        *self.responses.entry(status).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (status, count) in &other.responses {
            *self.responses.entry(*status).or_default() += count;
        }
        self.genuine += other.genuine;
    }
}

/// Runs this many clients concurrently until all are done.
async fn at_once<F>(clients: usize, client: impl Fn(usize) -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut running: JoinSet<_> = (0..clients).map(client).collect();
    let mut outcome = Outcome::default();
    while let Some(one) = running.join_next().await {
        outcome.add(&one.unwrap());
    }
    outcome
}

/// Runs this many clients concurrently, each repeatedly until the end of the attack.
async fn repeat<F>(
    clients: usize,
    client: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let end = Instant::now() + ATTACK;
    at_once(clients, move |_| {
        let client = client.clone();
        async move {
            let mut outcome = Outcome::default();
            while Instant::now() < end {
                outcome.add(&client().await);
            }
            outcome
        }
    })
    .await
}

/// The head of a request with a current time and the signature of another body.
fn forged_head(length: &str) -> String {
    let delivery = signer().sign("");
    let signature = delivery.signature();
    format!("POST / HTTP/1.1\r\nHost: x\r\nworkos-signature: {signature}\r\n{length}\r\n\r\n")
}

async fn connect(address: SocketAddr) -> TcpStream {
    // Retries because the backlog may be full.
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The status of the next response; 0 if the connection ends first.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut response = [0; 1024];
    match timeout(TIMEOUT, stream.read(&mut response)).await.expect("a response or an end") {
        Ok(length) => {
            let text = String::from_utf8_lossy(&response[..length]);
            text.strip_prefix("HTTP/1.1 ").map_or(0, |rest| rest[..3].parse().unwrap())
        }
        Err(_) => 0,
    }
}

async fn one_byte_a_second(address: SocketAddr) -> Outcome {
    let mut stream = connect(address).await;
    stream.write_all(forged_head("Content-Length: 1000").as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut outcome = Outcome::default();
    let mut response = [0; 1024];
    let start = Instant::now();
    loop {
        match timeout(Duration::from_secs(1), reader.read(&mut response)).await {
            Ok(read) => {
                let text = String::from_utf8_lossy(&response[..read.unwrap_or(0)]).into_owned();
                outcome.count(text.get(9..12).map_or(0, |status| status.parse().unwrap()));
                return outcome;
            }
            Err(_) => writer.write_all(b"x").await.unwrap(),
        }
        assert!(start.elapsed() < TIMEOUT, "not ended by the time-out");
    }
}

async fn endless_chunks(address: SocketAddr, size: usize) -> Outcome {
    let mut stream = connect(address).await;
    stream.write_all(forged_head("Transfer-Encoding: chunked").as_bytes()).await.unwrap();
    let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    // Slow enough that the small chunks don't reach the limit before the time-out.
    let pause = Duration::from_millis(if size == 1 { 5 } else { 0 });
    let (mut reader, mut writer) = stream.split();
    let mut response = [0; 1024];
    let mut outcome = Outcome::default();
    let start = Instant::now();
    loop {
        tokio::select! {
            biased;
            read = reader.read(&mut response) => {
                let text = String::from_utf8_lossy(&response[..read.unwrap_or(0)]).into_owned();
                outcome.count(text.get(9..12).map_or(0, |status| status.parse().unwrap()));
                return outcome;
            }
            written = writer.write_all(chunk.as_bytes()) => {
                if written.is_err() {
                    // Writing after the response caused a reset, which discarded the response.
                    return outcome;
                }
                sleep(pause).await;
            }
        }
        assert!(start.elapsed() < TIMEOUT, "not ended by the limit or the time-out");
    }
}

/// Declared too large, shorter than declared, longer than declared.
async fn lying_length(address: SocketAddr) -> Outcome {
    let mut outcome = Outcome::default();
    let beyond = format!("Content-Length: {}", BODY_LIMIT + 1);
    for (length, body) in
        [(&*beyond, "x"), ("Content-Length: 1000", "x"), ("Content-Length: 1", "xx")]
    {
        let mut stream = connect(address).await;
        stream.write_all(forged_head(length).as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        outcome.count(status(&mut stream).await);
    }
    outcome
}

async fn headers_only(address: SocketAddr) -> Outcome {
    let mut stream = connect(address).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nworkos-signature: t=").await.unwrap();
    let mut outcome = Outcome::default();
    outcome.count(status(&mut stream).await);
    outcome
}

/// Disconnects after each byte of a forged delivery in turn.
async fn disconnects(address: SocketAddr) -> Outcome {
    let mut outcome = Outcome::default();
    let request = forged_head("Content-Length: 100") + &"x".repeat(99);
    for stage in 0..request.len() {
        let mut stream = connect(address).await;
        let _ = stream.write_all(&request.as_bytes()[..stage]).await;
        outcome.count(0);
        drop(stream);
    }
    outcome
}

/// Alternates forged and genuine requests, all written before the first response is read.
async fn pipelining(address: SocketAddr) -> Outcome {
    const REQUESTS: usize = 50;
    let mut stream = connect(address).await;
    let mut requests = String::new();
    for index in 0..REQUESTS {
        if index % 2 == 0 {
            requests += &(forged_head("Content-Length: 5") + "forge");
        } else {
            let delivery = signer().sign(sample::USER_CREATED);
            let close = if index == REQUESTS - 1 { "Connection: close\r\n" } else { "" };
            requests += &format!(
                "POST / HTTP/1.1\r\nHost: x\r\n{close}workos-signature: {}\r\nContent-Length: {}\r\n\r\n{}",
                delivery.signature(),
                delivery.body().len(),
                sample::USER_CREATED.body(),
            );
        }
    }
    let (mut reader, mut writer) = stream.split();
    let write = async { writer.write_all(requests.as_bytes()).await.unwrap() };
    let mut responses = String::new();
    let read = async {
        timeout(TIMEOUT, reader.read_to_string(&mut responses))
            .await
            .expect("all responses")
            .unwrap();
    };
    tokio::join!(write, read);
    let mut outcome = Outcome { genuine: REQUESTS / 2, ..Outcome::default() };
    let statuses: Vec<u16> = responses
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|response| response[..3].parse().unwrap())
        .collect();
    assert_eq!(statuses, [401, 200].repeat(REQUESTS / 2), "in the order of the requests");
    statuses.into_iter().for_each(|status| outcome.count(status));
    outcome
}

/// Sends a hundred forged bodies concurrently over one connection, and resets as many other streams.
async fn http2_streams(address: SocketAddr) -> Outcome {
    let stream = connect(address).await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = || {
        let delivery = signer().sign(sample::USER_CREATED);
        let mut request =
            delivery.into_request::<Full<Bytes>, _>(format!("http://{address}/")).unwrap();
        *request.version_mut() = Version::HTTP_2;
        *request.body_mut() = Full::from("forged");
        request
    };
    let mut streams = JoinSet::new();
    for _ in 0..100 {
        let (mut completed, mut reset) = (sender.clone(), sender.clone());
        let (forged, left): (Request<_>, Request<_>) = (request(), request());
        streams.spawn(async move {
            let response = async {
                completed.ready().await?;
                completed.send_request(forged).await
            };
            // After too many resets the server ends the connection.
            let response = response.await.map_or(0, |response| response.status().as_u16());
            if reset.ready().await.is_ok() {
                // Dropping the future before the response resets the stream.
                let _ = timeout(Duration::from_micros(50), reset.send_request(left)).await;
            }
            response
        });
    }
    let mut outcome = Outcome::default();
    while let Some(status) = streams.join_next().await {
        outcome.count(status.unwrap());
    }
    outcome
}

async fn forged_at_full_rate(address: SocketAddr) -> Outcome {
    let mut stream = connect(address).await;
    let request = forged_head("Content-Length: 2048") + &"x".repeat(2048);
    let mut outcome = Outcome::default();
    for _ in 0..100 {
        stream.write_all(request.as_bytes()).await.unwrap();
        outcome.count(status(&mut stream).await);
    }
    outcome
}

/// Sends half of the largest allowed body, and waits.
async fn stop_half_way(address: SocketAddr) -> Outcome {
    let mut request = forged_head(&format!("Content-Length: {BODY_LIMIT}")).into_bytes();
    request.resize(request.len() + BODY_LIMIT / 2, b'x');
    let mut stream = connect(address).await;
    let mut outcome = Outcome::default();
    outcome.count(match stream.write_all(&request).await {
        Ok(()) => status(&mut stream).await,
        Err(_) => 0,
    });
    outcome
}
