//! The deliveries: bodies of ours, about an employee of an invented company.

use bytes::Bytes;
use tower_workos::{DirectoryEvent, EventData};

/// The sizes of which the goals speak, by the names of the table.
pub const SIZES: [(&str, usize); 4] =
    [("300 B", 300), ("2 KiB", 2 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];

/// The size of a typical delivery: that of most rows.
pub const TYPICAL: &str = "2 KiB";

/// Where `event` stands among the envelope's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// `data` first, as WorkOS writes it.
    DataFirst,
    /// `event` first, as its documentation shows it.
    EventFirst,
}

const SMALL_USER: &str = r#"{"id":"directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ","directory_id":"directory_01K8Q6TDYB4E7G9K2M5Q8S1V3X","state":"inactive","idp_id":"~","previous_attributes":{"state":"active"}}"#;

const USER: &str = r#"{"object":"directory_user","id":"directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ","directory_id":"directory_01K8Q6TDYB4E7G9K2M5Q8S1V3X","organization_id":"org_01K8Q6S6A0B3D5F8H1K4N7Q9TW","idp_id":"00u4gq7c2bX9mLtRz5d7","email":"renee.okafor@marlowe-freight.example","first_name":"Renée","last_name":"Okafor","name":"Renée Okafor","emails":[],"job_title":null,"username":null,"state":"active","raw_attributes":{},"custom_attributes":{"addresses":[{"type":"work","primary":true,"street_address":"48 Harbour Row, Floor 3","locality":"Bristol","region":"Avon","postal_code":"BS1 6QF","country":"GB"}],"cost_center_name":"CC-4410 Inland","department_name":"Route Planning","division_name":"Operations","emails":[{"type":"work","primary":true,"value":"renee.okafor@marlowe-freight.example"},{"type":"other","primary":false,"value":"r.okafor@post.example"}],"employee_number":"20714","employee_type":"full_time","employment_start_date":"2021-03-15","job_title":"Senior Route Planner","manager_email":"tomas.lindqvist@marlowe-freight.example","username":"rokafor","on_call":false,"badge_level":4,~},"role":{"slug":"planner"},"roles":[{"slug":"planner"},{"slug":"report_reader"}],"created_at":"2025-10-29T08:14:02.117Z","updated_at":"2026-02-11T16:40:55.302Z","previous_attributes":{"custom_attributes":{"job_title":"Route Planner","manager_email":"ida.brandt@marlowe-freight.example","badge_level":null},"role":{"slug":"member"}}}"#;

/// A `dsync.user.updated` of exactly this many bytes.
///
/// 300 bytes have room for the fields that every delivery has; from 2 KiB on it is a whole user, and what is above
/// that are more attributes, mapped in the dashboard.
///
/// # Panics
///
/// Where `length` is less than the least body takes.
#[must_use]
pub fn user_updated(length: usize, order: Order) -> Bytes {
    let data = if length < 1024 { SMALL_USER } else { USER };
    // Only a body that has room for it says what kind of object it is; the `workos` crate wants to know.
    let object = if length < 1024 { "" } else { r#","context":{},"object":"event""# };
    let id = r#""id":"event_01K8R2Z5C8F1H4K7N0Q3S6V9XB""#;
    let event = r#""event":"dsync.user.updated""#;
    let time = r#""created_at":"2026-02-11T16:40:55.410Z""#;
    let text = match order {
        Order::DataFirst => format!(r#"{{{id},"data":{data},{event},{time}{object}}}"#),
        Order::EventFirst => format!(r#"{{{id},{event},"data":{data},{time}{object}}}"#),
    };
    // `~` is where the body is filled up to its length.
    let (start, end) = text.split_once('~').expect("the bodies above have one");
    let room = length.checked_sub(start.len() + end.len()).expect("a length of the table");
    let fill = if length < 1024 { "7".repeat(room) } else { attributes(room) };
    let body = Bytes::from(format!("{start}{fill}{end}"));
    assert_eq!(body.len(), length);
    let event = DirectoryEvent::parse(body.clone()).expect("it is an event");
    assert!(
        matches!(event.data(), EventData::UserUpdated(change) if change.user.id == "directory_user_01K8Q6W1T5N9C2H4J7M0P3R6VZ")
    );
    body
}

/// Members of an object, of exactly this many bytes in all.
fn attributes(room: usize) -> String {
    let mut text = String::with_capacity(room);
    let mut index = 0;
    // As long as another one fits, and after it the last.
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
    let last = room.checked_sub(text.len() + r#""bio":"""#.len()).expect("room was left for it");
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
    fn both_orders_say_the_same_in_the_same_length() {
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
