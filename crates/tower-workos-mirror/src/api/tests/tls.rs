//! HTTPS. The trusted certificates come from the environment, which a test can't change, so the client is a process of its own.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{EMPTY, KEY, within};
use crate::api::{client::ApiClient, key::ApiKey};

const URL: &str = "TOWER_WORKOS_TEST_URL";

type Certified = rcgen::CertifiedKey<rcgen::KeyPair>;

fn certified() -> Certified {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// Starts a server that sends an empty list. Returns its port and the number of requests that it could read.
fn server(certified: &Certified) -> (u16, Arc<AtomicUsize>) {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            while !bytes.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            if String::from_utf8_lossy(&bytes).contains(KEY) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", EMPTY.len());
            let _ = stream.write_all(format!("{head}\r\n\r\n{EMPTY}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, requests)
}

/// Sends a request to the URL in the environment.
#[tokio::test]
#[ignore = "the client of the test below"]
async fn client() {
    let Ok(url) = env::var(URL) else { return };
    within(async {
        let key = ApiKey::new(KEY).unwrap();
        let api = ApiClient::builder(key).base_url(url).attempts(1).build().unwrap();
        let result = api.directories(None).await.map(drop);
        println!("result: {:?}", result.map_err(|error| error.kind()));
    })
    .await;
}

#[test]
fn certificates_are_checked() {
    let (trusted, stranger) = (certified(), certified());
    let (port, requests) = server(&trusted);
    let folder = tempfile::tempdir().unwrap();
    let run = |url: String, certified: &Certified| {
        let file = folder.path().join("trusted.pem");
        fs::write(&file, certified.cert.pem()).unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "api::tests::tls::client", "--ignored", "--nocapture"])
            .env(URL, url)
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let result = text.lines().find_map(|line| line.split_once("result: "));
        (result.unwrap().1.to_owned(), requests.swap(0, Ordering::SeqCst))
    };
    let url = |host: &str| format!("https://{host}:{port}");
    assert_eq!(run(url("localhost"), &trusted), ("Ok(())".to_owned(), 1));
    let unavailable = ("Err(Unavailable)".to_owned(), 0);
    assert_eq!(run(url("localhost"), &stranger), unavailable);
    // The certificate is for another name.
    assert_eq!(run(url("127.0.0.1"), &trusted), unavailable);
}
