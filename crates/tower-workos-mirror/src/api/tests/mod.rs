//! Tests against HTTP servers on this machine.

mod budgets;
mod failures;
mod rate_limits;
mod responses;
mod secrets;
mod server;
mod settings;
mod tls;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use self::server::{Reply, Server};
use crate::api::{client::ApiClient, client::ApiClientBuilder, key::ApiKey, timer::Timer};

const KEY: &str = "sk_test_canary_5f1c";

/// An empty last page.
const EMPTY: &str = r#"{"object":"list","data":[],"list_metadata":{"before":null,"after":null}}"#;

/// Runs a test with a limit on its time.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test takes too long")
}

/// A clock that does not wait: each sleep moves it.
#[derive(Clone, Default)]
struct Jumps(Arc<Mutex<Duration>>);

impl Timer for Jumps {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        *self.0.lock().unwrap() += duration;
        Box::pin(tokio::task::yield_now())
    }
}

fn builder(server: &Server) -> ApiClientBuilder {
    ApiClient::builder(ApiKey::new(KEY).unwrap())
        .base_url(server.url.as_str())
        .timeout(Duration::from_secs(5))
        .timer(Jumps::default())
}

/// A client and its server, which sends these replies, the last one again and again.
async fn api(replies: impl IntoIterator<Item = Reply>) -> (ApiClient, Server) {
    let server = Server::start(replies).await;
    (builder(&server).build().unwrap(), server)
}
