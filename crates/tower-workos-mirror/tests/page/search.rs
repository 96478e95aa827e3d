//! The list of users: search, filters and pages.

use axum::Router;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use tower_workos_mirror::Mirror;

use crate::{
    client::{attributes, encoded, next, open, page, text},
    databases::{Database, on_both},
    events::{directory_data, event, group, member, time},
};

/// The ids of the users in a list, in order.
fn ids(html: &str) -> Vec<String> {
    let table = html.split("<table class=\"users\"").nth(1).unwrap_or_default();
    let links = attributes(table.split("</table>").next().unwrap(), "href");
    links.iter().filter_map(|link| link.strip_prefix("user?id=").map(str::to_owned)).collect()
}

/// The ids of all pages of a list.
async fn listed(app: &Router, query: &str) -> Vec<String> {
    let (mut all, mut path) = (Vec::new(), Some(format!("users?{query}")));
    while let Some(this) = path {
        let html = page(app, &format!("/{this}")).await;
        let found = ids(&html);
        path = next(&html);
        assert!(found.len() == 50 || (path.is_none() && found.len() < 50), "{}", found.len());
        all.extend(found);
        assert!(all.len() < 2000, "the pages do not end");
    }
    all
}

async fn found(app: &Router, text: &str) -> Vec<String> {
    listed(app, &format!("q={}", encoded(text))).await
}

fn person(number: usize, fields: serde_json::Value) -> tower_workos::DirectoryEvent {
    let mut data = json!({"directory_id": "d", "state": "active", "updated_at": time(1)});
    data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event(&format!("person_{number}"), "user.created", 1, &data)
}

async fn people(database: &Database) -> Mirror {
    let mirror = database.mirror().await;
    let people = [
        json!({"id": "directory_user_01ADA", "email": "ada@Lovelace.example", "first_name": "Ada", "last_name": "Lovelace"}),
        json!({"id": "directory_user_02", "email": "grace.hopper@navy.example", "name": "Grace Brewster Hopper", "last_name": "Hopper"}),
        json!({"id": "directory_user_03", "first_name": "Zoë", "last_name": "Äbi", "email": "zoe@example.com"}),
        json!({"id": "directory_user_04", "first_name": "ÉMILIE", "last_name": "du Châtelet"}),
        json!({"id": "directory_user_05", "name": "100%_real", "email": "percent%@example.com"}),
        json!({"id": "directory_user_06", "name": "小野 節子"}),
        json!({"id": "directory_user_07", "name": "Ada's <b>twin</b>", "email": null}),
        json!({"id": "directory_user_08", "last_name": "Lastonly"}),
        json!({"id": "directory_user_09", "first_name": "Onlyfirst"}),
        json!({"id": "directory_user_10"}),
    ];
    let events: Vec<_> =
        people.into_iter().enumerate().map(|(number, it)| person(number, it)).collect();
    mirror.apply_all(&events).await.unwrap();
    mirror
}

