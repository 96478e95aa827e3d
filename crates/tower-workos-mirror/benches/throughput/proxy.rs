//! A TCP proxy to Postgres that delays each direction, like a network.

use std::{str::FromStr as _, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::databases::postgres_url;

pub(crate) struct Proxy {
    port: u16,
}

impl Proxy {
    /// Adds this much to each round trip.
    pub(crate) async fn start(round_trip: Duration) -> Self {
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let upstream = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(delay(from_client, to_server, round_trip / 2));
                tokio::spawn(delay(from_server, to_client, round_trip / 2));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let database = options.get_database().unwrap_or("postgres");
        format!("postgres://{}@127.0.0.1:{}/{database}", options.get_username(), self.port)
    }
}

async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, time: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if sender.send((Instant::now() + time, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
}
