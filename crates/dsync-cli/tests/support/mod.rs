//! Runs the command, and servers for it.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../../../../tests/examples/cargo.rs"]
mod nested;

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use dsync_cli::directory;
use serde_json::Value;
use tower_workos::{DirectoryEvent, VerifyWebhookLayer, WebhookSecret};

/// Obviously not a real secret.
pub const SECRET: &str = "whsec_of_the_tests";

/// The result of a run of the command.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsync"));
    command.env("WORKOS_WEBHOOK_SECRET", SECRET).env_remove("NO_COLOR");
    command
}

/// Runs the command. Its output must never contain the secret.
pub fn run(arguments: &[&str]) -> Run {
    run_with(arguments, b"", SECRET)
}

pub fn run_with(arguments: &[&str], stdin: &[u8], secret: &str) -> Run {
    let mut command = command();
    command.args(arguments).env("WORKOS_WEBHOOK_SECRET", secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its standard input may have ended.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    finish(child)
}

pub fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let run = Run {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{run:?}");
    run
}

/// The running axum example of the repository, on a free port.
pub struct Example {
    child: Child,
    pub url: String,
}

impl Example {
    pub fn start() -> Self {
        let mut child = Command::new(example())
            .env("WORKOS_WEBHOOK_SECRET", SECRET)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        // Read its output, so that the pipe does not fill up.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, url }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the example with the profile of this test, and returns the path of its program.
fn example() -> PathBuf {
    static BUILD: Once = Once::new();
    // target/<profile>/deps/<this test>
    let profile = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    BUILD.call_once(|| {
        let name = match profile.file_name().and_then(OsStr::to_str) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let mut cargo = nested::cargo();
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        cargo.args(["build", "--quiet", "--offline", "--example", "axum", "--profile", name]);
        assert!(cargo.status().unwrap().success(), "the example doesn't build");
    });
    profile.join("examples").join("axum")
}

/// How an application handles an event, and what it reports.
#[derive(Clone, Copy)]
pub struct App {
    pub apply: fn(&mut Held, &DirectoryEvent),
    pub show: fn(&Held) -> Value,
    /// The fault of a delivery, by its number (from 0) and its number among those of its event (from 1).
    pub fault: fn(u64, u32) -> Fault,
}

/// A correct application.
pub const CORRECT: App = App {
    apply: |held, event| held.state.apply(event),
    show: |held| serde_json::to_value(held.state.snapshot()).unwrap(),
    fault: |_, _| Fault::None,
};

#[derive(Default)]
pub struct Held {
    pub seen: std::collections::HashMap<String, u32>,
    pub state: directory::State,
    pub access: std::collections::BTreeSet<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The response is 503, and the event is not handled.
    Reject,
    /// The event is handled, but there is no response.
    Lose,
}

/// An application in this process.
pub struct Server {
    runtime: Option<tokio::runtime::Runtime>,
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    app: App,
    held: Mutex<Held>,
    deliveries: AtomicU64,
}

impl Server {
    pub fn start(app: App) -> Self {
        Self::start_at(app, TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn start_at(app: App, listener: TcpListener) -> Self {
        let shared = Arc::new(Shared {
            app,
            held: Mutex::new(Held::default()),
            deliveries: AtomicU64::new(0),
        });
        let layer = VerifyWebhookLayer::new(WebhookSecret::new(SECRET).unwrap());
        let router = Router::new()
            .route("/hooks", post(on_event))
            .route_layer(layer)
            .route("/state", get(state))
            .with_state(Arc::clone(&shared));
        Self::serve_at(listener, router, shared)
    }

    /// A server that responds to everything with this status.
    pub fn careless(status: StatusCode) -> Self {
        let shared = Arc::new(Shared {
            app: CORRECT,
            held: Mutex::new(Held::default()),
            deliveries: AtomicU64::new(0),
        });
        Self::serve(
            Router::new().fallback(move |_: axum::body::Bytes| async move { status }),
            shared,
        )
    }

    fn serve(router: Router, shared: Arc<Shared>) -> Self {
        Self::serve_at(TcpListener::bind("127.0.0.1:0").unwrap(), router, shared)
    }

    fn serve_at(listener: TcpListener, router: Router, shared: Arc<Shared>) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { runtime: Some(runtime), address, shared }
    }

    pub fn hooks(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub fn state(&self) -> String {
        format!("http://{}/state", self.address)
    }

    pub fn deliveries(&self) -> u64 {
        self.shared.deliveries.load(Ordering::SeqCst)
    }

    /// Applies an event as if it had been delivered.
    pub fn apply(&self, event: &DirectoryEvent) {
        self.shared.held.lock().unwrap().state.apply(event);
    }

    pub fn snapshot(&self) -> directory::Snapshot {
        self.shared.held.lock().unwrap().state.snapshot()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn on_event(State(shared): State<Arc<Shared>>, event: DirectoryEvent) -> StatusCode {
    let number = shared.deliveries.fetch_add(1, Ordering::SeqCst);
    let fault = {
        let mut held = shared.held.lock().unwrap();
        let seen = held.seen.entry(event.id().to_string()).or_default();
        *seen += 1;
        let fault = (shared.app.fault)(number, *seen);
        if fault == Fault::Reject {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        (shared.app.apply)(&mut held, &event);
        fault
    };
    if fault == Fault::Lose {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    StatusCode::OK
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json((shared.app.show)(&shared.held.lock().unwrap()))
}

/// Formats a number as the summary does.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Starts an HTTPS server that responds to everything with 204 until the test ends.
pub fn tls_server(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    use rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    };
    use std::io::Read as _;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            // A sample contains `}}` only at its end.
            while !bytes.ends_with(b"}}") {
                match stream.read(&mut buffer) {
                    Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    address
}
