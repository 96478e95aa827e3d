//! What hostile clients do, each for a few seconds.

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

use crate::{ATTACK, Answers, BODY_LIMIT, signer};

/// Connections that stop half-way at once; fewer where the system grants fewer sockets.
const HALF_WAY: usize = 5000;
/// Beyond the server's deadline and a busy machine's delays.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// What came of an attack.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) answers: Answers,
    /// Genuine deliveries among what the attacker sent, all handled.
    pub(crate) genuine: usize,
    /// Connections whose bodies the server held at once.
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
            Self::OneByteASecond => "500 bodies at a byte a second",
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
                    crate::report(format!("  no more than {connections}: raise `ulimit -n`"));
                }
                let mut outcome = at_once(connections, move |_| stop_half_way(address)).await;
                outcome.held = outcome.answers.get(&408).copied().unwrap_or(0);
                outcome
            }
        }
    }
}

impl Outcome {
    /// That each attacker got what it should have; one in twenty may have got no answer at all.
    pub(crate) fn check(&self, attack: Attack) {
        let allowed: &[u16] = match attack {
            Attack::None => &[],
            Attack::OneByteASecond | Attack::TinyChunks | Attack::StopHalfWay => &[408],
            Attack::EndlessChunks => &[413],
            // Shorter than declared, longer than declared and what follows, beyond the limit.
            Attack::LyingLength => &[400, 401, 413],
            // hyper's own time-out closes the connection without an answer.
            Attack::HeadersOnly | Attack::Disconnects => &[0],
            Attack::Pipelining => &[200, 401],
            Attack::Http2Streams => &[0, 401],
            Attack::ForgedAtFullRate => &[401],
        };
        // On a busy machine a client may be late by itself: its head runs out of time, or a reset overtakes its answer.
        let total: usize = self.answers.values().sum();
        let mut got = self.answers.clone();
        if !allowed.contains(&0) && got.remove(&0).is_some_and(|ended| ended * 20 > total) {
            panic!("{}: {:?}", attack.name(), self.answers);
        }
        let got: Vec<u16> = got.into_keys().collect();
        assert_eq!(got, allowed, "{}", attack.name());
    }

    fn count(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (status, count) in &other.answers {
            *self.answers.entry(*status).or_default() += count;
        }
        self.genuine += other.genuine;
    }
}

/// So many clients, all at once; each is answered in the end.
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

/// So many clients, each again and again until the attack's time is over.
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

/// A request's head with a fresh time and the signature of another body.
fn forged_head(length: &str) -> String {
    let delivery = signer().sign("");
    let signature = delivery.signature();
    format!("POST / HTTP/1.1\r\nHost: x\r\nworkos-signature: {signature}\r\n{length}\r\n\r\n")
}

async fn connect(address: SocketAddr) -> TcpStream {
    // The backlog may be full for a moment.
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The status of the next answer; 0 where the connection ends first.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = [0; 1024];
    match timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer or an end") {
        Ok(length) => {
            let text = String::from_utf8_lossy(&answer[..length]);
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
    let mut answer = [0; 1024];
    let start = Instant::now();
    loop {
        match timeout(Duration::from_secs(1), reader.read(&mut answer)).await {
            Ok(read) => {
                let text = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
                outcome.count(text.get(9..12).map_or(0, |status| status.parse().unwrap()));
                return outcome;
            }
            Err(_) => writer.write_all(b"x").await.unwrap(),
        }
        assert!(start.elapsed() < PATIENCE, "not ended by the deadline");
    }
}

async fn endless_chunks(address: SocketAddr, size: usize) -> Outcome {
    let mut stream = connect(address).await;
    stream.write_all(forged_head("Transfer-Encoding: chunked").as_bytes()).await.unwrap();
    let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    // Many of the small ones a second, but not so many that they fill the limit before the deadline.
    let pause = Duration::from_millis(if size == 1 { 5 } else { 0 });
    let (mut reader, mut writer) = stream.split();
    let mut answer = [0; 1024];
    let mut outcome = Outcome::default();
    let start = Instant::now();
    loop {
        tokio::select! {
            biased;
            read = reader.read(&mut answer) => {
                let text = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
                outcome.count(text.get(9..12).map_or(0, |status| status.parse().unwrap()));
                return outcome;
            }
            written = writer.write_all(chunk.as_bytes()) => {
                if written.is_err() {
                    // The answer was lost to the reset that writing on caused.
                    return outcome;
                }
                sleep(pause).await;
            }
        }
        assert!(start.elapsed() < PATIENCE, "not ended by limit or deadline");
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

/// Leaves after each byte of a forged delivery in turn.
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

/// Forged and genuine requests in turn, all written before the first answer is read.
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
    let mut answers = String::new();
    let read = async {
        timeout(PATIENCE, reader.read_to_string(&mut answers)).await.expect("all answers").unwrap();
    };
    tokio::join!(write, read);
    let mut outcome = Outcome { genuine: REQUESTS / 2, ..Outcome::default() };
    let statuses: Vec<u16> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect();
    assert_eq!(statuses, [401, 200].repeat(REQUESTS / 2), "in the order of the requests");
    statuses.into_iter().for_each(|status| outcome.count(status));
    outcome
}

/// A hundred forged bodies over one connection at once, and as many streams that are reset.
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
        let (mut answered, mut reset) = (sender.clone(), sender.clone());
        let (forged, left): (Request<_>, Request<_>) = (request(), request());
        streams.spawn(async move {
            let answer = async {
                answered.ready().await?;
                answered.send_request(forged).await
            };
            // Where the resets became too many for the server, it ends the connection.
            let answer = answer.await.map_or(0, |answer| answer.status().as_u16());
            if reset.ready().await.is_ok() {
                // Dropped before it is answered: a reset.
                let _ = timeout(Duration::from_micros(50), reset.send_request(left)).await;
            }
            answer
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

/// Sends most of the largest body that is allowed, and waits.
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
