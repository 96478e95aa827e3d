//! The pages of a search for names that look bad in a URL.

use std::collections::HashSet;

use axum::Router;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::{
    client::{attributes, encoded, next, open, page},
    databases::on_both,
    events::{directory_data, event, time},
};

const USERS: usize = 130;

/// Follows the links of the page, and returns the ids of the users.
async fn walk(app: &Router, query: &str) -> Vec<String> {
    let (mut all, mut path) = (Vec::new(), Some(format!("users?{query}")));
    while let Some(this) = path {
        let html = page(app, &format!("/{this}")).await;
        let links = [attributes(&html, "href"), attributes(&html, "action")].concat();
        for link in &links {
            let link = percent_decode_str(link).decode_utf8().unwrap().to_lowercase();
            assert!(!link.contains("hidden"), "{link}");
        }
        let table = html.split("<table class=\"users\"").nth(1).unwrap_or_default();
        let table = table.split("</table>").next().unwrap();
        let ids = attributes(table, "href");
        all.extend(ids.iter().filter_map(|it| it.strip_prefix("user?id=")).map(str::to_owned));
        path = next(&html);
        assert!(all.len() <= 2 * USERS, "the pages do not end");
    }
    all
}

#[tokio::test]
async fn each_user_is_found_once_whatever_the_names_contain() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let directory = "d\t%\u{202e}&";
        let events: Vec<_> = (0..USERS)
            .map(|number| {
                // Many are equal, or are equal where the index ends.
                let (kind, twin) = (number % 5, number % 3);
                let name = match kind {
                    0 => format!("Zed\t%\u{202e}\u{2066}Hidden{twin}\tx"),
                    1 => format!("ZED\t%25%00%Hidden{twin}"),
                    2 => format!("zed\t%{}{twin}", "Hidden\u{2029}ü".repeat(40)),
                    3 => format!("Zed\t%\r\n\u{7}\u{feff}Hidden+&\"<{twin}"),
                    _ => "Another hidden name".to_owned(),
                };
                let last = (kind == 4).then(|| format!("Zed\t%hidden\u{200f}\t{twin}"));
                let email = match twin {
                    0 => format!("hidden\t%{}{number}@example.com", "\u{202e}x".repeat(100)),
                    1 => format!("zed\t%hidden{}{}@example.com", "\u{202e}%".repeat(60), number % 2),
                    _ => "hidden@example.com".to_owned(),
                };
                let data = json!({
                    "id": format!("u{number:03}"), "directory_id": directory, "state": "active", "updated_at": time(1),
                    "name": name, "last_name": last, "email": email,
                });
                event(&format!("u{number}"), "user.created", 1, &data)
            })
            .collect();
        mirror.apply_all(&events).await.unwrap();
        mirror
            .apply(&event("d", "activated", 1, &directory_data(directory, "active", 1)))
            .await
            .unwrap();
        let app = open(&mirror);
        for query in [
            format!("q={}", encoded("zed")),
            format!("q={}", encoded("Zed\t%")),
            format!("q={}&access=yes&directory={}", encoded("ZED\t"), encoded(directory)),
            format!("directory={}", encoded(directory)),
        ] {
            let found = walk(&app, &query).await;
            let distinct: HashSet<_> = found.iter().collect();
            assert_eq!((found.len(), distinct.len()), (USERS, USERS), "{query}");
        }
    })
    .await;
}

/// The last letter of what was typed is not the last one of the word.
#[tokio::test]
async fn a_sigma_inside_a_word_is_found() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        for (id, name) in [("upper", "ΙΩΣΗΦ"), ("lower", "Ιωσήφ")] {
            let data = json!({
                "id": id, "directory_id": "d", "state": "active", "updated_at": time(1), "first_name": name,
            });
            mirror.apply(&event(id, "user.created", 1, &data)).await.unwrap();
        }
        let mut found = walk(&open(&mirror), &format!("q={}", encoded("ΙΩΣ"))).await;
        found.sort();
        assert_eq!(found, ["lower", "upper"]);
    })
    .await;
}
