use serde_json::json;
use tower_workos_mirror::{DirectoryFilter, GroupFilter, Mirror, Page, Person, UserFilter};

use crate::{
    databases::Database,
    events::{
        directory, directory_deleted, directory_in, event, group, group_deleted, member, time,
        user, user_data, user_deleted, user_inactive,
    },
};

async fn ids(mirror: &Mirror, filter: UserFilter) -> Vec<String> {
    let users = mirror.users(&filter, Page::default()).await.unwrap();
    assert_eq!(users.next, None);
    users.items.into_iter().map(|user| user.id.to_string()).collect()
}

async fn group_ids(mirror: &Mirror, filter: GroupFilter) -> Vec<String> {
    let groups = mirror.groups(&filter, Page::default()).await.unwrap();
    groups.items.into_iter().map(|group| group.id.to_string()).collect()
}

#[tokio::test]
async fn every_field_is_read() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let events = [
            directory("directory_1", "org_1"),
            user("user_1", "directory_1", Some("org_1"), "Ada@Example.com"),
            group("group_1", "directory_1", None),
        ];
        mirror.apply_all(&events).await.unwrap();
        let found = mirror.user(&"user_1".into()).await.unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({
                "id": "user_1", "directory_id": "directory_1", "organization_id": "org_1",
                "idp_id": "idp_Ada@Example.com", "email": "Ada@Example.com", "first_name": "Ada@Example.com first",
                "last_name": "Ada@Example.com last", "name": "Ada@Example.com full", "state": "active",
                "role": "admin", "roles": ["admin", "member"],
                "custom_attributes": {"department_name": "Ada@Example.com department", "job_title": "Engineer"},
                "created_at": time(0), "updated_at": time(1), "has_access": true,
            })
        );
        assert_eq!(found.custom_attributes.job_title().as_deref(), Some("Engineer"));
        assert!(!format!("{found:?}").contains("Ada"), "{found:?}");
        let found = mirror.group(&"group_1".into()).await.unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({
                "id": "group_1", "directory_id": "directory_1", "organization_id": "org_1", "idp_id": "idp_group_1",
                "name": "Name of group_1", "raw_attributes": {"size": 3}, "created_at": time(0), "updated_at": time(1),
            })
        );
        assert!(!format!("{found:?}").contains("Name of"), "{found:?}");
        let found = mirror.directory(&"directory_1".into()).await.unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({
                "id": "directory_1", "organization_id": "org_1", "name": "Name of directory_1",
                "type": "okta scim v2.0", "state": "active",
                "domains": [{"id": "org_domain_1", "domain": "example.com"}],
                "created_at": time(0), "updated_at": time(1), "gives_access": true,
            })
        );
        assert!(!format!("{found:?}").contains("Name of"), "{found:?}");
        database.end().await;
    }
}

#[tokio::test]
async fn nothing_is_found_by_unknown_ids() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        mirror.apply(&user("user_1", "directory_1", Some("org_1"), "a@x")).await.unwrap();
        for id in ["user_2", "", "USER_1", "a\0b", "' OR 1 = 1 --", &"x".repeat(10_000)] {
            assert_eq!(mirror.user(&id.into()).await.unwrap(), None);
            assert_eq!(mirror.group(&id.into()).await.unwrap(), None);
            assert_eq!(mirror.directory(&id.into()).await.unwrap(), None);
            assert!(!mirror.has_access(&id.into()).await.unwrap());
            assert!(!mirror.has_access_by(id, Person::email("a@x")).await.unwrap());
            assert!(!mirror.has_access_by("org_1", Person::email(id)).await.unwrap());
            assert!(!mirror.has_access_by("org_1", Person::idp_id(id)).await.unwrap());
            assert!(mirror.groups_of(&id.into()).await.unwrap().is_empty());
            assert!(mirror.members_of(&id.into(), Page::new(9)).await.unwrap().items.is_empty());
            assert!(mirror.users_ever_in(&id.into(), Page::new(9)).await.unwrap().items.is_empty());
            let all = UserFilter::new;
            for filter in [
                all().directory(id),
                all().organization(id),
                all().group(id),
                all().email(id),
                all().idp_id(id),
            ] {
                assert!(ids(mirror, filter.clone()).await.is_empty(), "{filter:?}");
            }
            assert!(group_ids(mirror, GroupFilter::new().directory(id)).await.is_empty());
            assert!(group_ids(mirror, GroupFilter::new().organization(id)).await.is_empty());
        }
        database.end().await;
    }
}

