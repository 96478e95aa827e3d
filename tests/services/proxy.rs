//! A TCP proxy between a store and its database, which a test can make slow or silent, or take away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    delay_millis: AtomicU64,
    /// Connections up to this number stay open, but no longer forward anything.
    frozen_up_to: AtomicU64,
    /// The same, but only for the server's replies.
    replies_lost_up_to: AtomicU64,
    connections: AtomicU64,
    frozen: AtomicBool,
    away: watch::Sender<bool>,
}

impl Proxy {
    /// Starts a proxy for this address.
    pub async fn start(target: String) -> Self {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::<Control>::default();
        let proxy = Self { address, control: Arc::clone(&control) };
        let mut away = control.away.subscribe();
        tokio::spawn(async move {
            loop {
                let client = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = becomes(&mut away, true) => {
                        drop(listener);
                        becomes(&mut away, false).await;
                        listener = TcpListener::bind(address).await.unwrap();
                        continue;
                    }
                };
                let number = control.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (control, target) = (Arc::clone(&control), target.clone());
                let mut away = away.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let (client_read, client_write) = client.into_split();
                    let (server_read, server_write) = server.into_split();
                    let both = async {
                        tokio::join!(
                            forward(client_read, server_write, &control, number, false),
                            forward(server_read, client_write, &control, number, true),
                        );
                    };
                    tokio::select! {
                        () = both => {}
                        () = becomes(&mut away, true) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Delays everything for this long, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.control.delay_millis.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Goes silent on the existing connections; new ones work.
    pub fn freeze_connections(&self) {
        let connections = self.control.connections.load(Ordering::SeqCst);
        self.control.frozen_up_to.store(connections, Ordering::SeqCst);
    }

    /// Discards the server's replies on the existing connections; requests still arrive.
    pub fn lose_replies(&self) {
        let connections = self.control.connections.load(Ordering::SeqCst);
        self.control.replies_lost_up_to.store(connections, Ordering::SeqCst);
    }

    /// Closes all connections and refuses new ones, or accepts them again.
    pub fn refuse(&self, away: bool) {
        self.control.away.send_replace(away);
    }

    /// Goes silent on all connections, or resumes.
    pub fn freeze(&self, frozen: bool) {
        self.control.frozen.store(frozen, Ordering::SeqCst);
    }
}

async fn becomes(state: &mut watch::Receiver<bool>, value: bool) {
    state.wait_for(|state| *state == value).await.unwrap();
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    control: &Control,
    number: u64,
    is_reply: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length) = from.read(&mut buffer).await else { return };
        if length == 0 {
            return;
        }
        let delay = control.delay_millis.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        if is_reply && number <= control.replies_lost_up_to.load(Ordering::SeqCst) {
            continue;
        }
        while control.frozen.load(Ordering::SeqCst)
            || number <= control.frozen_up_to.load(Ordering::SeqCst)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
