//! Loads real servers over loopback. The server is a process on one core; this process sends from another.
//!
//! The measured value is the server's processor time per request. On an idle machine its throughput is the inverse.
//! Unlike throughput, it doesn't depend on the speed of the sender or on other processes.

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
    body::{Order, TYPICAL_LENGTH, user_updated},
    rows::{handwritten::by_hand, ours::layered},
    sign::{SECRET, secret},
};

/// The kinds of server, by what they do with a delivery.
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

/// The server whose handler computes one HMAC and parses the event, without any check: the lower bound for the layer.
pub const FLOOR: &str = "floor, in the handler";

/// The number of distinct deliveries, sent in turn. The dedupe server's store is smaller, so it handles each again.
const POOL: usize = 20_000;

/// Runs a server with this many threads until the process is killed. Its first line of output is its address.
///
/// # Panics
///
/// If it can't listen.
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
        // The secret that matches comes last.
        "layer, 4 secrets" => WebhookSecrets::new(others.chain([secret()])).unwrap(),
        _ => secret().into(),
    };
    // The deliveries are signed in advance and sent for longer than the default tolerance.
    let verifier = Verifier::new(secrets).tolerance(Duration::MAX);
    let layer = VerifyWebhookLayer::new(verifier.clone());
    let app = match kind {
        "unverified" => Router::new().route("/", post(async |_: Bytes| StatusCode::OK)),
        // What any layer that changes the type of the request's body costs in axum.
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

/// One HMAC and the typed parse, without any check.
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

/// The layer's time per delivery in each of this many threads, which share its settings and secrets.
///
/// # Panics
///
/// If a delivery is rejected.
#[must_use]
pub fn in_threads(threads: usize) -> Duration {
    const TIMES: u32 = 200_000;

    let start = std::sync::Barrier::new(threads);
    let layer = VerifyWebhookLayer::new(secret());
    let taken = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    // Each thread has its own body: a server's threads don't share received bytes.
                    let mut call = layered(&layer, &user_updated(TYPICAL_LENGTH, Order::DataFirst));
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

/// A server process, killed on drop.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the current program as a server of this kind, on the first `cores` cores.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    pub async fn start(kind: &str, cores: usize) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("taskset");
        command.arg("-c").arg(format!("0-{}", cores - 1)).arg(program);
        command.args(["serve", kind, &cores.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset of util-linux is installed");
        let output = tokio::process::ChildStdout::from_std(process.stdout.take().unwrap()).unwrap();
        let address = BufReader::new(output).lines().next_line().await.unwrap().unwrap();
        Self { process, address: address.parse().unwrap() }
    }

    /// The processor time used so far.
    fn processor_time(&self) -> Duration {
        // Fields 14 and 15, in hundredths of a second. Field 2, the name in parentheses, may contain spaces.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The resident memory, in KiB.
    ///
    /// # Panics
    ///
    /// If the server has exited.
    #[must_use]
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends requests for this long. Returns their number and the server's processor time for each.
    ///
    /// # Panics
    ///
    /// If a response's status isn't 200.
    pub async fn load(
        &self,
        load: &Load,
        http2: bool,
        connections: usize,
        time: Duration,
    ) -> (usize, Duration) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        // All senders start once all are connected, so that connecting isn't counted.
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
    /// As sent over HTTP/1.
    written: Arc<[Bytes]>,
    requests: Arc<[Request<Full<Bytes>>]>,
}

impl Load {
    /// Signs the deliveries with the current time.
    #[must_use]
    pub fn new() -> Self {
        let signer = Signer::new(secret());
        let body =
            String::from_utf8(user_updated(TYPICAL_LENGTH, Order::DataFirst).to_vec()).unwrap();
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
        let mut response = [0; 512];
        let mut sent = 0;
        connected.wait().await;
        let end = Instant::now() + time;
        while Instant::now() < end {
            let index = next.fetch_add(1, Ordering::Relaxed) % POOL;
            stream.write_all(&self.written[index]).await.unwrap();
            let length = stream.read(&mut response).await.unwrap();
            assert!(response[..length].starts_with(b"HTTP/1.1 200"), "the status is not 200");
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
            let response = sender.send_request(self.requests[index].clone()).await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
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
