use dsync_cli::directory::{Deliveries, Life, Order, Plan, Section, State};
use tower_workos::DirectoryEvent;

use crate::databases::Database;

/// The state equals that of the simulator, and the views show the same as the queries.
#[tokio::test]
async fn the_state_equals_that_of_the_simulator() {
    let plan = Plan::new(7).users(200).events(3000);
    let order =
        Order::new(7).reorder(50).duplicates("5%".parse().unwrap()).late("2%".parse().unwrap());
    let events: Vec<_> = Deliveries::new(Life::new(plan), order)
        .map(|it| DirectoryEvent::parse(it.event().body().clone()).unwrap())
        .collect();
    let mut expected = State::default();
    events.iter().for_each(|event| expected.apply(event));
    let expected = expected.snapshot();
    assert!(!expected.memberships.is_empty());

    for database in Database::both().await {
        for batch in events.chunks(100) {
            database.mirror.apply_all(batch).await.unwrap();
        }
        let state = database.mirror.state().await.unwrap();
        let json = serde_json::to_vec(&state).unwrap();
        let comparison = expected.compare(&json).unwrap();
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.compared, Section::ALL);
        // A field that is missing is not compared.
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        for field in ["job_title", "department_name", "email", "updated_at", "role"] {
            assert!(json["users"][0][field].is_string(), "{field}");
        }
        assert!(json["directories"][0]["type"].is_string());
        let debug = format!("{state:?}");
        assert!(debug.starts_with("State { directories: "), "{debug}");

        let ids = async |sql: &str| -> Vec<String> {
            database.texts(sql, &[]).await.into_iter().flatten().flatten().collect()
        };
        let has = |id: &&tower_workos_mirror::User| id.has_access;
        let users: Vec<_> = state.users.iter().map(|it| it.id.to_string()).collect();
        let access: Vec<_> = state.users.iter().filter(has).map(|it| it.id.to_string()).collect();
        let groups: Vec<_> = state.groups.iter().map(|it| it.id.to_string()).collect();
        let directories: Vec<_> = state.directories.iter().map(|it| it.id.to_string()).collect();
        let pairs = state.memberships.iter().map(|it| format!("{} {}", it.group_id, it.user_id));
        let pairs: Vec<_> = pairs.collect();
        assert_eq!(ids("SELECT id FROM workos_users ORDER BY id").await, users);
        assert_eq!(ids("SELECT user_id FROM workos_access ORDER BY user_id").await, access);
        assert_eq!(ids("SELECT id FROM workos_groups ORDER BY id").await, groups);
        assert_eq!(ids("SELECT id FROM workos_directories ORDER BY id").await, directories);
        let sql =
            "SELECT group_id || ' ' || user_id FROM workos_memberships ORDER BY group_id, user_id";
        assert_eq!(ids(sql).await, pairs);
        assert_eq!(state.access.iter().map(ToString::to_string).collect::<Vec<_>>(), access);
        database.end().await;
    }
}
