//! The bodies of the deliveries: an update of a fictional user.

use bytes::Bytes;
use tower_workos::{DirectoryEvent, EventData};

/// The measured sizes: their names in the table and their lengths in bytes.
pub const SIZES: [(&str, usize); 4] =
    [("300 B", 300), (TYPICAL, TYPICAL_LENGTH), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];

/// The size of a typical delivery. Most rows are measured at this size only.
pub const TYPICAL: &str = "2 KiB";
/// The length in bytes of a body of the [`TYPICAL`] size.
pub const TYPICAL_LENGTH: usize = 2 << 10;

/// The position of `event` among the envelope's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// `event` after `data`, as in deliveries from WorkOS.
    DataFirst,
    /// `event` before `data`, as in the documentation of WorkOS.
    EventFirst,
}

const SMALL_USER: &str = r#"{"id":"directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ","directory_id":"directory_01K8Q6TDYB4E7G9K2M5Q8S1V3X","state":"inactive","idp_id":"~","previous_attributes":{"state":"active"}}"#;

const USER: &str = r#"{"object":"directory_user","id":"directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ","directory_id":"directory_01K8Q6TDYB4E7G9K2M5Q8S1V3X","organization_id":"org_01K8Q6S6A0B3D5F8H1K4N7Q9TW","idp_id":"00u4gq7c2bX9mLtRz5d7","email":"renee.okafor@marlowe-freight.example","first_name":"Renée","last_name":"Okafor","name":"Renée Okafor","emails":[],"job_title":null,"username":null,"state":"active","raw_attributes":{},"custom_attributes":{"addresses":[{"type":"work","primary":true,"street_address":"48 Harbour Row, Floor 3","locality":"Bristol","region":"Avon","postal_code":"BS1 6QF","country":"GB"}],"cost_center_name":"CC-4410 Inland","department_name":"Route Planning","division_name":"Operations","emails":[{"type":"work","primary":true,"value":"renee.okafor@marlowe-freight.example"},{"type":"other","primary":false,"value":"r.okafor@post.example"}],"employee_number":"20714","employee_type":"full_time","employment_start_date":"2021-03-15","job_title":"Senior Route Planner","manager_email":"tomas.lindqvist@marlowe-freight.example","username":"rokafor","on_call":false,"badge_level":4,~},"role":{"slug":"planner"},"roles":[{"slug":"planner"},{"slug":"report_reader"}],"created_at":"2025-10-29T08:14:02.117Z","updated_at":"2026-02-11T16:40:55.302Z","previous_attributes":{"custom_attributes":{"job_title":"Route Planner","manager_email":"ida.brandt@marlowe-freight.example","badge_level":null},"role":{"slug":"member"}}}"#;

/// Returns a `dsync.user.updated` of exactly this many bytes.
///
/// Below 1 KiB it has only the fields that every delivery has. Otherwise it is a complete user, with as many custom
/// attributes as fill the length.
///
/// # Panics
///
/// If `length` is too small for the fields.
#[must_use]
pub fn user_updated(length: usize, order: Order) -> Bytes {
    let data = if length < 1024 { SMALL_USER } else { USER };
    // The `workos` crate requires the envelope's `object`; the small body has no room for it.
    let object = if length < 1024 { "" } else { r#","context":{},"object":"event""# };
    let id = r#""id":"event_01K8R2Z5C8F1H4K7N0Q3S6V9XB""#;
    let event = r#""event":"dsync.user.updated""#;
    let time = r#""created_at":"2026-02-11T16:40:55.410Z""#;
    let text = match order {
        Order::DataFirst => format!(r#"{{{id},"data":{data},{event},{time}{object}}}"#),
        Order::EventFirst => format!(r#"{{{id},{event},"data":{data},{time}{object}}}"#),
    };
    // `~` marks the place for the padding.
    let (start, end) = text.split_once('~').expect("both users contain a `~`");
    let room = length.checked_sub(start.len() + end.len()).expect("the fields fit");
    let fill = if length < 1024 { "7".repeat(room) } else { attributes(room) };
    let body = Bytes::from(format!("{start}{fill}{end}"));
    assert_eq!(body.len(), length);
    let event = DirectoryEvent::parse(body.clone()).expect("the body is an event");
    assert!(
        matches!(event.data(), EventData::UserUpdated(change) if change.user.id == "directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ")
    );
    body
}

/// Returns members of an object, exactly this many bytes in total.
fn attributes(room: usize) -> String {
    let mut text = String::with_capacity(room);
    let mut index = 0;
    // Leaves room for one more and for the last, which has the remaining length.
    while room - text.len() > 200 {
        let attribute = match index % 4 {
            0 => format!(
                r#""site_{index:05}":{{"code":"BRS-{index}","desk":{index},"remote":false}},"#
            ),
            1 => format!(
                r#""certificate_{index:05}":"Dangerous goods by road, class {index}, renewed","#
            ),
            2 => format!(r#""shift_{index:05}":["early","late",{index},null],"#),
            _ => format!(r#""note_{index:05}":"Said \"call first\" on route {index}","#),
        };
        text.push_str(&attribute);
        index += 1;
    }
    let last =
        room.checked_sub(text.len() + r#""bio":"""#.len()).expect("the loop leaves room for it");
    format!(
        r#"{text}"bio":"{}""#,
        "Plans by rail where she can. ".chars().cycle().take(last).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn both_orders_have_the_same_members_and_length() {
        for (_, length) in SIZES {
            let [data_first, event_first] = [Order::DataFirst, Order::EventFirst].map(|order| {
                let body = user_updated(length, order);
                assert_eq!(body.len(), length);
                let text = String::from_utf8(body.to_vec()).unwrap();
                assert_eq!(
                    text.find("\"data\":").unwrap() < text.find("\"event\":").unwrap(),
                    order == Order::DataFirst
                );
                serde_json::from_str::<Value>(&text).unwrap()
            });
            assert_eq!(data_first, event_first);
        }
    }
}
