//! Objects in which a key occurs more than once.
//!
//! serde's derive rejects them. In JavaScript, which WorkOS uses, the last value counts.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

/// The fields of an object that are not `null`. If a key occurs more than once, the last one counts.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// The fields of an object; `None` if it is not an object.
pub(super) fn fields(json: &str) -> Option<Fields> {
    let fields: BTreeMap<String, Option<Box<RawValue>>> = serde_json::from_str(json).ok()?;
    Some(fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

/// The object with only the last value of each key; `None` if it is not an object.
pub(super) fn last_of_each(json: &str) -> Option<Box<RawValue>> {
    to_raw_value(&fields(json)?).ok()
}

/// Reads an object whose keys may occur more than once.
pub(super) fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    let strict = serde_json::from_str(json).ok();
    strict.or_else(|| serde_json::from_str(last_of_each(json)?.get()).ok())
}

/// Reads a list of such objects. Entries that can't be read are left out.
pub(super) fn read_list<T: DeserializeOwned>(json: &str) -> Option<Vec<T>> {
    let entries: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(entries.into_iter().filter_map(|entry| read(entry.get())).collect())
}