/// The tables store a hash of such an id.
#[tokio::test]
async fn unusual_ids_are_found() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let [one, two, org, team] = ["user_é", "directory_\0", "org_é", "group_é"];
        let long = format!("{}@example.com", "x".repeat(10_000));
        let events = [
            user(one, two, Some(org), &long),
            group(team, two, Some(org)),
            member(team, one, two, 3, true),
        ];
        mirror.apply_all(&events).await.unwrap();
        assert!(mirror.user(&one.into()).await.unwrap().is_some());
        assert!(mirror.has_access(&one.into()).await.unwrap());
        assert!(mirror.has_access_by(org, Person::email(&long)).await.unwrap());
        assert!(mirror.has_access_by(org, Person::idp_id(&format!("idp_{long}"))).await.unwrap());
        assert_eq!(mirror.groups_of(&one.into()).await.unwrap().len(), 1);
        let all = UserFilter::new;
        for filter in
            [all().directory(two), all().organization(org), all().group(team), all().email(&long)]
        {
            assert_eq!(ids(mirror, filter).await.len(), 1);
        }
        let ever = mirror.users_ever_in(&two.into(), Page::new(9)).await.unwrap();
        assert_eq!(ever.items.len(), 1);
        database.end().await;
    }
}

#[tokio::test]
async fn access_depends_on_user_and_directory() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let mut events = vec![
            directory_in("d_off", "org_1", "inactive", 1),
            directory_in("d_bad", "org_1", "invalid_credentials", 1),
            directory_in("d_new", "org_1", "a state of the future", 1),
            user_inactive("u_off", "d_bad", None, "off@x"),
        ];
        for id in ["d_off", "d_bad", "d_new", "d_unseen"] {
            events.push(user(&format!("u_{id}"), id, Some("org_1"), &format!("{id}@x")));
        }
        mirror.apply_all(&events).await.unwrap();
        for (id, has_access) in [
            ("u_d_off", false),
            ("u_d_bad", true),
            ("u_d_new", false),
            ("u_d_unseen", true),
            ("u_off", false),
        ] {
            assert_eq!(mirror.has_access(&id.into()).await.unwrap(), has_access, "{id}");
            let found = mirror.user(&id.into()).await.unwrap().unwrap();
            assert_eq!(found.has_access, has_access, "{id}");
            let email = Person::email(found.email.as_deref().unwrap());
            assert_eq!(mirror.has_access_by("org_1", email).await.unwrap(), has_access, "{id}");
        }
        let with = UserFilter::new().access(true);
        assert_eq!(ids(mirror, with.clone()).await, ["u_d_bad", "u_d_unseen"]);
        assert_eq!(ids(mirror, with.clone().directory("d_bad")).await, ["u_d_bad"]);
        assert!(ids(mirror, with.clone().directory("d_off")).await.is_empty());
        assert_eq!(ids(mirror, with.organization("org_1")).await, ["u_d_bad", "u_d_unseen"]);
        let without = UserFilter::new().access(false);
        assert_eq!(ids(mirror, without.clone()).await, ["u_d_new", "u_d_off", "u_off"]);
        assert_eq!(ids(mirror, without.directory("d_off")).await, ["u_d_off"]);
        database.end().await;
    }
}

#[tokio::test]
async fn filters_combine() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let events = [
            directory("d_1", "org_1"),
            directory("d_2", "org_1"),
            directory("d_3", "org_2"),
            // Two users of org_1 have their organization from the directory.
            user("u_1", "d_1", Some("org_1"), "Ada@X"),
            user("u_2", "d_2", None, "ada@x"),
            user("u_3", "d_1", Some("org_1"), "bob@x"),
            user("u_4", "d_1", None, "cy@x"),
            user("u_5", "d_3", Some("org_2"), "ada@x"),
            group("g_1", "d_1", Some("org_1")),
            group("g_2", "d_2", None),
            group("g_3", "d_3", Some("org_2")),
            member("g_1", "u_3", "d_1", 2, true),
            member("g_1", "u_1", "d_1", 2, true),
            member("g_1", "u_4", "d_1", 2, true),
            member("g_1", "u_4", "d_1", 3, false),
            member("g_2", "u_2", "d_2", 2, true),
            member("g_3", "u_5", "d_3", 2, true),
        ];
        mirror.apply_all(&events).await.unwrap();
        let all = UserFilter::new;
        for (filter, expected) in [
            (all(), &["u_1", "u_2", "u_3", "u_4", "u_5"][..]),
            (all().directory("d_1"), &["u_1", "u_3", "u_4"]),
            (all().organization("org_1"), &["u_1", "u_2", "u_3", "u_4"]),
            (all().organization("org_1").directory("d_1"), &["u_1", "u_3", "u_4"]),
            (all().organization("org_2").directory("d_1"), &[]),
            (all().email(" ADA@x "), &["u_1", "u_2", "u_5"]),
            (all().email("ada@x").organization("org_1"), &["u_1", "u_2"]),
            (all().email("ada@x").directory("d_2"), &["u_2"]),
            (all().email("ada@x").group("g_1"), &["u_1"]),
            (all().idp_id("idp_ada@x"), &["u_2", "u_5"]),
            (all().idp_id("idp_ada@x").organization("org_2"), &["u_5"]),
            (all().idp_id("IDP_ada@x"), &[]),
            (all().group("g_1"), &["u_1", "u_3"]),
            (all().group("g_1").organization("org_1").directory("d_1"), &["u_1", "u_3"]),
            (all().group("g_1").organization("org_2"), &[]),
            (all().email(""), &[]),
        ] {
            assert_eq!(ids(mirror, filter.clone()).await, expected, "{filter:?}");
        }
        assert_eq!(group_ids(mirror, GroupFilter::new()).await, ["g_1", "g_2", "g_3"]);
        let org_1 = GroupFilter::new().organization("org_1");
        assert_eq!(group_ids(mirror, org_1.clone()).await, ["g_1", "g_2"]);
        assert_eq!(group_ids(mirror, org_1.directory("d_2")).await, ["g_2"]);
        assert_eq!(group_ids(mirror, GroupFilter::new().directory("d_3")).await, ["g_3"]);
        let groups = async |id: &str| {
            let groups = mirror.groups_of(&id.into()).await.unwrap();
            groups.into_iter().map(|group| group.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(groups("u_1").await, ["g_1"]);
        assert!(groups("u_4").await.is_empty());
        let filter = DirectoryFilter::new().organization("org_1");
        let directories = mirror.directories(&filter, Page::default()).await.unwrap();
        assert_eq!(directories.items.len(), 2);
        let directories = mirror.directories(&DirectoryFilter::new(), Page::default()).await;
        assert_eq!(directories.unwrap().items.len(), 3);
        database.end().await;
    }
}

