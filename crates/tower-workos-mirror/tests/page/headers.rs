//! The headers of each response.

use http::{Method, StatusCode};

use crate::{
    client::{get, open, request, send},
    databases::on_sqlite,
    events::{directory, group, joined},
    guard::paths,
};

#[tokio::test]
async fn each_response_forbids_what_the_page_does_not_need() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), group("g"), joined(1)]).await.unwrap();
        let app = open(&mirror);
        for path in paths(&mirror).await.into_iter().map(|path| format!("/{path}")) {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                let response = request(method.clone(), &path);
                let response = tower::ServiceExt::oneshot(app.clone(), response).await.unwrap();
                let headers = response.headers();
                let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap());
                let policy = header("content-security-policy");
                let directives: Vec<_> = policy.split(';').map(str::trim).collect();
                for directive in [
                    "default-src 'none'",
                    "script-src 'self'",
                    "style-src 'self'",
                    "connect-src 'self'",
                    "form-action 'self'",
                    "base-uri 'none'",
                    "frame-ancestors 'none'",
                ] {
                    assert!(directives.contains(&directive), "{method} {path}: {policy}");
                }
                assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
                assert_eq!(header("x-content-type-options"), "nosniff", "{method} {path}");
                assert_eq!(header("referrer-policy"), "no-referrer", "{method} {path}");
                assert_eq!(header("x-frame-options"), "DENY", "{method} {path}");
                assert_eq!(header("cross-origin-resource-policy"), "same-origin");
                let caching = header("cache-control");
                let is_asset = path.contains("style-") || path.contains("script-");
                match (is_asset && response.status().is_success(), caching) {
                    (true, "private, max-age=31536000, immutable") | (false, "no-store") => {}
                    _ => panic!("{method} {path}: {caching}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_page_only_reads() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), joined(1)]).await.unwrap();
        let app = open(&mirror);
        for path in [
            "/",
            "/overview",
            "/changes",
            "/directory?id=d",
            "/events",
            "/groups",
            "/user?id=u",
            "/users",
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let reply = send(&app, method.clone(), path).await;
                assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert_eq!(reply.header("allow"), "GET,HEAD", "{method} {path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_types_of_the_contents() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), group("g"), joined(1)]).await.unwrap();
        let app = open(&mirror);
        for path in paths(&mirror).await {
            if path.starts_with("events") {
                continue;
            }
            let reply = get(&app, &format!("/{path}")).await;
            let expected = match path.split('-').next().unwrap() {
                "style" => "text/css; charset=utf-8",
                "script" => "text/javascript; charset=utf-8",
                "" => "",
                _ if reply.body.starts_with("<!DOCTYPE html>") => "text/html; charset=utf-8",
                _ => "text/plain; charset=utf-8",
            };
            assert_eq!(reply.header("content-type"), expected, "{path}");
            let is_known = ![
                "users/",
                "changes/x",
                "unknown",
                "%2e%2e/users",
                "favicon.ico",
                "user",
                "group",
                "directory",
            ]
            .contains(&path.as_str());
            let status = match path.as_str() {
                "" => StatusCode::TEMPORARY_REDIRECT,
                _ if is_known => StatusCode::OK,
                _ => StatusCode::NOT_FOUND,
            };
            assert_eq!(reply.status, status, "{path}");
        }
    })
    .await;
}
