//! Items that are not as they should be.

use serde_json::{Value, json};
use tower_workos_mirror::DirectoryOutcome;

use crate::{
    databases::on_both,
    support::{World, outcomes},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_item_without_an_id_makes_the_run_incomplete() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 10, 1).await;
        world.told("e", 3, 0).await;
        assert!(world.run().await.is_complete());
        for odd in
            [json!({"state": "active"}), json!({"id": 7}), json!({"id": null}), json!("d_u1")]
        {
            for (path, filter) in [
                ("/directory_users", "directory"),
                ("/directory_users", "group"),
                ("/directory_groups", "directory"),
            ] {
                let item = odd.clone();
                world.proxy.rule(move |call, reply| {
                    let is_of_d = call.query.get("directory").is_none_or(|it| it == "d");
                    if call.lists(path, filter) && is_of_d {
                        reply.items().retain(|item| item["id"] != "d_u3");
                        reply.items().push(item.clone());
                    }
                });
                let report = world.run().await;
                let expected =
                    [("d", DirectoryOutcome::Incomplete), ("e", DirectoryOutcome::Complete)];
                assert_eq!(outcomes(&report), expected, "{odd} {path} {filter}");
                assert_eq!(world.counts().await, [2, 1, 13, 10, 13]);
            }
        }
        // The other items of the page are merged.
        world.emulator.set_role("d_u9", "owner").unwrap();
        assert_eq!(world.run().await.counts.len(), 1);
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_another_directory_is_not_merged() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 10, 0).await;
        world.told("e", 3, 0).await;
        assert!(world.run().await.is_complete());
        world.proxy.rule(|call, reply| {
            if call.query.get("directory").is_some_and(|it| it == "d")
                && call.path == "/directory_users"
            {
                for item in reply.items() {
                    if item["id"] == "d_u3" {
                        item["directory_id"] = json!("e");
                        item["role"] = json!({"slug": "owner"});
                    }
                }
            }
        });
        let report = world.run().await;
        assert_eq!(outcomes(&report)[0], ("d", DirectoryOutcome::Incomplete));
        assert_eq!(outcomes(&report)[1], ("e", DirectoryOutcome::Complete));
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_fields_of_users_end_only_their_access() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 10, 1).await;
        assert!(world.run().await.is_complete());
        let mut everybody = world.access().await;
        everybody.sort_unstable();
        let cases: [(&str, Value, bool); 10] = [
            ("state", json!("strange"), false),
            ("state", json!(7), false),
            ("state", Value::Null, false),
            ("state", json!({"is": "active"}), false),
            ("idp_id", Value::Null, true),
            ("idp_id", json!(7), true),
            ("email", json!([]), true),
            ("roles", json!("owner"), true),
            ("roles", json!([7, null, {"slug": "a"}]), true),
            ("custom_attributes", json!("x"), true),
        ];
        for (field, value, keeps_access) in cases {
            let what = format!("{field} {value}");
            world.proxy.rule(move |call, reply| {
                if call.path == "/directory_users" {
                    for item in reply.items().iter_mut().filter(|item| item["id"] == "d_u3") {
                        item[field] = value.clone();
                    }
                }
            });
            assert!(world.run().await.is_complete(), "{what}");
            let mut access = world.access().await;
            access.sort_unstable();
            let expected: Vec<_> =
                everybody.iter().filter(|id| keeps_access || *id != "d_u3").cloned().collect();
            assert_eq!(access, expected, "{what}");
            assert_eq!(world.counts().await[..4], [1, 1, 10, 10], "{what}");
        }
        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_state_of_a_directory_ends_access() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 3, 0).await;
        world.told("e", 2, 0).await;
        assert!(world.run().await.is_complete());
        let cases = [
            (json!("strange"), 2),
            (json!(7), 2),
            (Value::Null, 2),
            (json!("unlinked"), 2),
            (json!("deleting"), 2),
            (json!("invalid_credentials"), 5),
            (json!("validating"), 5),
            (json!("linked"), 5),
        ];
        for (state, access) in cases {
            let what = state.clone();
            world.proxy.rule(move |call, reply| {
                if call.path == "/directories" {
                    for item in reply.items().iter_mut().filter(|item| item["id"] == "d") {
                        item["state"] = state.clone();
                    }
                }
            });
            assert!(world.run().await.is_complete(), "{what}");
            assert_eq!(world.counts().await, [2, 0, 5, 0, access], "{what}");
        }
        // Without the field.
        world.proxy.rule(|call, reply| {
            if call.path == "/directories" {
                for item in reply.items() {
                    item.as_object_mut().unwrap().remove("state");
                }
            }
        });
        assert!(world.run().await.is_complete());
        assert_eq!(world.access().await, [""; 0]);
        world.proxy.clear();
        assert!(world.run().await.is_complete());
        world.equal().await;
    })
    .await;
}
