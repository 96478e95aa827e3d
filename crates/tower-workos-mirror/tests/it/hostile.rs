//! Nothing that a customer's directory contains can make a batch fail.

use dsync_cli::directory::Random;
use serde_json::{Value, json};
use tower_workos::DirectoryEvent;
use tower_workos_mirror::Mirror;

use crate::{
    at, both,
    databases::{Database, on_both},
    event, group, user,
};

/// One event of each shape, with a value in each field.
fn shapes() -> Vec<Value> {
    let user = json!({
        "object": "directory_user", "id": "u", "directory_id": "d", "organization_id": "o", "idp_id": "i",
        "email": "e@example.com", "emails": [{"primary": true, "type": "work", "value": "v@example.com"}],
        "first_name": "f", "last_name": "l", "name": "n", "username": "u", "job_title": "j",
        "state": "active", "role": {"slug": "r"}, "roles": [{"slug": "r"}],
        "custom_attributes": {"x": "y", "list": ["z"], "deep": {"k": "v"}}, "raw_attributes": {"x": "y"},
        "created_at": at(1), "updated_at": at(2), "groups": [], "previous_attributes": {"email": "p"},
    });
    let group = json!({
        "object": "directory_group", "id": "g", "directory_id": "d", "organization_id": "o", "idp_id": "i",
        "name": "n", "raw_attributes": {"x": "y"}, "created_at": at(1), "updated_at": at(2),
        "previous_attributes": {"name": "p"},
    });
    let directory = json!({
        "object": "directory", "id": "d", "organization_id": "o", "name": "n", "type": "okta scim v2.0",
        "state": "active", "external_key": "k", "domains": [{"id": "i", "domain": "d.example", "object": "o"}],
        "created_at": at(1), "updated_at": at(2),
    });
    let membership = json!({"directory_id": "d", "user": user, "group": group});
    let data = [
        ("activated", &directory),
        ("deleted", &directory),
        ("user.created", &user),
        ("user.updated", &user),
        ("user.deleted", &user),
        ("group.created", &group),
        ("group.updated", &group),
        ("group.deleted", &group),
        ("group.user_added", &membership),
        ("group.user_removed", &membership),
        ("unheard_of", &user),
    ];
    let body = |(name, data)| json!({"id": "event_1", "event": format!("dsync.{name}"), "created_at": at(3), "data": data});
    data.into_iter().map(body).collect()
}

