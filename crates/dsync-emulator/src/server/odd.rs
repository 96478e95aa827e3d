//! Items with unexpected members.

use serde_json::{Map, Value, json};

use crate::{
    directory::{Random, Share},
    faults::Faults,
};

/// Changes an item. The number chooses how.
type Spoil = fn(&mut Map<String, Value>, usize);

/// Changes an item as the faults say.
pub(super) fn spoil(item: &mut Vec<u8>, faults: &Faults, random: &mut Random) {
    // Every number is drawn for every item, so that one fault does not change the effect of another.
    let choices: [usize; 4] = [(); 4].map(|()| usize::try_from(random.below(1 << 20)).unwrap_or(0));
    let spoilers: [(Share, Spoil); 4] = [
        (faults.odd_items, odd),
        (faults.null_fields, null),
        (faults.unknown_values, unknown),
        (faults.missing_ids, without_id),
    ];
    let mut members: Option<Map<String, Value>> = None;
    for ((share, spoil), choice) in spoilers.into_iter().zip(choices) {
        if random.chance(share) {
            let members =
                members.get_or_insert_with(|| serde_json::from_slice(item).unwrap_or_default());
            spoil(members, choice);
        }
    }
    if let Some(members) = members {
        *item = Value::Object(members).to_string().into_bytes();
    }
}

/// Changes only what a `Snapshot` does not contain.
fn odd(members: &mut Map<String, Value>, choice: usize) {
    let kind = members.get("object").and_then(Value::as_str).unwrap_or_default();
    let names: &[&str] = match kind {
        "directory" => &["external_key", "domain", "metadata", "object", "created_at"],
        "directory_user" => &[
            "organization_id",
            "raw_attributes",
            "groups",
            "emails",
            "roles",
            "job_title",
            "object",
            "created_at",
        ],
        "directory_group" => &["organization_id", "raw_attributes", "object", "created_at"],
        _ => &["context", "object"],
    };
    let value = match choice % 4 {
        0 => None,
        1 => Some(Value::Null),
        2 => Some(json!([{"a list": [7]}])),
        _ => Some(json!(7)),
    };
    let name = names.get(choice / 4 % names.len().max(1)).copied().unwrap_or_default();
    match value {
        None => members.remove(name),
        Some(value) => members.insert(name.to_owned(), value),
    };
    members.insert("new_in_the_api".to_owned(), json!({"since": [1, {"null": null}]}));
}

fn null(members: &mut Map<String, Value>, choice: usize) {
    let names = [
        "idp_id",
        "name",
        "email",
        "first_name",
        "last_name",
        "role",
        "custom_attributes",
        "updated_at",
        "data",
    ];
    let names: Vec<_> = names.into_iter().filter(|name| members.contains_key(*name)).collect();
    if let Some(name) = names.get(choice % names.len().max(1)) {
        members.insert((*name).to_owned(), Value::Null);
    }
}

fn unknown(members: &mut Map<String, Value>, _: usize) {
    for (name, value) in [("state", "hibernating"), ("type", "stone tablets v1.0")] {
        if let Some(member) = members.get_mut(name) {
            *member = json!(value);
        }
    }
}

fn without_id(members: &mut Map<String, Value>, choice: usize) {
    match choice % 4 {
        0 => members.remove("id"),
        1 => members.insert("id".to_owned(), Value::Null),
        2 => members.insert("id".to_owned(), json!(7)),
        _ => members.insert("id".to_owned(), json!("")),
    };
}
