//! Nothing is served without the guard.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode};
use tower_workos_mirror::{Mirror, page::DirectoryPage};

use crate::{
    client::{attributes, get, open, page, send},
    databases::on_sqlite,
    events::{directory, group, joined},
};

async fn nobody(_: Request, _: Next) -> Response {
    (StatusCode::FORBIDDEN, [("x-guard", "closed")], "Sign in first.").into_response()
}

/// All paths that the page serves, and some that it doesn't.
pub(crate) async fn paths(mirror: &Mirror) -> Vec<String> {
    let html = page(&open(mirror), "/overview").await;
    let mut paths: Vec<_> = ["style", "script"]
        .into_iter()
        .map(|name| {
            let all = [attributes(&html, "href"), attributes(&html, "src")].concat();
            all.into_iter().find(|it| it.starts_with(name)).unwrap()
        })
        .collect();
    let fixed = [
        "",
        "changes",
        "directory",
        "directory?id=d",
        "events",
        "events?after=0",
        "group",
        "group?id=g",
        "groups",
        "overview",
        "user",
        "user?id=user_00001",
        "users",
        "users?q=a",
        "users/",
        "changes/x",
        "unknown",
        "%2e%2e/users",
        "favicon.ico",
    ];
    paths.extend(fixed.map(str::to_owned));
    paths
}

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
];

#[tokio::test]
async fn a_closed_guard_answers_everything() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), group("g"), joined(1)]).await.unwrap();
        let guarded = || mirror.page(from_fn(nobody));
        let apps = [
            ("/", guarded()),
            ("/", Router::new().merge(guarded())),
            ("/directory/", Router::new().nest("/directory", guarded())),
            ("/a/b/", Router::new().nest("/a/b", guarded())),
        ];
        for (prefix, app) in &apps {
            let mut all: Vec<_> =
                paths(&mirror).await.into_iter().map(|path| format!("{prefix}{path}")).collect();
            // `Router::nest` leaves the prefix with a slash to the application.
            if prefix.len() > 1 {
                all.retain(|path| path != prefix);
                all.push(prefix.trim_end_matches('/').to_owned());
            }
            for path in all {
                for method in METHODS {
                    let reply = send(app, method.clone(), &path).await;
                    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path}");
                    // The response is the guard's own.
                    assert_eq!(reply.header("x-guard"), "closed", "{method} {path}");
                    assert_eq!(reply.header("content-security-policy"), "");
                    let body = if method == Method::HEAD { "" } else { "Sign in first." };
                    assert_eq!(reply.body, body, "{method} {path}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_guard_sees_each_request_once() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let guard = from_fn(move |request: Request, next: Next| {
            count.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        });
        let app =
            Router::new().nest("/directory", DirectoryPage::new(mirror.clone()).router(guard));
        let mut paths = paths(&mirror).await;
        paths.retain(|path| !path.is_empty());
        for path in &paths {
            // The response to a request for the stream begins, and the rest is dropped.
            let request = crate::client::request(Method::GET, &format!("/directory/{path}"));
            let response = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
            assert!(response.status().as_u16() < 500, "{path}");
        }
        assert_eq!(seen.load(Ordering::Relaxed), paths.len());
        // The guard of the page does not apply to other paths.
        assert_eq!(get(&app, "/elsewhere").await.status, StatusCode::NOT_FOUND);
        assert_eq!(seen.load(Ordering::Relaxed), paths.len());
    })
    .await;
}
