//! Errors of the API and of the network.

use std::{error::Error, time::Duration};

use tokio::net::TcpListener;
use tower_workos::Timestamp;

use super::{EMPTY, Jumps, KEY, Reply, Server, api, builder, within};
use crate::api::{
    client::ApiClient,
    error::ApiErrorKind::{
        self, Cursor, NotFound, Rejected, Unauthorized, Unavailable, Unreadable,
    },
    key::ApiKey,
    request::EventsFrom,
    timer::Timer as _,
};

#[tokio::test]
async fn errors_that_last_are_not_tried_again() {
    within(async {
        let cases = [
            (301, Rejected),
            (400, Rejected),
            (401, Unauthorized),
            (403, Unauthorized),
            (404, NotFound),
            (422, Rejected),
            (204, Rejected),
        ];
        for (status, kind) in cases {
            let body = if status == 204 { "" } else { r#"{"message":"secret text"}"# };
            let reply = Reply::new(status, body).header("x-request-id", "req_7");
            let (api, server) = api([reply]).await;
            let error = api.users("directory_1", None).await.err().unwrap();
            assert_eq!(error.kind(), kind, "{status}");
            assert_eq!(server.targets().len(), 1, "{status}");
            let text = error.to_string();
            let start = format!(
                "the WorkOS API answered {status} to the request for /directory_users (request id req_7): "
            );
            assert!(text.starts_with(&start), "{text}");
            assert!(!format!("{text}{error:?}").contains("secret"), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_id_with_other_characters_is_not_shown() {
    within(async {
        for id in ["req 7", &"7".repeat(65)] {
            let (api, _server) = api([Reply::new(401, "").header("x-request-id", id)]).await;
            let error = api.directories(None).await.err().unwrap();
            assert_eq!(error.kind(), Unauthorized);
            assert!(!error.to_string().contains('7'), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_errors_about_the_position_are() {
    within(async {
        let kind = async |status, call: &dyn Fn(ApiClient) -> Call| {
            let (api, _server) = api([Reply::new(status, "{}")]).await;
            call(api).await
        };
        let after: &dyn Fn(ApiClient) -> Call = &|api| {
            Box::pin(async move {
                api.events(EventsFrom::After("event_1"), None).await.err().unwrap().kind()
            })
        };
        let since: &dyn Fn(ApiClient) -> Call = &|api| {
            let from = EventsFrom::Since(Timestamp::UNIX_EPOCH);
            Box::pin(async move { api.events(from, None).await.err().unwrap().kind() })
        };
        let users: &dyn Fn(ApiClient) -> Call =
            &|api| Box::pin(async move { api.users("d", Some("u")).await.err().unwrap().kind() });
        for status in [400, 404, 422] {
            assert_eq!(kind(status, after).await, Cursor, "{status}");
        }
        assert_eq!(kind(401, after).await, Unauthorized);
        assert_eq!(kind(409, after).await, Rejected);
        assert_eq!(kind(400, since).await, Rejected);
        assert_eq!(kind(422, since).await, Rejected);
        assert_eq!(kind(404, since).await, NotFound);
        assert_eq!(kind(422, users).await, Cursor);
        assert_eq!(kind(404, users).await, NotFound);
    })
    .await;
}

type Call = std::pin::Pin<Box<dyn Future<Output = ApiErrorKind>>>;

#[tokio::test]
async fn errors_that_pass_are_tried_again() {
    within(async {
        let truncated =
            || Reply::new(200, r#"{"data":["#).header("content-length", "5000").broken();
        let html = "<html>Bad gateway</html>";
        let cases = [
            Reply::new(500, html),
            Reply::new(502, html),
            Reply::new(503, "{}").header("retry-after", "1"),
            Reply::new(408, ""),
            truncated(),
            Reply::new(200, EMPTY).broken(),
            Reply::new(200, html),
            Reply::new(200, ""),
            Reply::new(200, "[]"),
            Reply::new(200, r#"{"data":null,"list_metadata":{"after":null}}"#),
            // A list without this is not known to be complete.
            Reply::new(200, r#"{"data":[]}"#),
            Reply::new(200, r#"{"data":[],"list_metadata":null}"#),
            Reply::new(200, r#"{"data":[],"list_metadata":{"after":5}}"#),
            Reply::new(200, r#"{"data":[],"list_metadata":{"after":""}}"#),
            Reply::new(200, r#"{"data":[],"list_metadata":[null]}"#),
            Reply::new(200, r#"[[],{"after":null}]"#),
            Reply::new(200, r#"{"data":[],"list_metadata":{"after":null}"#),
        ];
        for (case, reply) in cases.into_iter().enumerate() {
            let (api, server) = api([reply.clone(), reply, Reply::new(200, EMPTY)]).await;
            assert!(api.users("directory_1", None).await.is_ok(), "case {case}");
            assert_eq!(server.targets().len(), 3, "case {case}");
            assert_eq!(api.requests(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn attempts_are_limited() {
    within(async {
        for (reply, kind) in [
            (Reply::new(503, ""), Unavailable),
            (Reply::new(200, "no"), Unreadable),
            (Reply::new(200, "{").broken(), Unavailable),
        ] {
            let server = Server::start([reply]).await;
            let timer = Jumps::default();
            let api = builder(&server).timer(timer.clone()).build().unwrap();
            let error = api.directories(None).await.err().unwrap();
            assert_eq!((error.kind(), server.targets().len()), (kind, 5));
            // Pauses of 0.5, 1, 2 and 4 s, of which each is at least half as long.
            let waited = timer.now();
            assert!(waited >= Duration::from_millis(3750), "{waited:?}");
            assert!(waited <= Duration::from_millis(7500), "{waited:?}");
            let api = builder(&server).attempts(1).build().unwrap();
            assert_eq!(api.directories(None).await.err().unwrap().kind(), kind);
            assert_eq!(server.targets().len(), 6);
        }
    })
    .await;
}

#[tokio::test]
async fn slow_responses_are_given_up() {
    within(async {
        let server =
            Server::start([Reply::new(200, EMPTY).endless(), Reply::new(200, EMPTY)]).await;
        let api = builder(&server).timeout(Duration::from_millis(200)).build().unwrap();
        assert!(api.directories(None).await.is_ok());
        assert_eq!(server.targets().len(), 2);

        let server = Server::start([Reply::new(200, "{").endless()]).await;
        let api = builder(&server).timeout(Duration::from_millis(50)).attempts(2).build().unwrap();
        let error = api.directories(None).await.err().unwrap();
        assert_eq!((error.kind(), server.targets().len()), (Unavailable, 2));
        assert!(error.to_string().contains("did not answer the request for /directories in time"));
    })
    .await;
}

#[tokio::test]
async fn an_endless_body_is_not_collected() {
    within(async {
        let body = vec![b' '; 33 * 1024 * 1024];
        let server = Server::start([Reply::new(200, body).endless()]).await;
        let api = builder(&server).attempts(1).timeout(Duration::from_secs(20)).build().unwrap();
        assert_eq!(api.directories(None).await.err().unwrap().kind(), Unreadable);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let api = ApiClient::builder(ApiKey::new(KEY).unwrap())
            .base_url(url)
            .attempts(2)
            .timer(Jumps::default())
            .build()
            .unwrap();
        let error = api.directories(None).await.err().unwrap();
        assert_eq!(error.kind(), Unavailable);
        assert!(error.source().is_some());
        assert_eq!(api.requests(), 2);
    })
    .await;
}

/// Otherwise a proxy or a wrong base URL would remove people.
#[tokio::test]
async fn a_404_of_another_server_proves_nothing() {
    within(async {
        for body in ["<html>404</html>", "", "[]", "\"no\""] {
            let (api, _server) = api([Reply::new(404, body)]).await;
            let error = api.user(None, "directory_user_1").await.err().unwrap();
            assert_eq!(error.kind(), Unreadable, "{body}");
        }
        // Neither does another object.
        for body in ["{}", r#"{"id":"directory_user_2"}"#, "[]"] {
            let (api, _server) = api([Reply::new(200, body)]).await;
            let error = api.user(None, "directory_user_1").await.err().unwrap();
            assert_eq!(error.kind(), Unreadable, "{body}");
        }
    })
    .await;
}
