//! The layer in hyper, over real sockets, with HTTP/1 and HTTP/2.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, service_fn};
use tower_workos::{DirectoryEvent, VerifyWebhookLayer, testing::sample, verify::VerifiedBody};

use crate::support::{delivery, layer, signer};

async fn handler(request: Request<VerifiedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let event = request.extensions().get::<DirectoryEvent>().unwrap();
    Ok(Response::new(Full::from(event.name().to_owned())))
}

async fn serve(layer: VerifyWebhookLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(layer.layer(service_fn(handler)));
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

async fn deliver(
    address: SocketAddr,
    http2: bool,
    body: &'static str,
    sent: &'static str,
) -> (u16, String) {
    let client =
        Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Full<Bytes>>();
    let request = delivery::<Full<Bytes>>(body);
    let (mut parts, _) = request.into_parts();
    parts.uri = format!("http://{address}/webhooks/workos").parse().unwrap();
    let response = client.request(Request::from_parts(parts, Full::from(sent))).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn over_http_1_and_2() {
    let address = serve(layer()).await;
    for http2 in [false, true] {
        for &sample in sample::ALL {
            let (status, body) = deliver(address, http2, sample.body(), sample.body()).await;
            assert_eq!((status, body.as_str()), (200, sample.name()));
        }
        let (status, body) = deliver(address, http2, sample::USER_CREATED.body(), "forged").await;
        assert_eq!(status, 401);
        assert!(body.contains("SignatureMismatch"));
    }
}

/// Writes pieces with pauses between them to a socket, and returns the response.
async fn raw(address: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn chunked_split_and_slow() {
    let address = serve(layer().body_timeout(Duration::from_secs(1))).await;
    let body = sample::DIRECTORY_DELETED.body();
    let signature = signer().sign(body).signature().to_owned();
    // The header names as WorkOS documents them.
    let head =
        format!("POST /webhooks/workos HTTP/1.1\r\nHost: x\r\nWorkOS-Signature: {signature}\r\n");

    let (first, second) = body.split_at(100);
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n", first.len());
    let rest = format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
    let answer = raw(address, &[chunked.as_bytes(), rest.as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("dsync.deleted"), "{answer}");

    let split = format!("{head}Content-Length: {}\r\n\r\n{first}", body.len());
    let answer = raw(address, &[split.as_bytes(), second.as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let answer = raw(address, &[split.as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    let declared = format!("{head}Content-Length: 1048577\r\n\r\n");
    let answer = raw(address, &[declared.as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let twice = format!("{head}WorkOS-Signature: {signature}\r\nContent-Length: 0\r\n\r\n");
    let answer = raw(address, &[twice.as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    // A client that disconnects halfway does not affect others.
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(split.as_bytes()).await.unwrap();
        drop(stream);
    }
    assert_eq!(deliver(address, false, body, body).await.0, 200);
}
