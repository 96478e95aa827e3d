//! Real servers under load over loopback: the server a process on one core, the sender this one on another.
//!
//! What is told of a server is the processor time that a request costs it: with the machine to itself, its requests a
//! second are the inverse of that, and a sender that is too slow, or a neighbour, changes nothing.

use std::{
    fs, future,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::State, routing::post};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::Sha256;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::Barrier,
    task::JoinSet,
};
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_workos::{
    DedupeLayer, DirectoryEvent, MemoryStore, Rejection, SignatureHeader, Verifier,
    VerifyWebhookLayer, WebhookSecret, WebhookSecrets, testing::Signer,
};

use crate::{
    body::{Order, user_updated},
    rows::{by_hand, layered},
    sign::{SECRET, secret},
};

/// What a server does with a delivery.
pub const KINDS: [&str; 8] = [
    "unverified",
    "unverified, a layer",
    FLOOR,
    "verify only",
    "layer",
    "layer, 4 secrets",
    "layer + dedupe",
    "hand-written",
];

/// The server that does one HMAC and the typed parse in its handler, and nothing else: what the layer would cost at its best.
pub const FLOOR: &str = "floor, in the handler";

/// Distinct deliveries, sent in turn; the dedupe server forgets each before it comes again.
const POOL: usize = 20_000;

/// Serves on so many threads until it is killed; its first line says where.
///
/// # Panics
///
/// Where there is no port.
pub fn serve(kind: &str, threads: usize) {
    let runtime = match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    runtime.unwrap().block_on(serve_on_this(kind));
}