/// JSON values that cause trouble.
fn values() -> Vec<String> {
    let mut random = Random::new(7, "hostile");
    let mut text = |length: usize, bound: u64| -> String {
        let mut char = || char::from_u32(u32::try_from(random.below(bound)).unwrap());
        let chars = std::iter::repeat_with(|| char().unwrap_or('\u{fffd}'));
        json!(chars.take(length).collect::<String>()).to_string()
    };
    let deep = |levels| format!("{}1{}", r#"{"a":["#.repeat(levels), "]}".repeat(levels));
    let mut values = vec![text(10_000, 0x11_0000), text(10_000, 0x80), text(1_000, 0x3000)];
    // Too long for an index, but otherwise as harmless as an id.
    let hex = std::iter::repeat_with(|| format!("{:x}", random.below(1 << 60)));
    values.push(json!(hex.take(700).collect::<String>()).to_string());
    values.extend(
        [
            r#""a\u0000b""#,
            r#""\u0000""#,
            r#""\ud800""#,
            r#""a\udc00b""#,
            r#""\ud800\u0041""#,
            r#""""#,
            r#""sha256:x""#,
            r#""'; DROP TABLE workos_mirror_user; --""#,
            r#""%s {} $1 ?1 \\ \" ' `""#,
            r#""\ufeff\u202e\u0085""#,
            "1e400",
            "-1e400",
            "1e-400",
            "123456789012345678901234567890123456789012345678901234567890",
            "18446744073709551616",
            "-0.0",
            "null",
            "true",
            "[]",
            "{}",
            r#"[{"\u0000": "\u0000"}, {"\ud800": 1e400}]"#,
            r#"{"a": 1, "a": 2, "": {"": ""}}"#,
            r#""-9999-01-01T00:00:00Z""#,
            r#""-009999-01-01T00:00:00Z""#,
            r#""0000-01-01T00:00:00Z""#,
            r#""9999-12-31T23:59:59.999999999Z""#,
            r#""9999-12-30T22:00:00.999999Z""#,
        ]
        .map(str::to_owned),
    );
    values.extend([deep(20), deep(60), deep(5_000)]);
    values
}

/// The bodies in which one text, key or number is replaced by this value.
fn with(body: &Value, value: &str) -> Vec<String> {
    const MARK: &str = "replace me";
    let mut bodies = Vec::new();
    let mut pointers = vec![String::new()];
    while let Some(pointer) = pointers.pop() {
        match body.pointer(&pointer).unwrap() {
            Value::Object(members) => {
                pointers.extend(members.keys().map(|key| format!("{pointer}/{key}")));
            }
            Value::Array(items) => {
                pointers.extend((0..items.len()).map(|index| format!("{pointer}/{index}")));
            }
            _ => {}
        }
        let mut other = body.clone();
        *other.pointer_mut(&pointer).unwrap() = json!(MARK);
        bodies.push(other.to_string().replace(&json!(MARK).to_string(), value));
    }
    // Keys of attributes.
    if value.starts_with('"') {
        let text = body.to_string();
        bodies.push(text.replace(r#""x":"y""#, &format!(r#"{value}:"y""#)));
    }
    bodies
}

/// Events with other event ids, so that they don't replace each other, and no longer than a delivery.
fn hostile() -> Vec<DirectoryEvent> {
    let (mut events, mut unreadable) = (Vec::new(), 0);
    let shapes = shapes();
    let values = values();
    for (shape, value) in shapes.iter().flat_map(|it| values.iter().map(move |value| (it, value))) {
        for body in with(shape, value) {
            let id = format!(r#""id":"event_{}""#, events.len());
            let body = body.replace(r#""id":"event_1""#, &id);
            match DirectoryEvent::parse(body.into()) {
                Ok(event) => events.push(event),
                Err(_) => unreadable += 1,
            }
        }
    }
    // Unreadable bodies become dead letters.
    assert!(unreadable < events.len() / 4, "{unreadable} of {} are unreadable", events.len());
    assert!(events.len() > 3_000);
    events
}

/// Reads all columns of all rows of all views.
async fn read_everything(database: &Database) {
    for view in ["users", "groups", "directories", "memberships", "access", "known_users"] {
        let view = format!("workos_{view}");
        let columns = if database.is_postgres() {
            format!(
                "information_schema.columns WHERE table_schema = current_schema() AND table_name = '{view}'"
            )
        } else {
            format!("pragma_table_info('{view}')")
        };
        let name = if database.is_postgres() { "column_name" } else { "name" };
        let columns = database.column(name, &columns).await;
        assert!(columns.len() >= 2, "{view}");
        let columns: Vec<_> = columns.iter().map(|it| format!("\"{it}\"")).collect();
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        database.texts(&columns, &view).await;
    }
    for (column, view) in [
        ("custom_attributes ->> 'x'", "workos_users"),
        ("roles ->> 0", "workos_users"),
        ("raw_attributes ->> 'x'", "workos_groups"),
        ("domains ->> 0", "workos_directories"),
    ] {
        database.texts(&[column], view).await;
    }
    for column in ["created_at", "updated_at"] {
        let broken = format!(
            "workos_users v JOIN workos_mirror_user t ON t.id = v.id WHERE v.{column} IS NULL AND t.{column} IS NOT NULL"
        );
        assert_eq!(database.count(&broken).await, 0, "a time that can't be shown");
    }
}

async fn apply(mirror: &Mirror, events: &[DirectoryEvent]) {
    let Err(error) = mirror.apply_all(events).await else { return };
    for event in events {
        if let Err(error) = mirror.apply(event).await {
            panic!("{:?}\n{event:?}", error);
        }
    }
    panic!("only together: {error:?}");
}

#[tokio::test]
async fn hostile_events_do_not_fail_their_batch() {
    let good = [
        event("a", "user.created", 1, &user("good", "active", 1)),
        event("b", "group.user_added", 1, &both(&user("good", "active", 1), &group("good", 1))),
    ];
    let hostile = hostile();
    on_both(async |database| {
        let mirror = database.mirror().await;
        // The hostile directories and users have different ids, or the same ids.
        for count in [usize::MAX, 97] {
            database.empty().await;
            for chunk in hostile.chunks(count.min(hostile.len())).take(10) {
                let mut batch = chunk.to_vec();
                batch.splice(batch.len() / 2..batch.len() / 2, good.clone());
                apply(&mirror, &batch).await;
            }
            assert_eq!(database.count("workos_mirror_user WHERE id = 'good'").await, 1);
            assert_eq!(database.count("workos_mirror_member WHERE user_id = 'good'").await, 1);
            read_everything(database).await;
        }
    })
    .await;
}

/// Without deletions, so that everything is stored and shown.
#[tokio::test]
async fn hostile_fields_are_stored() {
    let is_kept = |event: &DirectoryEvent| !event.name().ends_with("deleted");
    let hostile: Vec<_> = hostile().into_iter().filter(is_kept).collect();
    // Each event is about its own user, group and directory, unless their ids are the hostile values.
    let distinct = hostile.iter().enumerate().filter_map(|(number, event)| {
        let body = std::str::from_utf8(event.raw()).ok()?.to_owned();
        let mut body = body;
        for id in ["u", "g", "d"] {
            body = body.replace(&format!(r#""id":"{id}""#), &format!(r#""id":"{id}{number}""#));
            let own = format!(r#""directory_id":"{id}""#);
            body = body.replace(&own, &format!(r#""directory_id":"{id}{number}""#));
        }
        DirectoryEvent::parse(body.into()).ok()
    });
    let distinct: Vec<_> = distinct.collect();
    assert_eq!(distinct.len(), hostile.len());
    on_both(async |database| {
        let mirror = database.mirror().await;
        apply(&mirror, &distinct).await;
        read_everything(database).await;
        assert!(database.count("workos_users").await > 1_000);
        assert!(database.count("workos_groups").await > 400);
        assert!(database.count("workos_directories").await > 150);
        assert_eq!(mirror.apply_all(&distinct).await.unwrap(), []);
    })
    .await;
}