#[tokio::test]
async fn what_was_deleted_is_not_shown() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let events = [
            directory("d_1", "org_1"),
            directory("d_2", "org_1"),
            user("u_1", "d_1", Some("org_1"), "a@x"),
            user("u_2", "d_2", Some("org_1"), "b@x"),
            user("u_3", "d_2", None, "c@x"),
            group("g_1", "d_1", Some("org_1")),
            group("g_2", "d_2", None),
            group("g_3", "d_2", None),
            member("g_1", "u_1", "d_1", 2, true),
            member("g_2", "u_2", "d_2", 2, true),
            member("g_2", "u_3", "d_2", 2, true),
            member("g_3", "u_3", "d_2", 2, true),
            // A member from another directory, which WorkOS never sends.
            member("g_1", "u_3", "d_2", 2, true),
        ];
        mirror.apply_all(&events).await.unwrap();
        assert_eq!(mirror.groups_of(&"u_3".into()).await.unwrap().len(), 3);
        let later = [
            directory_deleted("d_1", 10),
            user_deleted("u_2", "d_2", 10),
            group_deleted("g_3", "d_2", 10),
        ];
        mirror.apply_all(&later).await.unwrap();

        assert_eq!(mirror.directory(&"d_1".into()).await.unwrap(), None);
        for id in ["u_1", "u_2"] {
            assert_eq!(mirror.user(&id.into()).await.unwrap(), None, "{id}");
            assert!(!mirror.has_access(&id.into()).await.unwrap(), "{id}");
            assert!(mirror.groups_of(&id.into()).await.unwrap().is_empty(), "{id}");
        }
        for id in ["g_1", "g_3"] {
            assert_eq!(mirror.group(&id.into()).await.unwrap(), None, "{id}");
            let members = mirror.members_of(&id.into(), Page::default()).await.unwrap();
            assert!(members.items.is_empty(), "{id}");
        }
        let all = UserFilter::new;
        assert_eq!(ids(mirror, all()).await, ["u_3"]);
        assert_eq!(ids(mirror, all().organization("org_1")).await, ["u_3"]);
        assert!(ids(mirror, all().directory("d_1")).await.is_empty());
        assert!(ids(mirror, all().email("a@x")).await.is_empty());
        assert_eq!(ids(mirror, all().group("g_2")).await, ["u_3"]);
        assert_eq!(group_ids(mirror, GroupFilter::new().organization("org_1")).await, ["g_2"]);
        assert!(group_ids(mirror, GroupFilter::new().directory("d_1")).await.is_empty());
        assert_eq!(mirror.groups_of(&"u_3".into()).await.unwrap().len(), 1);
        let memberships = mirror.state().await.unwrap().memberships;
        let [only] = &memberships[..] else { panic!("{memberships:?}") };
        assert_eq!((only.group_id.as_str(), only.user_id.as_str()), ("g_2", "u_3"));
        let sql = "SELECT group_id, user_id FROM workos_memberships";
        assert_eq!(database.texts(sql, &[]).await, [["g_2", "u_3"].map(|it| Some(it.to_owned()))]);

        // Their ids are still known.
        for (directory, expected) in [("d_1", &["u_1"][..]), ("d_2", &["u_2", "u_3"])] {
            let ever = mirror.users_ever_in(&directory.into(), Page::default()).await.unwrap();
            assert_eq!(ever.items, expected);
        }
        database.end().await;
    }
}

#[tokio::test]
async fn an_address_of_spaces_matches_nobody() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let mut data = user_data("u_1", "d_1", Some("org_1"), "  ");
        data["idp_id"] = json!("");
        mirror.apply(&event("dsync.user.created", 1, data)).await.unwrap();
        for nobody in [Person::email(""), Person::email(" "), Person::idp_id("")] {
            assert!(!mirror.has_access_by("org_1", nobody).await.unwrap());
        }
        assert!(ids(mirror, UserFilter::new().email(" ")).await.is_empty());
        database.end().await;
    }
}