async fn serve_on_this(kind: &str) {
    let others = (1..4).map(|index| WebhookSecret::new(format!("whsec_other_{index}")).unwrap());
    let secrets = match kind {
        // The right one last.
        "layer, 4 secrets" => WebhookSecrets::new(others.chain([secret()])).unwrap(),
        _ => secret().into(),
    };
    // The deliveries are signed beforehand.
    let verifier = Verifier::new(secrets).tolerance(Duration::MAX);
    let layer = VerifyWebhookLayer::new(verifier.clone());
    let app = match kind {
        "unverified" => Router::new().route("/", post(async |_: Bytes| StatusCode::OK)),
        // What it costs in axum to have a layer that changes the request's body, whatever it does.
        "unverified, a layer" => {
            Router::new().route("/", post(async |_: Bytes| StatusCode::OK)).route_layer(
                MapRequestLayer::new(|request: Request<Body>| request.map(BodyExt::boxed_unsync)),
            )
        }
        FLOOR => Router::new()
            .route("/", post(floor))
            .with_state(Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap()),
        "verify only" => Router::new().route("/", post(verify_only)).with_state(verifier),
        "layer + dedupe" => {
            let dedupe = DedupeLayer::new("workos", MemoryStore::new(1000));
            Router::new()
                .route("/", post(on_event))
                .route_layer(ServiceBuilder::new().layer(layer).layer(dedupe))
        }
        "hand-written" => Router::new().route("/", post(by_hand)).with_state(Arc::from(SECRET)),
        _ => Router::new().route("/", post(on_event)).route_layer(layer),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

async fn on_event(event: DirectoryEvent) -> StatusCode {
    std::hint::black_box(event.access_change());
    StatusCode::OK
}

/// One HMAC and the typed parse, and nothing of what makes them safe.
async fn floor(State(mut mac): State<Hmac<Sha256>>, body: Bytes) -> StatusCode {
    mac.update(b"1770000000000.");
    mac.update(&body);
    std::hint::black_box(mac.finalize().into_bytes());
    match DirectoryEvent::parse(body) {
        Ok(event) => {
            std::hint::black_box(event.access_change());
            StatusCode::OK
        }
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn verify_only(
    State(verifier): State<Verifier>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let verify = || -> Result<_, Rejection> {
        let header = SignatureHeader::from_headers(&headers)?;
        Ok(verifier.verify(&header, &body)?)
    };
    verify().map_or_else(|rejection| rejection.status(), |_| StatusCode::OK)
}

/// What the layer takes for a delivery in each of so many threads of this process, which share its settings and secrets.
///
/// # Panics
///
/// Where a delivery is refused.
#[must_use]
pub fn in_threads(threads: usize) -> Duration {
    const TIMES: u32 = 200_000;

    let start = std::sync::Barrier::new(threads);
    let layer = VerifyWebhookLayer::new(secret());
    let taken = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    // Each its own bytes: what is received by a server is not shared.
                    let mut call = layered(&layer, &user_updated(2048, Order::DataFirst));
                    start.wait();
                    let begin = Instant::now();
                    (0..TIMES).for_each(|_| assert_eq!(call(), StatusCode::OK));
                    begin.elapsed() / TIMES
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum::<Duration>()
    });
    taken / u32::try_from(threads).unwrap()
}

/// A server's process, which dies with this value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts this very program as a server of that kind, on the first `cores` cores.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub async fn start(kind: &str, cores: usize) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("taskset");
        command.arg("-c").arg(format!("0-{}", cores - 1)).arg(program);
        command.args(["serve", kind, &cores.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset, of util-linux");
        let output = tokio::process::ChildStdout::from_std(process.stdout.take().unwrap()).unwrap();
        let address = BufReader::new(output).lines().next_line().await.unwrap().unwrap();
        Self { process, address: address.parse().unwrap() }
    }

    /// The processor time that it has used.
    fn processor_time(&self) -> Duration {
        // Fields 14 and 15, in hundredths of a second; the second one, the name, may hold spaces.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The memory that it has now, in KiB.
    ///
    /// # Panics
    ///
    /// Where it has ended.
    #[must_use]
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Loads it for so long. Returns the number of requests and what one cost it.
    ///
    /// # Panics
    ///
    /// Where an answer is not 200.
    pub async fn load(
        &self,
        load: &Load,
        http2: bool,
        connections: usize,
        time: Duration,
    ) -> (usize, Duration) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        // Connecting is not counted: all begin when all are connected.
        let connected = Arc::new(Barrier::new(connections + 1));
        for _ in 0..connections {
            let (load, next, address) = (load.clone(), Arc::clone(&next), self.address);
            let connected = Arc::clone(&connected);
            senders.spawn(async move {
                if http2 {
                    load.http2(address, &next, &connected, time).await
                } else {
                    load.http1(address, &next, &connected, time).await
                }
            });
        }
        connected.wait().await;
        let before = self.processor_time();
        let sent: usize = senders.join_all().await.into_iter().sum();
        let used = self.processor_time() - before;
        (sent, used / u32::try_from(sent).unwrap().max(1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Signed deliveries of 2 KiB.
#[derive(Clone, Debug)]
pub struct Load {
    /// As they go over the wire in HTTP/1.
    written: Arc<[Bytes]>,
    requests: Arc<[Request<Full<Bytes>>]>,
}

impl Load {
    /// Signs them.
    ///
    /// # Panics
    ///
    /// Never, in fact.
    #[must_use]
    pub fn new() -> Self {
        let signer = Signer::new(secret());
        let body = String::from_utf8(user_updated(2048, Order::DataFirst).to_vec()).unwrap();
        let (start, rest) = body.split_once("event_").unwrap();
        let deliveries: Vec<_> = (0..POOL)
            .map(|index| signer.sign(format!("{start}event_{index:06}{}", &rest[6..])))
            .collect();
        let written = deliveries.iter().map(|delivery| {
            let mut request = format!(
                "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nworkos-signature: {}\r\ncontent-length: {}\r\n\r\n",
                delivery.signature(),
                delivery.body().len(),
            )
            .into_bytes();
            request.extend_from_slice(delivery.body());
            Bytes::from(request)
        });
        let written = written.collect();
        let requests =
            deliveries.into_iter().map(|delivery| delivery.into_request("http://x/").unwrap());
        Self { written, requests: requests.collect() }
    }

    async fn http1(
        &self,
        address: SocketAddr,
        next: &AtomicUsize,
        connected: &Barrier,
        time: Duration,
    ) -> usize {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut answer = [0; 512];
        let mut sent = 0;
        connected.wait().await;
        let end = Instant::now() + time;
        while Instant::now() < end {
            let index = next.fetch_add(1, Ordering::Relaxed) % POOL;
            stream.write_all(&self.written[index]).await.unwrap();
            let length = stream.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "not answered 200");
            sent += 1;
        }
        sent
    }

    async fn http2(
        &self,
        address: SocketAddr,
        next: &AtomicUsize,
        connected: &Barrier,
        time: Duration,
    ) -> usize {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut sent = 0;
        connected.wait().await;
        let end = Instant::now() + time;
        while Instant::now() < end {
            let index = next.fetch_add(1, Ordering::Relaxed) % POOL;
            future::poll_fn(|cx| sender.poll_ready(cx)).await.unwrap();
            let answer = sender.send_request(self.requests[index].clone()).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap();
            sent += 1;
        }
        sent
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}