#[tokio::test]
async fn what_a_search_finds() {
    on_both(async |database| {
        let app = open(&people(database).await);
        for (text, expected) in [
            ("Ada Love", &["01ADA"][..]),
            ("ada", &["01ADA", "07"]),
            ("ADA L", &["01ADA"]),
            ("  ada l ", &["01ADA"]),
            ("lovel", &["01ADA"]),
            ("ada@LOVE", &["01ADA"]),
            ("ADA@lovelace.example", &["01ADA"]),
            ("directory_user_01", &["01ADA"]),
            ("directory_user_10", &["10"]),
            ("grace b", &["02"]),
            ("HOPPER", &["02"]),
            ("grace.h", &["02"]),
            ("brewster", &[]),
            ("navy", &[]),
            ("zoë ä", &["03"]),
            ("Äbi", &["03"]),
            ("äbi", &["03"]),
            ("小野", &["06"]),
            ("%", &[]),
            ("_", &[]),
            ("100%", &["05"]),
            ("100__", &[]),
            ("percent%@", &["05"]),
            ("ada's <b", &["07"]),
            ("lasto", &["08"]),
            ("onlyf", &["09"]),
            ("nobody", &[]),
            ("ada\0", &[]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|id| format!("directory_user_{id}")).collect();
            let mut found = found(&app, text).await;
            found.sort();
            assert_eq!(found, expected, "{text:?}");
        }
        assert_eq!(found(&app, "directory_user").await.len(), 10);
        // An upper-case name of letters outside ASCII: SQLite finds it as it was typed.
        assert_eq!(found(&app, "ÉMILIE").await, ["directory_user_04"]);
        if database.is_postgres() {
            assert_eq!(found(&app, "émilie").await, ["directory_user_04"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_shows_what_was_asked_for() {
    on_both(async |database| {
        let mirror = people(database).await;
        let app = open(&mirror);
        let html = page(&app, "/users?q=%3Cscript%3E%22%26&directory=x%22y&access=no").await;
        assert!(html.contains("value=\"&lt;script&gt;&quot;&amp;\""), "{html}");
        assert!(!html.contains("<script>"));
        assert!(html.contains("value=\"x&quot;y\" selected"));
        // The id of a deleted user leads to the page that explains it.
        let deleted = json!({"id": "gone", "directory_id": "d"});
        mirror.apply(&event("gone", "user.deleted", 9, &deleted)).await.unwrap();
        let html = page(&app, "/users?q=gone").await;
        assert_eq!(ids(&html), Vec::<String>::new());
        assert!(html.contains("href=\"user?id=gone\""));
        assert!(text(&page(&app, "/user?id=gone").await).contains("has no access"));
        assert!(!page(&app, "/users?q=gon").await.contains("href=\"user?id=gon"));
    })
    .await;
}

#[derive(Clone, Debug)]
struct Person {
    id: String,
    name: Option<String>,
    first: Option<String>,
    last: Option<String>,
    email: Option<String>,
    directory: usize,
    groups: usize,
    is_active: bool,
}

impl Person {
    fn matches(&self, text: &str) -> bool {
        let both = self
            .first
            .as_ref()
            .zip(self.last.as_ref())
            .map(|(first, last)| format!("{first} {last}"));
        let name = self.name.clone().or(both).or(self.first.clone());
        let lower = |it: &Option<String>| {
            it.as_ref().is_some_and(|it| it.to_lowercase().starts_with(&text.to_lowercase()))
        };
        self.id.starts_with(text) || lower(&self.email) || lower(&name) || lower(&self.last)
    }

    fn event(&self, number: usize) -> tower_workos::DirectoryEvent {
        let state = if self.is_active { "active" } else { "suspended" };
        person(
            number,
            json!({
                "id": self.id, "directory_id": format!("d{}", self.directory), "name": self.name, "first_name": self.first,
                "last_name": self.last, "email": self.email, "state": state,
            }),
        )
    }
}

/// Few letters, so that many texts are equal or start alike.
fn persons() -> impl Strategy<Value = Vec<Person>> {
    let name = || proptest::option::weighted(0.7, "[abAB]{1,2}( [ab]{1,2})?");
    let one = (
        ("[ab]{1,3}", name(), name(), name()),
        (
            proptest::option::weighted(0.8, "[abAB]{1,2}@[ab]"),
            0..3_usize,
            0..4_usize,
            any::<bool>(),
        ),
    );
    proptest::collection::vec(one, 280).prop_map(|all| {
        let persons = all.into_iter().enumerate().map(
            |(number, ((id, name, first, last), (email, directory, groups, is_active)))| Person {
                id: format!("{id}{number:03}"),
                name,
                first,
                last,
                email,
                directory,
                groups,
                is_active,
            },
        );
        persons.collect()
    })
}

/// Each user is on exactly one page, whatever is searched for.
#[tokio::test]
async fn lists_equal_a_search_of_all_users() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let app = open(&mirror);
        let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), seed);
        let all = persons().new_tree(&mut runner).unwrap().current();
        let mut events: Vec<_> =
            all.iter().enumerate().map(|(number, it)| it.event(number)).collect();
        // The users of the last directory have no access.
        for (number, state) in ["active", "active", "inactive"].into_iter().enumerate() {
            let id = format!("d{number}");
            events.push(event(&id, "activated", 0, &directory_data(&id, state, 0)));
        }
        events.extend([group("g0"), group("g1")]);
        for (number, person) in all.iter().enumerate() {
            for bit in 0..2 {
                if person.groups >> bit & 1 == 1 {
                    events.push(member(
                        &format!("m{number}_{bit}"),
                        &person.id,
                        &format!("g{bit}"),
                        2,
                        true,
                    ));
                }
            }
        }
        mirror.apply_all(&events).await.unwrap();
        let text = proptest::option::of("[abAB]{1,3}( [ab])?|[ab]@|[ab]{1,2}[0-9]");
        let number = |most: usize| proptest::option::weighted(0.4, 0..most);
        let strategy = (text, number(3), number(2), number(2));
        for _ in 0..150 {
            let (text, directory, group, access) =
                strategy.new_tree(&mut runner).unwrap().current();
            let mut query = format!("q={}", encoded(text.as_deref().unwrap_or_default()));
            directory.iter().for_each(|it| query.push_str(&format!("&directory=d{it}")));
            group.iter().for_each(|it| query.push_str(&format!("&group=g{it}")));
            access.iter().for_each(|it| query.push_str(["&access=yes", "&access=no"][*it]));
            let is_selected = |it: &&Person| {
                text.as_ref().is_none_or(|text| it.matches(text))
                    && directory.is_none_or(|directory| it.directory == directory)
                    && group.is_none_or(|group| it.groups >> group & 1 == 1)
                    && access
                        .is_none_or(|access| (it.is_active && it.directory < 2) == (access == 0))
            };
            let mut expected: Vec<_> =
                all.iter().filter(is_selected).map(|it| it.id.clone()).collect();
            expected.sort();
            let mut found = listed(&app, &query).await;
            if text.is_none() {
                assert!(found.is_sorted());
            }
            found.sort();
            assert_eq!(found, expected, "{query}");
        }
    })
    .await;
}
