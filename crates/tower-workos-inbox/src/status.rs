//! The state of a queue.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// The state of a queue, for a health check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// How many items are not handled yet, including those that wait for another attempt and those that are being handled. Dead
    /// letters don't count.
    pub depth: u64,
    /// How long ago the oldest of them was stored. It is serialized as a number of seconds.
    #[serde(serialize_with = "seconds")]
    pub oldest_age: Option<Duration>,
    /// How many dead letters there are.
    pub dead: u64,
}

fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_seconds() {
        let mut status = QueueStatus { depth: 3, oldest_age: None, dead: 1 };
        let json = |status: &QueueStatus| serde_json::to_string(status).unwrap();
        assert_eq!(json(&status), r#"{"depth":3,"oldest_age":null,"dead":1}"#);
        status.oldest_age = Some(Duration::from_millis(1500));
        assert_eq!(json(&status), r#"{"depth":3,"oldest_age":1.5,"dead":1}"#);
    }
}
