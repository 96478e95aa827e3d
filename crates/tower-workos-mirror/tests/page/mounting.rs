//! Where the page can be mounted. All of its links are relative, so they work everywhere.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
};

use axum::{Router, extract::Request, response::IntoResponse as _, routing::get as route};
use http::{StatusCode, Uri};
use tower::{ServiceExt as _, service_fn};
use tower_workos_mirror::Mirror;

use crate::{
    client::{attributes, get, open},
    databases::{Database, on_both, on_sqlite},
    events::{directory, event, group, joined, member},
};

/// More than a page of everything, and ids that a URL can't contain as they are.
async fn filled(database: &Database) -> Mirror {
    let mirror = database.mirror().await;
    let mut events = vec![group("g"), group("a/../b?c=d&e#f%20 \"<é"), joined(0)];
    for number in 0..55 {
        events.push(directory(&format!("d{number:02}")));
        events.push(group(&format!("g{number:02}")));
        events.push(joined(number));
        let (id, user) = (format!("in_{number}"), format!("user_{number:05}"));
        events.push(member(&id, &user, "g", 2, true));
        let update =
            crate::events::user_data("user_00000", "active", 10 + u32::try_from(number).unwrap());
        events.push(event(&format!("u{number}"), "user.updated", 10, &update));
    }
    events.push(directory("d"));
    events.push(crate::events::user("../users?q=%00&x#\" <é>", "active"));
    mirror.apply_all(&events).await.unwrap();
    mirror
}

/// Follows all links, and returns how each page was reached.
async fn crawl(app: &Router, start: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::from([(start.to_owned(), String::new())]);
    let mut left = VecDeque::from([start.to_owned()]);
    while let Some(path) = left.pop_front() {
        let reply = get(app, &path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path} from {}", found[&path]);
        if !reply.header("content-type").starts_with("text/html") {
            continue;
        }
        let (folder, _) = path.split('?').next().unwrap().rsplit_once('/').unwrap();
        for name in ["href", "src", "action"] {
            for link in attributes(&reply.body, name) {
                if link.starts_with('#') {
                    continue;
                }
                let first = link.split(['?', '#']).next().unwrap();
                let is_relative =
                    !link.starts_with('/') && !first.contains(':') && !first.contains("..");
                assert!(is_relative, "{link} in {path}");
                let next = format!("{folder}/{}", link.strip_prefix("./").unwrap_or(&link));
                if !found.contains_key(&next) {
                    found.insert(next.clone(), path.clone());
                    left.push_back(next);
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn every_link_works() {
    on_both(async |database| {
        let mirror = filled(database).await;
        let found = crawl(&open(&mirror), "/overview").await;
        let count = |start: &str| found.keys().filter(|path| path.starts_with(start)).count();
        assert_eq!(count("/directory?id="), 56);
        assert_eq!(count("/user?id="), 56 + 1, "each user, and the older events of one");
        assert_eq!(count("/group?id="), 57 + 1, "each group, and the second page of one");
        assert_eq!(count("/overview?after="), 1);
        assert_eq!(
            count("/changes?before="),
            found.keys().filter(|it| it.contains("before=")).count() - 1
        );
        assert!(count("/users?") > 60, "{}", count("/users?"));
        assert_eq!((count("/style-"), count("/script-")), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_same_links_work_under_each_prefix() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        mirror.apply_all(&[directory("d"), group("g"), joined(1)]).await.unwrap();
        let page = || open(&mirror);
        let other = || Router::new().route("/health", route(async || "well"));
        let expected = crawl(&page(), "/overview").await.len();
        assert!(expected > 10, "{expected}");
        for (prefix, app) in [
            ("/", other().merge(page())),
            ("/directory/", other().nest("/directory", page())),
            ("/a/b/", other().nest("/a/b", page())),
            ("/a/b/c/", other().nest("/a", Router::new().nest("/b/c", page()))),
            ("/users/", other().nest("/users", page())),
            ("/service/", other().nest_service("/service", page())),
            ("/tools/people/", stripping(other().nest("/directory", page()))),
        ] {
            let found = crawl(&app, &format!("{prefix}overview")).await;
            assert_eq!(found.len(), expected, "{prefix}");
            assert!(found.keys().all(|path| path.starts_with(prefix)), "{prefix}");
            assert_eq!(get(&app, &format!("{prefix}unknown")).await.status, StatusCode::NOT_FOUND);
        }
    })
    .await;
}

/// A proxy that serves `/directory/` of an application as `/tools/people/`.
fn stripping(app: Router) -> Router {
    let proxy = service_fn(move |mut request: Request| {
        let app = app.clone();
        async move {
            let path = request.uri().path_and_query().unwrap().as_str();
            let response = match path.strip_prefix("/tools/people") {
                Some(rest) => {
                    *request.uri_mut() = Uri::try_from(format!("/directory{rest}")).unwrap();
                    request.extensions_mut().clear();
                    app.oneshot(request).await.unwrap()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            };
            Ok::<_, Infallible>(response)
        }
    });
    Router::new().fallback_service(proxy)
}

#[tokio::test]
async fn the_prefix_leads_to_the_overview() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let page = || open(&mirror);
        let service = || Router::new().nest_service("/a/directory", page());
        for (path, location, app) in [
            ("/", "overview", page()),
            ("/", "overview", Router::new().merge(page())),
            ("/directory", "./directory/overview", Router::new().nest("/directory", page())),
            ("/a/b", "./b/overview", Router::new().nest("/a/b", page())),
            (
                "/a/b?x=y",
                "./b/overview",
                Router::new().nest("/a", Router::new().nest("/b", page())),
            ),
            ("/x:y", "./x:y/overview", Router::new().nest("/x:y", page())),
            ("/a/directory", "./directory/overview", service()),
            ("/a/directory/", "overview", service()),
            (
                "/tools/people/",
                "overview",
                stripping(Router::new().nest_service("/directory", page())),
            ),
        ] {
            let reply = get(&app, path).await;
            assert_eq!(reply.status, StatusCode::TEMPORARY_REDIRECT, "{path}");
            assert_eq!(reply.header("location"), location, "{path}");
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    })
    .await;
}
