use tower_workos_mirror::{Mirror, Person};

use crate::{
    databases::Database,
    events::{directory, directory_deleted, event, user, user_data, user_deleted, user_inactive},
};

async fn by_email(mirror: &Mirror, organization: &str, email: &str) -> bool {
    mirror.has_access_by(organization, Person::email(email)).await.unwrap()
}

/// Nobody is locked out while an organization moves from one provider to another.
#[tokio::test]
async fn from_okta_to_entra() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let okta = [
            directory("directory_okta", "org_1"),
            user("okta_ada", "directory_okta", Some("org_1"), "Ada@Example.com"),
            user("okta_bob", "directory_okta", None, "bob@example.com"),
            user("okta_cy", "directory_okta", Some("org_1"), "cy@example.com"),
        ];
        mirror.apply_all(&okta).await.unwrap();
        assert!(by_email(mirror, "org_1", "ada@example.com").await);

        // The same people under other ids; one did not move, and another is no longer active.
        let entra = [
            directory("directory_entra", "org_1"),
            user("entra_ada", "directory_entra", None, "ada@example.com"),
            user_inactive("entra_bob", "directory_entra", Some("org_1"), "BOB@example.com"),
        ];
        mirror.apply_all(&entra).await.unwrap();
        for email in ["ada@example.com", "bob@example.com", "cy@example.com"] {
            assert!(by_email(mirror, "org_1", email).await, "{email}");
        }

        mirror.apply(&directory_deleted("directory_okta", 9)).await.unwrap();
        assert!(!mirror.has_access(&"okta_ada".into()).await.unwrap());
        assert!(by_email(mirror, "org_1", "ADA@EXAMPLE.COM").await);
        assert!(!by_email(mirror, "org_1", "bob@example.com").await);
        assert!(!by_email(mirror, "org_1", "cy@example.com").await);
        // Late events about the old directory change nothing.
        mirror
            .apply(&user("okta_cy", "directory_okta", Some("org_1"), "cy@example.com"))
            .await
            .unwrap();
        assert!(!by_email(mirror, "org_1", "cy@example.com").await);
        database.end().await;
    }
}

#[tokio::test]
async fn a_person_who_returns_has_a_new_id() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let mut again = user_data("user_2", "directory_1", Some("org_1"), "ada@example.com");
        mirror
            .apply(&user("user_1", "directory_1", Some("org_1"), "ada@example.com"))
            .await
            .unwrap();
        mirror.apply(&user_deleted("user_1", "directory_1", 9)).await.unwrap();
        assert!(!by_email(mirror, "org_1", "ada@example.com").await);
        again["updated_at"] = serde_json::json!(crate::events::time(20));
        mirror.apply(&event("dsync.user.created", 20, again)).await.unwrap();
        assert!(!mirror.has_access(&"user_1".into()).await.unwrap());
        assert!(mirror.has_access(&"user_2".into()).await.unwrap());
        assert!(by_email(mirror, "org_1", "ada@example.com").await);
        let idp_id = Person::idp_id("idp_ada@example.com");
        assert!(mirror.has_access_by("org_1", idp_id).await.unwrap());
        database.end().await;
    }
}

#[tokio::test]
async fn other_organizations_give_nothing() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let events = [
            directory("directory_1", "org_1"),
            // The user's own organization counts, not the directory's.
            user("user_1", "directory_1", Some("org_2"), "ada@example.com"),
            user("user_2", "directory_1", None, "bob@example.com"),
            user("user_3", "directory_unseen", None, "cy@example.com"),
        ];
        mirror.apply_all(&events).await.unwrap();
        assert!(by_email(mirror, "org_2", "ada@example.com").await);
        assert!(!by_email(mirror, "org_1", "ada@example.com").await);
        assert!(by_email(mirror, "org_1", "bob@example.com").await);
        assert!(!by_email(mirror, "org_2", "bob@example.com").await);
        assert!(!by_email(mirror, "org_1", "cy@example.com").await);
        assert!(!by_email(mirror, "", "cy@example.com").await);
        // It is shown once its directory is.
        mirror.apply(&directory("directory_unseen", "org_1")).await.unwrap();
        assert!(by_email(mirror, "org_1", "cy@example.com").await);
        database.end().await;
    }
}

/// Both directories number their users from 1.
#[tokio::test]
async fn any_user_with_the_idp_id_counts() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let mut ada = user_data("user_1", "directory_1", Some("org_1"), "ada@example.com");
        let mut bob = user_data("user_2", "directory_2", Some("org_1"), "bob@example.com");
        ada["idp_id"] = serde_json::json!("1");
        ada["state"] = serde_json::json!("inactive");
        bob["idp_id"] = serde_json::json!("1");
        mirror.apply(&event("dsync.user.created", 1, ada)).await.unwrap();
        assert!(!mirror.has_access_by("org_1", Person::idp_id("1")).await.unwrap());
        mirror.apply(&event("dsync.user.created", 1, bob)).await.unwrap();
        assert!(mirror.has_access_by("org_1", Person::idp_id("1")).await.unwrap());
        database.end().await;
    }
}
