//! Requests that make no sense, and a database that fails.

use axum::Router;
use http::{Method, StatusCode};
use tower::ServiceExt as _;

use crate::{
    client::{encoded, get, open, page, request},
    databases::{Database, on_both},
    events::{directory, group, joined, member, user},
};

/// The parameters of each page, and what makes the others count.
const PARAMETERS: [(&str, &[&str], &str); 8] = [
    ("overview", &["after"], ""),
    ("changes", &["before"], ""),
    ("directory", &["id"], ""),
    ("events", &["after", "last-event-id"], ""),
    ("group", &["id", "after"], "id=g"),
    ("groups", &["directory", "after"], ""),
    ("user", &["id", "before"], "id=u"),
    ("users", &["q", "directory", "group", "access", "after"], "q=u"),
];

fn garbage() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        "%",
        "%z",
        "%00",
        "a%00b",
        "%ff%fe",
        "%ed%a0%80",
        "%0d%0ax:y",
        "+",
        "%20",
        "-1",
        "0",
        "1.5",
        "NaN",
        "1e999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "0.3.",
        "0.3.abc",
        "0.0.",
        "0.1.%C3%A9",
        "1.2.%C3%A9%C3%A9",
        "7.1.a%00",
        "0.1.%00",
        "99.1.ab",
        "18446744073709551615.18446744073709551615.x",
        "-1.-1.x",
        "..",
        "..%2F..%2F",
        "%27%22%3B--",
        "%5C",
        "%25",
        "_",
        "%25%25_",
        "sha256:",
        "%F0%9F%98%80",
        "%E2%80%AE",
        "%EF%BF%BF",
        "%F4%8F%BF%BF",
        "yes",
        "=",
        "==&&=",
        "{p}",
        "{}",
        "$1",
        "%3Cscript%3E",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("a".repeat(10_000));
    all.push(encoded(&"é".repeat(3_400)));
    all.push("9".repeat(10_000));
    all.push("%00".repeat(3_400));
    all
}

async fn filled(database: &Database) -> Router {
    let mirror = database.mirror().await;
    let events = [
        directory("d"),
        group("g"),
        joined(1),
        user("u", "inactive"),
        member("m", "u", "g", 2, true),
    ];
    mirror.apply_all(&events).await.unwrap();
    open(&mirror)
}

#[tokio::test]
async fn no_query_makes_a_page_fail() {
    on_both(async |database| {
        let app = filled(database).await;
        for (path, names, others) in PARAMETERS {
            for (name, value) in
                names.iter().flat_map(|name| garbage().into_iter().map(move |value| (name, value)))
            {
                let mut all = vec![format!("/{path}?{name}={value}"), format!("/{path}?{value}")];
                if !others.starts_with(name) {
                    all.push(format!("/{path}?{others}&{name}={value}"));
                }
                for path in all {
                    let mut request = request(Method::GET, &path);
                    if *name == "last-event-id" {
                        let header = value.chars().take(4000).collect::<String>();
                        request.headers_mut().insert("last-event-id", header.parse().unwrap());
                    }
                    let status = app.clone().oneshot(request).await.unwrap().status();
                    let is_expected = matches!(
                        status,
                        StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND
                    );
                    assert!(is_expected, "{status} for {path:.200}");
                }
            }
        }
        // It was read only.
        assert!(page(&app, "/user?id=u").await.contains("inactive"));
    })
    .await;
}

/// Ids that the tables contain only as hashes.
#[tokio::test]
async fn odd_ids_have_pages() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        for (number, id) in ["a\0b", "\0", "é", "x y", "sha256:00", "a&b=c#d", &"i".repeat(10_000)]
            .iter()
            .enumerate()
        {
            let events = [
                crate::events::event(
                    &format!("d{number}"),
                    "activated",
                    0,
                    &crate::events::directory_data(id, "active", 0),
                ),
                crate::events::event(
                    &format!("g{number}"),
                    "group.created",
                    0,
                    &crate::events::group_data(id),
                ),
                crate::events::event(
                    &format!("u{number}"),
                    "user.created",
                    0,
                    &crate::events::user_data(id, "active", 0),
                ),
            ];
            mirror.apply_all(&events).await.unwrap();
            for path in ["directory", "group", "user"] {
                page(&app, &format!("/{path}?id={}", encoded(id))).await;
            }
            for path in ["users?directory=", "users?group=", "groups?directory=", "users?q="] {
                page(&app, &format!("/{path}{}", encoded(id))).await;
            }
        }
    })
    .await;
}

async fn all_fail(app: &Router, secrets: &[&str]) {
    for path in [
        "/overview",
        "/changes",
        "/directory?id=d",
        "/events",
        "/group?id=g",
        "/groups",
        "/user?id=u",
        "/users",
        "/users?q=u",
    ] {
        let reply = get(app, path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(reply.body.contains("The database could not be read"), "{path}: {}", reply.body);
        for secret in secrets {
            assert!(!reply.body.to_lowercase().contains(secret), "{path}: {}", reply.body);
        }
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(!reply.header("content-security-policy").is_empty());
    }
    assert_eq!(get(app, "/unknown").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_database_that_fails() {
    on_both(async |database| {
        let app = filled(database).await;
        for table in ["cursor", "user", "directory", "applied"] {
            let rename = |from: &str, to: &str| {
                format!("ALTER TABLE workos_mirror_{from} RENAME TO workos_mirror_{to}")
            };
            // SQLite renames the table in the views, too.
            let legacy =
                if database.is_postgres() { "" } else { "PRAGMA legacy_alter_table = ON; " };
            database.run(&format!("{legacy}{}", rename(table, "away"))).await;
            let reply = get(&app, "/user?id=u").await;
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{table}");
            assert!(!reply.body.contains("mirror_"), "{}", reply.body);
            database.run(&format!("{legacy}{}", rename("away", table))).await;
            page(&app, "/user?id=u").await;
        }
        database.run("ALTER TABLE workos_mirror_cursor RENAME TO workos_mirror_away").await;
        all_fail(&app, &["cursor", "select", "relation", "sqlite", "postgres", "table:"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_pool() {
    on_both(async |database| {
        let app = filled(database).await;
        // Schemas are dropped through the same pool, so this uses another one.
        let Database::Sqlite { pool, .. } = database else { return };
        pool.close().await;
        all_fail(&app, &["pool", "closed", "sqlx"]).await;
    })
    .await;
}
