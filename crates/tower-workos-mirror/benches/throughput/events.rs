//! Events with the form and the size of WorkOS's events.

use bytes::Bytes;
use tower_workos::DirectoryEvent;

/// 2026-01-05T09:00:00Z.
const START: i64 = 1_767_603_600_000;

/// The sizes of a directory.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) users: usize,
    pub(crate) groups: usize,
    pub(crate) memberships: usize,
}

/// The events of the first sync of a directory.
pub(crate) fn first_sync(directory: usize, size: Size) -> impl Iterator<Item = DirectoryEvent> {
    let mut clock = START;
    let mut event = move |name: &str, data: String| {
        clock += 7;
        let id = format!("event_{directory:04}{:022}", clock - START);
        let time = time(clock);
        let body = format!(
            r#"{{"id":"{id}","data":{data},"event":"{name}","created_at":"{time}","context":{{}}}}"#
        );
        DirectoryEvent::parse(Bytes::from(body)).unwrap()
    };
    let connected = format!(
        r#"{{"object":"directory","id":"{}","organization_id":"org_{directory}","name":"Big (Okta)","type":"okta scim v2.0","state":"active","created_at":"{}","updated_at":"{}"}}"#,
        directory_id(directory),
        time(START),
        time(START)
    );
    let mut next = 0;
    std::iter::from_fn(move || {
        let index = next;
        next += 1;
        Some(if index == 0 {
            event("dsync.activated", connected.clone())
        } else if index <= size.groups {
            event("dsync.group.created", group(directory, index - 1))
        } else if index <= size.groups + size.users {
            event("dsync.user.created", user(directory, index - 1 - size.groups, 0))
        } else if index <= size.groups + size.users + size.memberships {
            let place = index - 1 - size.groups - size.users;
            let (user_index, round) = (place % size.users, place / size.users);
            let group_index = (user_index * 7 + round * 31) % size.groups;
            let data = format!(
                r#"{{"directory_id":"{}","user":{},"group":{}}}"#,
                directory_id(directory),
                user(directory, user_index, 0),
                group(directory, group_index)
            );
            event("dsync.group.user_added", data)
        } else {
            return None;
        })
    })
}

/// `dsync.user.updated` for users of a directory, spread over all of them.
pub(crate) fn updates(
    directory: usize,
    users: usize,
    round: usize,
    count: usize,
) -> impl Iterator<Item = DirectoryEvent> {
    (0..count).map(move |index| {
        let index = index + round * count;
        let who = index.wrapping_mul(7919) % users;
        let at = START + 1_000_000 + i64::try_from(index).unwrap() * 5;
        let data = user(directory, who, at - START);
        let data = format!(
            r#"{},"previous_attributes":{{"custom_attributes":{{"job_title":"Engineer"}}}}}}"#,
            data.strip_suffix('}').unwrap()
        );
        let id = format!("event_{directory:04}{:022}", 9_000_000 + index);
        let body = format!(
            r#"{{"id":"{id}","data":{data},"event":"dsync.user.updated","created_at":"{}","context":{{}}}}"#,
            time(at)
        );
        DirectoryEvent::parse(Bytes::from(body)).unwrap()
    })
}

pub(crate) fn deleted(directory: usize) -> DirectoryEvent {
    let body = format!(
        r#"{{"id":"event_end_{directory}","event":"dsync.deleted","created_at":"{}","data":{{"id":"{}","state":"deleting"}}}}"#,
        time(START + 900_000_000),
        directory_id(directory)
    );
    DirectoryEvent::parse(Bytes::from(body)).unwrap()
}

pub(crate) fn directory_id(directory: usize) -> String {
    format!("directory_01EHWNC0FCBHZ3BJ7EGK{directory:06}")
}

pub(crate) fn user_id(directory: usize, index: usize) -> String {
    format!("directory_user_01E1JG{directory:04}{index:016}")
}

fn user(directory: usize, index: usize, later: i64) -> String {
    let (created, updated) = (time(START), time(START + later));
    format!(
        r#"{{"id":"{}","directory_id":"{}","organization_id":"org_{directory}","object":"directory_user","idp_id":"00u{directory:05}{index:012}","email":"ada.lovelace.{index}@big-{directory}.example","first_name":"Ada","last_name":"Lovelace","name":"Ada Lovelace","emails":[],"username":null,"job_title":null,"raw_attributes":{{}},"state":"active","custom_attributes":{{"emails":[{{"primary":true,"type":"work","value":"ada.lovelace.{index}@big-{directory}.example"}}],"department_name":"Research and Development","employee_number":"E-{index:05}","employee_type":"full_time","job_title":"Engineer {later}","organization":"Big","username":"e{index:05}"}},"role":{{"slug":"member"}},"roles":[{{"slug":"member"}}],"created_at":"{created}","updated_at":"{updated}"}}"#,
        user_id(directory, index),
        directory_id(directory),
    )
}

fn group(directory: usize, index: usize) -> String {
    let time = time(START);
    format!(
        r#"{{"id":"directory_group_01E64QTDNS{directory:04}{index:012}","idp_id":"00g{directory:05}{index:012}","directory_id":"{}","organization_id":"org_{directory}","object":"directory_group","name":"Team {index}","raw_attributes":{{}},"created_at":"{time}","updated_at":"{time}"}}"#,
        directory_id(directory),
    )
}

fn time(millis: i64) -> String {
    tower_workos::Timestamp::from_unix_millis_saturating(millis).to_string()
}
