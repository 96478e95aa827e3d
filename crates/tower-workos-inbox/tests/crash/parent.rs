//! The test: it sends events, kills processes, and compares.

use std::{
    collections::{HashMap, HashSet},
    env,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_workos::{
    DirectoryEvent, WebhookSecret,
    testing::{Signer, sample},
};

use crate::{
    child::{Effects, LEASE, SECRET},
    support::{Kind, Place, until},
};

/// Deliveries under way at the same time.
const CONCURRENCY: usize = 32;
/// A slow machine needs less than this between two kills.
const LIMIT: Duration = Duration::from_secs(60);

/// Crash tests run one at a time, so that they don't compete for processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Handler {
    Plain,
    Transactional,
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(place: &Place, role: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "process", "--ignored", "--nocapture"]);
        command.envs(place.to_env()).envs(role.iter().copied());
        command.stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Sends one delivery. `None`: no complete response.
async fn post(port: u16, body: &Bytes) -> Option<u16> {
    let signer = Signer::new(WebhookSecret::new(SECRET).unwrap());
    let delivery = signer.sign(body.clone());
    let head = format!(
        "POST /webhooks/workos HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         workos-signature: {}\r\ncontent-length: {}\r\n\r\n",
        delivery.signature(),
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body).await.ok()?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.ok()?;
        let response = String::from_utf8(response).ok()?;
        response.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    };
    timeout(LIMIT, exchange).await.expect("a response or a closed connection")
}

/// Delivers an event until it is acknowledged, and sometimes once more.
async fn deliver(port: u16, body: Bytes) {
    let begin = Instant::now();
    loop {
        match post(port, &body).await {
            Some(200) => break,
            Some(503) | None => sleep(Duration::from_millis(20)).await,
            Some(other) => panic!("the response was {other}"),
        }
        assert!(begin.elapsed() < LIMIT);
    }
    if getrandom::u32().unwrap().is_multiple_of(10) {
        post(port, &body).await;
    }
}

fn bodies(count: usize) -> Vec<Bytes> {
    let mut bodies: Vec<_> = (0..count)
        .map(|number| sample::USER_UPDATED.builder().id(format!("event_{number:05}")).body())
        .collect();
    // In disorder.
    for place in (1..bodies.len()).rev() {
        let other = getrandom::u32().unwrap() as usize % (place + 1);
        bodies.swap(place, other);
    }
    bodies
}

pub(crate) async fn crash(kind: Kind, handler: Handler) {
    let _alone = ALONE.lock().await;
    let Some(place) = Place::new(kind).await else { return };
    let (count, kills) = (setting("CRASH_EVENTS", 1000), setting("CRASH_KILLS", 15));
    let inbox = place.inbox().await;
    let effects = Effects::open(&place).await;
    effects.create().await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let senders = tokio::spawn({
        let acknowledged = Arc::clone(&acknowledged);
        async move {
            let permits = Arc::new(Semaphore::new(CONCURRENCY));
            let mut senders = JoinSet::new();
            for body in bodies(count) {
                let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
                let acknowledged = Arc::clone(&acknowledged);
                senders.spawn(async move {
                    let event = DirectoryEvent::parse(body.clone()).unwrap();
                    deliver(port, body).await;
                    acknowledged.lock().unwrap().insert(event.id().to_string());
                    drop(permit);
                });
            }
            senders.join_all().await;
        }
    });
    let acknowledged = || acknowledged.lock().unwrap().clone();

    let port = port.to_string();
    let start_store = || Process::start(&place, &[("INBOX_PORT", &port)]);
    let start_worker = || {
        let transactional = ("INBOX_TRANSACTIONAL", "1");
        let role = [transactional];
        Process::start(&place, if handler == Handler::Transactional { &role } else { &[] })
    };
    let (mut storing, mut workers) = (start_store(), [start_worker(), start_worker()]);
    let mut killed = HashSet::new();
    for kill in 1..=kills {
        let begin = Instant::now();
        let goal = count * kill / (kills + 1);
        while acknowledged().len() < goal || effects.all().await.len() < goal / 2 {
            assert!(begin.elapsed() < LIMIT, "{kind:?}: before kill {kill}");
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_micros(u64::from(getrandom::u32().unwrap() % 20_000))).await;
        // SIGKILL.
        if kill % 3 == 0 {
            drop(storing);
            storing = start_store();
        } else {
            let worker = &mut workers[kill % 2];
            killed.insert(worker.id());
            *worker = start_worker();
        }
    }
    senders.await.unwrap();
    let acknowledged = acknowledged();
    assert_eq!(acknowledged.len(), count);
    until("everything is handled", async || inbox.status().await.unwrap().depth == 0).await;
    assert_eq!(inbox.status().await.unwrap().dead, 0);

    let effects_done = effects.all().await;
    let mut by_event: HashMap<String, Vec<u32>> = HashMap::new();
    for (id, pid) in effects_done {
        by_event.entry(id).or_default().push(pid);
    }
    let handled: HashSet<_> = by_event.keys().cloned().collect();
    let lost: Vec<_> = acknowledged.difference(&handled).collect();
    assert!(lost.is_empty(), "{kind:?}, {handler:?}: {lost:?} were acknowledged and lost");
    let mut repeated = 0;
    for (id, pids) in &by_event {
        repeated += pids.len() - 1;
        let alive = pids.iter().filter(|pid| !killed.contains(pid)).count();
        assert!(alive <= 1, "{kind:?}: {id} was handled twice, by {pids:?}, without a kill");
    }
    if handler == Handler::Transactional {
        assert_eq!(repeated, 0, "{kind:?}: in a transaction, each event is handled once");
    }
    println!(
        "{kind:?}, {handler:?}: {count} events, {kills} kills, lease {LEASE:?}: 0 lost, {repeated} handled again after a kill"
    );
    drop((storing, workers));
    effects.remove().await;
    place.remove().await;
}
