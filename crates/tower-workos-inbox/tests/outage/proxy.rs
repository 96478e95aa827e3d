//! A server that can be made unreachable.

use std::sync::{Arc, Mutex};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::support::{Kind, Place};

/// Passes connections on to a server.
pub(crate) struct Proxy {
    port: u16,
    /// The connections, or `None` while none is accepted.
    open: Arc<Mutex<Option<JoinSet<()>>>>,
}

impl Proxy {
    /// A proxy for the server of this place. `None` for SQLite, which has no server.
    pub(crate) async fn to(place: &Place) -> Option<Self> {
        let (host, port) = match place.kind {
            Kind::Sqlite => return None,
            Kind::Postgres => {
                let options: PgConnectOptions = place.url.parse().unwrap();
                (options.get_host().to_owned(), options.get_port())
            }
            Kind::Nats => {
                let (host, port) = place.url.trim_start_matches("nats://").split_once(':').unwrap();
                (host.to_owned(), port.parse().unwrap())
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = Arc::new(Mutex::new(Some(JoinSet::new())));
        let proxy = Self { port: listener.local_addr().unwrap().port(), open: open.clone() };
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let host = host.clone();
                // If it is down, the connection is closed.
                if let Some(connections) = &mut *open.lock().unwrap() {
                    connections.spawn(async move {
                        let mut server = TcpStream::connect((host, port)).await.unwrap();
                        // An error ends the connection.
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    });
                }
            }
        });
        Some(proxy)
    }

    pub(crate) fn url(&self, place: &Place) -> String {
        match place.kind {
            Kind::Sqlite => place.url.clone(),
            Kind::Postgres => {
                let options: PgConnectOptions = place.url.parse().unwrap();
                options.host("127.0.0.1").port(self.port).to_url_lossy().to_string()
            }
            Kind::Nats => format!("nats://127.0.0.1:{}", self.port),
        }
    }

    /// Closes all connections, and accepts no more.
    pub(crate) async fn stop(&self) {
        let connections = self.open.lock().unwrap().take();
        if let Some(mut connections) = connections {
            connections.shutdown().await;
        }
    }

    pub(crate) fn start(&self) {
        *self.open.lock().unwrap() = Some(JoinSet::new());
    }
}
