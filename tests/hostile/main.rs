//! Attacks a hyper server in a separate process while an honest sender delivers.
//!
//! ```text
//! cargo test --test hostile -- --nocapture
//! ```
//!
//! Asserts the responses to each attack, that every honest delivery gets a 200 and is handled, that no forged one is
//! handled, that nothing panics, and that the server's memory is bounded by twice connections × limit. The latencies of the
//! honest sender are only printed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod attacks;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::{Layer, Service, service_fn};
use tower_workos::{
    DirectoryEvent, VerifyWebhookLayer, WebhookSecret,
    testing::{Signer, sample},
    verify::VerifiedBody,
};

const SECRET: &str = "whsec_of_the_hostile_tests";
/// The server's time-out for a whole body, and for the head of a request.
const DEADLINE: Duration = Duration::from_secs(2);
const BODY_LIMIT: usize = 64 * 1024;
/// The duration of each attack.
const ATTACK: Duration = Duration::from_secs(3);

static HANDLED: AtomicUsize = AtomicUsize::new(0);

fn signer() -> Signer {
    Signer::new(WebhookSecret::new(SECRET).unwrap())
}

/// Prints even if the test runner captures output.
fn report(line: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", line.as_ref());
}

/// Raises the limit on open files as far as the system allows, and returns it.
fn raise_file_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap()
}

async fn handler(request: Request<VerifiedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!(request.extensions().get::<DirectoryEvent>().is_some());
    HANDLED.fetch_add(1, Ordering::SeqCst);
    Ok(Response::default())
}

/// Not a test: runs the server in the process that the test starts.
#[test]
fn server() {
    if env::var_os("HOSTILE_TEST_SERVER").is_none() {
        return;
    }
    raise_file_limit();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let layer = VerifyWebhookLayer::new(WebhookSecret::new(SECRET).unwrap())
            .body_limit(BODY_LIMIT)
            .body_timeout(DEADLINE);
        let deliveries = layer.layer(service_fn(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let deliveries = deliveries.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let mut deliveries = deliveries.clone();
                async move {
                    if request.method() == Method::GET && request.uri().path() == "/handled" {
                        let handled = HANDLED.load(Ordering::SeqCst).to_string();
                        return Ok(Response::new(Either::Left(Full::from(handled))));
                    }
                    deliveries.call(request).await.map(|response| response.map(Either::Right))
                }
            });
            tokio::spawn(async move {
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http1().timer(TokioTimer::new()).header_read_timeout(DEADLINE);
                server.http2().timer(TokioTimer::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

/// The server process, killed on drop.
struct Server {
    process: Child,
    address: SocketAddr,
    errors: Option<thread::JoinHandle<String>>,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "server", "--nocapture", "--test-threads", "1"]);
        command.env("HOSTILE_TEST_SERVER", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let address = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .find_map(|line| {
                line.unwrap().split_once("listening on ").map(|(_, it)| it.parse().unwrap())
            })
            .unwrap();
        Self { process, address, errors: Some(errors) }
    }

    /// The peak resident memory since the start, in bytes.
    fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    async fn handled(&self) -> usize {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = b"GET /handled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response.rsplit("\r\n").next().unwrap().parse().unwrap()
    }

    /// Kills the server and returns what it wrote to stderr.
    fn end(mut self) -> String {
        self.kill();
        self.errors.take().unwrap().join().unwrap()
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The number of responses by status; 0 if the connection ended without one.
type Responses = BTreeMap<u16, usize>;

/// An honest sender: a delivery every few milliseconds, over connections that it renews now and then.
struct Honest {
    latencies: Vec<Duration>,
}

impl Honest {
    async fn run(address: SocketAddr, mut stop: watch::Receiver<bool>) -> Self {
        let signer = signer();
        let mut latencies = Vec::new();
        while !*stop.borrow_and_update() {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            for _ in 0..10 {
                let delivery = signer.sign(sample::USER_UPDATED);
                let mut request = delivery.into_request::<Full<Bytes>, _>("/").unwrap();
                request.headers_mut().insert(http::header::HOST, "x".parse().unwrap());
                let start = Instant::now();
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK, "an honest delivery");
                response.into_body().collect().await.unwrap();
                latencies.push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        latencies.sort();
        Self { latencies }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() - 1) * percent / 100;
        self.latencies[index].as_secs_f64() * 1e3
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_do_not_affect_an_honest_sender() {
    let files = raise_file_limit();
    let server = Server::start();
    let address = server.address;
    report(format!("{:<34}{:>8}{:>10}{:>10}   responses", "", "sent", "p50, ms", "p99, ms"));
    let mut honest_total = 0;
    let mut peak_before = 0;
    for attack in attacks::Attack::ALL {
        let (stop, stopped) = watch::channel(false);
        let honest = tokio::spawn(Honest::run(address, stopped));
        let outcome = attack.run(address, files).await;
        stop.send_replace(true);
        let honest = honest.await.unwrap();
        report(format!(
            "{:<34}{:>8}{:>10.2}{:>10.2}   {:?}",
            attack.name(),
            honest.latencies.len(),
            honest.percentile(50),
            honest.percentile(99),
            outcome.responses,
        ));
        honest_total += honest.latencies.len() + outcome.genuine;
        assert_eq!(
            server.handled().await,
            honest_total,
            "{}: all genuine deliveries and no others",
            attack.name()
        );
        outcome.check(attack);
        let peak = server.peak_memory();
        if outcome.held > 0 {
            // Twice the limit, for the buffers and tasks of hyper.
            let bound = outcome.held * BODY_LIMIT;
            report(format!(
                "  peak memory {} MiB, {} before; {} connections × limit: {} MiB",
                peak >> 20,
                peak_before >> 20,
                outcome.held,
                bound >> 20,
            ));
            assert!(peak - peak_before < 2 * bound);
        }
        peak_before = peak;
    }
    let errors = server.end();
    let panics = errors.matches("panicked at").count();
    report(format!(
        "{honest_total} genuine deliveries, all handled with status 200; {panics} panics"
    ));
    assert_eq!(panics, 0, "{errors}");
}
