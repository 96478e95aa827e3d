//! The events that bodies are read as.

use bytes::Bytes;
use serde_json::Value;
use tower_workos::{DirectoryEvent, ParseError};

mod access;
mod errors;
mod odd;
mod read;
mod stored;

fn parse(body: impl Into<Bytes>) -> Result<DirectoryEvent, ParseError> {
    DirectoryEvent::parse(body.into())
}

fn event(name: &str, data: Value) -> DirectoryEvent {
    let first = format!(r#"{{"id":"event_1","event":"{name}","data":{data}}}"#);
    let last = format!(r#"{{"id":"event_1","data":{data},"event":"{name}"}}"#);
    let event = parse(first).unwrap();
    assert_eq!(parse(last).unwrap().data(), event.data(), "the order of the keys does not matter");
    event
}

fn fault(body: impl Into<Bytes>) -> String {
    parse(body).unwrap_err().to_string()
}

const USER: &str = "directory_user_1";
const NO_ID: &str = "`id` is missing or not a non-empty string";
