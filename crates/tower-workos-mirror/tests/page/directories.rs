//! The page of a directory.

use serde_json::json;
use tower_workos_mirror::Mirror;

use crate::{
    client::{open, page, text},
    databases::on_both,
    events::{directory, directory_data, event, group, user},
};

/// The numbers of users, of users with access, and of groups.
async fn counts(mirror: &Mirror) -> [u32; 3] {
    let html = text(&page(&open(mirror), "/directory?id=d").await);
    ["Users ", "Users with access ", "Groups "].map(|words| {
        // The link to all users is above.
        let after = html.split(words).find_map(|rest| rest.split(' ').next()?.parse().ok());
        after.unwrap_or_else(|| panic!("{words:?} has no number in {html}"))
    })
}

#[tokio::test]
async fn only_users_with_access_are_counted_as_such() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let users = [user("u1", "active"), user("u2", "active"), user("u3", "inactive")];
        mirror.apply_all(&[&[directory("d"), group("g")], &users[..]].concat()).await.unwrap();
        assert_eq!(counts(&mirror).await, [3, 2, 1]);
        for (number, state, with_access) in
            [(1, "inactive", 0), (2, "validating", 2), (3, "deleting", 0), (4, "active", 2)]
        {
            let data = directory_data("d", state, number);
            mirror.apply(&event(state, "activated", number, &data)).await.unwrap();
            assert_eq!(counts(&mirror).await, [3, with_access, 1], "{state}");
        }
        database.run("UPDATE workos_mirror_directory SET absent_at = 1970110000000000").await;
        assert_eq!(counts(&mirror).await, [0, 0, 0]);
        database.run("UPDATE workos_mirror_directory SET absent_at = NULL").await;
        assert_eq!(counts(&mirror).await, [3, 2, 1]);
        mirror.apply(&event("end", "deleted", 9, &json!({"id": "d"}))).await.unwrap();
        assert_eq!(counts(&mirror).await, [0, 0, 0]);
    })
    .await;
}
