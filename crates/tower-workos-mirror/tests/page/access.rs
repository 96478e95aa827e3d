//! Why a user has, or has not, access.

use serde_json::json;
use tower_workos::DirectoryEvent;
use tower_workos_mirror::Mirror;

use crate::{
    client::{open, page, text},
    databases::{Database, on_both},
    events::{directory, directory_data, event, group, member, user, user_data},
};

/// What the page of the user `u` says after these events and this SQL.
async fn said(
    database: &Database,
    mirror: &Mirror,
    events: &[DirectoryEvent],
    sql: &str,
) -> String {
    database.empty().await;
    for event in events {
        mirror.apply(event).await.unwrap();
    }
    database.run(sql).await;
    verdict(mirror, "u").await
}

/// What the page of a user says about access.
pub(crate) async fn verdict(mirror: &Mirror, user: &str) -> String {
    let html = page(&open(mirror), &format!("/user?id={user}")).await;
    let (_, rest) = html.split_once("<section class=\"verdict").unwrap();
    text(&format!("<{}", rest.split("</section>").next().unwrap()))
}

fn state(state: &str) -> DirectoryEvent {
    event("state", "user.updated", 5, &user_data("u", state, 5))
}

fn without_state() -> DirectoryEvent {
    let mut data = user_data("u", "active", 5);
    data.as_object_mut().unwrap().remove("state");
    event("state", "user.updated", 5, &data)
}

fn directory_state(state: &str) -> DirectoryEvent {
    event("of_state", "activated", 6, &directory_data("d", state, 6))
}

const ABSENT: &str = "SET absent_at = 1770110000000000";
const NO_SQL: &str = "SELECT 1";

#[tokio::test]
async fn the_reason_of_each_case() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let known = || vec![directory("d"), user("u", "active")];
        let and = |event: DirectoryEvent| [known(), vec![event]].concat();
        let deleted =
            || event("deleted", "user.deleted", 7, &json!({"id": "u", "directory_id": "d"}));
        let directory_deleted = || event("of_end", "deleted", 8, &json!({"id": "d"}));
        let absent = |table: &str| format!("UPDATE workos_mirror_{table} {ABSENT}");
        let cases: Vec<(&str, Vec<DirectoryEvent>, String, [&str; 3])> = vec![
            ("active", known(), NO_SQL.into(), ["has access", "the user is active", "event_of_u"]),
            (
                "no directory",
                vec![user("u", "active")],
                NO_SQL.into(),
                ["has access", "the user is active", "event_of_u"],
            ),
            (
                "inactive",
                and(state("inactive")),
                NO_SQL.into(),
                ["has no access", "state is “inactive”", "event_state"],
            ),
            (
                "suspended",
                and(state("suspended")),
                NO_SQL.into(),
                ["has no access", "state is “suspended”", "event_state"],
            ),
            (
                "no state",
                and(without_state()),
                NO_SQL.into(),
                ["has no access", "sent no state", "event_state"],
            ),
            (
                "deleted",
                and(deleted()),
                NO_SQL.into(),
                ["has no access", "the user was deleted", "event_deleted"],
            ),
            (
                "deleted first",
                vec![deleted(), user("u", "active")],
                NO_SQL.into(),
                ["has no access", "the user was deleted", "event_deleted"],
            ),
            (
                "directory inactive",
                and(directory_state("inactive")),
                NO_SQL.into(),
                ["has no access", "directory is “inactive”", "event_of_state"],
            ),
            (
                "directory validating",
                and(directory_state("validating")),
                NO_SQL.into(),
                ["has access", "the user is active", "event_of_u"],
            ),
            (
                "directory deleted",
                and(directory_deleted()),
                NO_SQL.into(),
                ["has no access", "directory was deleted", "event_of_end"],
            ),
            (
                "both deleted",
                [and(deleted()), vec![directory_deleted()]].concat(),
                NO_SQL.into(),
                ["has no access", "the user was deleted", "event_deleted"],
            ),
            (
                "absent",
                known(),
                absent("user"),
                ["has no access", "don't contain the user", "comparison with the API"],
            ),
            (
                "directory absent",
                known(),
                absent("directory"),
                ["has no access", "don't contain the user's directory", "comparison with the API"],
            ),
            (
                "both inactive",
                [and(state("inactive")), vec![directory_state("inactive")]].concat(),
                NO_SQL.into(),
                ["has no access", "user's state is “inactive”", "event_state"],
            ),
            (
                "not seen",
                vec![directory("d"), group("g"), member("left", "u", "g", 3, false)],
                NO_SQL.into(),
                ["has no access", "nothing has shown yet that this user exists", "the first event"],
            ),
            (
                "purged feed",
                and(state("inactive")),
                "DELETE FROM workos_mirror_change".into(),
                ["has no access", "state is “inactive”", "the history does not go back that far"],
            ),
            (
                "hostile state",
                and(state("<b>\u{202e}")),
                NO_SQL.into(),
                ["has no access", "state is “<b>\u{fffd}”", "event_state"],
            ),
        ];
        for (case, events, sql, texts) in cases {
            let said = said(database, &mirror, &events, &sql).await;
            for text in texts {
                assert!(said.contains(text), "{case}: {text:?} is not in {said:?}");
            }
        }
    })
    .await;
}

/// The page never disagrees with the view `workos_access`.
#[tokio::test]
async fn the_page_agrees_with_the_view() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let users =
            [None, Some(user("u", "active")), Some(state("inactive")), Some(without_state())];
        let ends = [
            None,
            Some(event("deleted", "user.deleted", 9, &json!({"id": "u", "directory_id": "d"}))),
        ];
        let directories = [
            "",
            "active",
            "inactive",
            "linked",
            "invalid_credentials",
            "deleting",
            "odd",
            "deleted",
        ];
        let absences = [
            NO_SQL.to_owned(),
            format!("UPDATE workos_mirror_user {ABSENT}"),
            format!("UPDATE workos_mirror_directory {ABSENT}"),
        ];
        let mut with_access = 0;
        for (user, end) in users.iter().flat_map(|user| ends.iter().map(move |end| (user, end))) {
            if user.is_none() && end.is_none() {
                continue;
            }
            for directory in directories {
                for sql in &absences {
                    let mut events: Vec<_> = user.iter().chain(end).cloned().collect();
                    match directory {
                        "" => {}
                        "deleted" => {
                            events.push(event("of_end", "deleted", 8, &json!({"id": "d"})))
                        }
                        state => events.push(directory_state(state)),
                    }
                    let said = said(database, &mirror, &events, sql).await;
                    let has_access = database.count("workos_access WHERE user_id = 'u'").await == 1;
                    with_access += usize::from(has_access);
                    assert_eq!(
                        said.contains("has access"),
                        has_access,
                        "{directory} {sql}: {said}"
                    );
                    assert_eq!(
                        said.contains("has no access"),
                        !has_access,
                        "{directory} {sql}: {said}"
                    );
                }
            }
        }
        assert!(with_access > 3, "{with_access}");
    })
    .await;
}
