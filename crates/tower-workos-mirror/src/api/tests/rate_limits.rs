//! Responses that say that there are too many requests.

use std::time::Duration;

use super::{EMPTY, Jumps, Reply, Server, builder, within};
use crate::api::{error::ApiErrorKind, timer::Timer as _};

/// Returns how long the client waits after a 429 with these headers, or the kind of its error.
async fn wait(headers: &[(&'static str, &str)]) -> Result<Duration, ApiErrorKind> {
    let mut reply = Reply::new(429, r#"{"message":"Too many requests"}"#);
    for (name, value) in headers {
        reply = reply.header(name, *value);
    }
    let server = Server::start([reply, Reply::new(200, EMPTY)]).await;
    let timer = Jumps::default();
    let api = builder(&server)
        .requests_per_second(1000)
        .requests_per_second_per_directory(1000)
        .timer(timer.clone())
        .build()
        .unwrap();
    let result = api.users("directory_1", None).await;
    assert_eq!(api.throttled(), 1);
    assert_eq!(server.targets().len(), if result.is_ok() { 2 } else { 1 });
    result.map(|_| timer.now()).map_err(|error| error.kind())
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_a_cap() {
    const DATE: (&str, &str) = ("date", "Thu, 15 Jan 2026 12:00:00 GMT");

    within(async {
        let seconds = Duration::from_secs;
        let limited = Err(ApiErrorKind::RateLimited);
        assert_eq!(wait(&[("retry-after", "7")]).await, Ok(seconds(7)));
        assert_eq!(wait(&[("retry-after", " 60 ")]).await, Ok(seconds(60)));
        assert_eq!(wait(&[("retry-after", "61")]).await, limited);
        assert_eq!(wait(&[("retry-after", "99999999999999999999999")]).await, limited);
        // A date is compared with the server's clock.
        let at = |time| [DATE, ("retry-after", time)];
        assert_eq!(wait(&at("Thu, 15 Jan 2026 12:00:09 GMT")).await, Ok(seconds(9)));
        assert_eq!(wait(&at("Thu, 15 Jan 2026 12:02:00 GMT")).await, limited);
        // Without a usable header, and with one that asks for no wait, it waits as after a 5xx.
        let range = Duration::from_millis(250)..=Duration::from_millis(500);
        let unusable: [&[_]; 6] = [
            &[],
            &[("retry-after", "0")],
            &[("retry-after", "-5")],
            &[("retry-after", "soon")],
            &[("retry-after", "")],
            &at("Thu, 15 Jan 2026 11:00:00 GMT"),
        ];
        for headers in unusable {
            let waited = wait(headers).await.unwrap();
            assert!(range.contains(&waited), "{headers:?}: {waited:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn all_requests_wait() {
    within(async {
        let limited = Reply::new(429, "{}").header("retry-after", "20");
        let server = Server::start([limited, Reply::new(200, EMPTY)]).await;
        let timer = Jumps::default();
        let api = builder(&server).attempts(1).timer(timer.clone()).build().unwrap();
        let error = api.users("directory_1", None).await.err().unwrap();
        assert_eq!(error.kind(), ApiErrorKind::RateLimited);
        assert!(timer.now() < Duration::from_secs(1));
        // A clone, and another directory.
        api.clone().groups("directory_2", None).await.unwrap();
        assert!(timer.now() >= Duration::from_secs(20), "{:?}", timer.now());
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_lasts_is_an_error() {
    within(async {
        let server = Server::start([Reply::new(429, "{}").header("retry-after", "1")]).await;
        let api = builder(&server).attempts(3).build().unwrap();
        let error = api.directories(None).await.err().unwrap();
        assert_eq!(error.kind(), ApiErrorKind::RateLimited);
        assert_eq!((server.targets().len(), api.requests(), api.throttled()), (3, 3, 3));
    })
    .await;
}
