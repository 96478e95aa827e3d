use tower_workos_mirror::{DirectoryFilter, GroupFilter, Mirror, Page, UserFilter};

use crate::{
    databases::Database,
    events::{directory, group, member, user},
};

/// All users that the filter selects, page by page, and the number of pages.
async fn paged(mirror: &Mirror, filter: &UserFilter, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut page) = (Vec::new(), 0, Some(Page::new(limit)));
    while let Some(this) = page {
        let users = mirror.users(filter, this).await.unwrap();
        ids.extend(users.items.iter().map(|user| user.id.to_string()));
        pages += 1;
        page = users.next;
    }
    (ids, pages)
}

#[tokio::test]
async fn every_item_is_on_one_page() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let mut events = vec![
            directory("directory_1", "org_1"),
            directory("directory_2", "org_1"),
            group("group_1", "directory_1", Some("org_1")),
        ];
        for number in 0..30 {
            let id = format!("user_{number:02}");
            let directory = if number < 10 { "directory_2" } else { "directory_1" };
            let organization = (number % 3 > 0).then_some("org_1");
            events.push(user(&id, directory, organization, "same@x"));
            events.push(member("group_1", &id, directory, 2, true));
            events.push(group(&format!("group_x{number:02}"), directory, organization));
            events.push(other_directory(number));
        }
        mirror.apply_all(&events).await.unwrap();
        let all: Vec<_> = (0..30).map(|number| format!("user_{number:02}")).collect();
        let every = UserFilter::new;
        for (filter, expected) in [
            (every(), &all[..]),
            (every().organization("org_1"), &all),
            (every().group("group_1"), &all),
            (every().email("same@x"), &all),
            (every().idp_id("idp_same@x"), &all),
            (every().directory("directory_1"), &all[10..]),
            (every().directory("directory_2").access(true), &all[..10]),
        ] {
            for limit in [1, 7, 10, 30, 31] {
                let (ids, pages) = paged(mirror, &filter, limit).await;
                assert_eq!(ids, expected, "{filter:?}");
                // A full last page is the last one.
                assert_eq!(pages, expected.len().div_ceil(limit), "{filter:?} {limit}");
            }
        }

        let page = Page::new(20).after("user_09");
        let ever = mirror.users_ever_in(&"directory_1".into(), page).await.unwrap();
        assert_eq!((ever.items.len(), ever.next), (20, None));
        let ever = mirror.users_ever_in(&"directory_1".into(), Page::new(19)).await.unwrap();
        assert_eq!(ever.next, Some(Page::new(19).after("user_28")));
        let members = mirror.members_of(&"group_1".into(), Page::new(3)).await.unwrap();
        assert_eq!(members.next, Some(Page::new(3).after("user_02")));

        let filter = GroupFilter::new().organization("org_1");
        let (mut groups, mut page) = (Vec::new(), Some(Page::new(4)));
        while let Some(this) = page {
            let listing = mirror.groups(&filter, this).await.unwrap();
            groups.extend(listing.items.into_iter().map(|group| group.id));
            page = listing.next;
        }
        assert_eq!(groups.len(), 31);
        assert!(groups.is_sorted());

        let (mut directories, mut page) = (0, Some(Page::new(5)));
        while let Some(this) = page {
            let listing = mirror.directories(&DirectoryFilter::new(), this).await.unwrap();
            directories += listing.items.len();
            page = listing.next;
        }
        assert_eq!(directories, 32);
        database.end().await;
    }
}

fn other_directory(number: usize) -> tower_workos::DirectoryEvent {
    directory(&format!("directory_x{number:02}"), "org_2")
}

#[tokio::test]
async fn limits_are_bounded() {
    for database in Database::both().await {
        let mirror = &database.mirror;
        let events: Vec<_> = (0..1002)
            .map(|number| user(&format!("user_{number:04}"), "directory_1", None, "a@x"))
            .collect();
        mirror.apply_all(&events).await.unwrap();
        for (limit, expected) in [(0, 1), (1, 1), (1000, 1000), (usize::MAX, 1000)] {
            let users = mirror.users(&UserFilter::new(), Page::new(limit)).await.unwrap();
            assert_eq!(users.items.len(), expected);
            assert_eq!(users.next.as_ref().map(|next| next.limit), Some(expected));
        }
        assert_eq!(
            mirror.users(&UserFilter::new(), Page::default()).await.unwrap().items.len(),
            100
        );
        let none = mirror.users(&UserFilter::new(), Page::new(5).after("user_zzz")).await.unwrap();
        assert!(none.items.is_empty() && none.next.is_none());
        let two = mirror.users(&UserFilter::new(), Page::new(2)).await.unwrap();
        let json = serde_json::to_value(&two).unwrap();
        assert_eq!(json["next"], "user_0001");
        database.end().await;
    }
}
