//! A graceful shutdown of a real server.

use std::time::{Duration, Instant};

use axum::Router;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tower_workos_mirror::page::{DirectoryPage, unprotected};

use crate::databases::on_both;

/// A stream would stay open for 15 minutes.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn open_streams_do_not_delay_a_shutdown() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let page = DirectoryPage::new(mirror.clone());
        let live = page.live_updates();
        let app = Router::new().nest("/directory", page.router(unprotected()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let shutdown = async move {
                stopped.await.unwrap();
                live.close();
            };
            axum::serve(listener, app).with_graceful_shutdown(shutdown).await.unwrap();
        });
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /directory/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            while !text.contains("retry:") {
                let mut bytes = [0; 1024];
                let read = timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
                assert!(read > 0, "{text}");
                text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
            streams.push(stream);
        }
        let start = Instant::now();
        stop.send(()).unwrap();
        timeout(SOON, server).await.expect("the server does not stop").unwrap();
        for stream in &mut streams {
            let mut rest = String::new();
            timeout(SOON, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
            // The end of a complete response.
            assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
        }
        println!("stopped after {:?}", start.elapsed());
    })
    .await;
}
