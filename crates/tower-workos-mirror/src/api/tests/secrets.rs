//! What must not be shown.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{EMPTY, KEY, Reply, Server, builder, within};
use crate::api::{client::ApiClient, key::ApiKey};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_the_key_nor_a_payload_is_shown() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    within(async {
        let payload = r#"{"message":"zoe@example.com"}"#;
        let mut shown = String::new();
        for reply in [
            Reply::new(401, payload),
            Reply::new(422, payload),
            Reply::new(429, payload).header("retry-after", "1"),
            Reply::new(500, payload),
            Reply::new(200, payload),
            Reply::new(200, payload).broken(),
        ] {
            let server = Server::start([reply]).await;
            let builder = builder(&server).attempts(2);
            shown.push_str(&format!("{builder:?}"));
            let api = builder.build().unwrap();
            let error = api.users("directory_1", Some("directory_user_1")).await.err().unwrap();
            shown.push_str(&format!("{api:?} {error} {error:?}"));
            let mut source = error.source();
            while let Some(error) = source {
                shown.push_str(&format!("{error} {error:?}"));
                source = error.source();
            }
        }
        let server = Server::start([Reply::new(200, EMPTY)]).await;
        builder(&server).build().unwrap().directories(None).await.unwrap();
        shown.push_str(&format!("{:?}", ApiKey::new(KEY).unwrap()));
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("trying again") && log.contains("rate limited"), "{log}");
        for secret in ["canary", "example.com", "zoe"] {
            assert!(!shown.contains(secret), "{shown}");
            assert!(!log.contains(secret), "{log}");
        }
    })
    .await;
}

#[test]
fn errors_about_settings_show_no_secret() {
    let key = |text: &str| ApiKey::new(text).unwrap_err().to_string();
    for text in ["", "sk_canary x", "sk_canary\n", "\"sk_canary\"", "whsec_canary", "sk_cänary"] {
        let error = key(text);
        assert!(!error.contains("canary") && error.contains("; "), "{error}");
    }
    let error = ApiKey::from_env("sk_canary").unwrap_err().to_string();
    assert!(!error.contains("canary"), "{error}");
    let error = ApiKey::from_env("TOWER_WORKOS_NOT_SET").unwrap_err().to_string();
    assert!(error.contains("TOWER_WORKOS_NOT_SET"), "{error}");
    let builder = ApiClient::builder(ApiKey::new(KEY).unwrap());
    let error = builder.base_url("https://u:canary@example.com").build().unwrap_err().to_string();
    assert!(!error.contains("canary"), "{error}");
}
