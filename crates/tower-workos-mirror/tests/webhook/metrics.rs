//! The metrics.

use std::{collections::BTreeMap, time::Duration};

use ::metrics::set_default_local_recorder;
use http::StatusCode;
use metrics_util::{
    CompositeKey,
    debugging::{DebugValue, DebuggingRecorder},
};
use tower_workos::testing::sample;
use tower_workos_mirror::metrics;

use crate::{
    database::{Database, Lock},
    requests::{created, status, webhook},
};

fn label(key: &CompositeKey, name: &str) -> String {
    let mut labels = key.key().labels();
    labels.find(|label| label.key() == name).map(|it| it.value().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn each_outcome_is_counted() {
    for database in Database::all().await {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let guard = set_default_local_recorder(&recorder);
        metrics::describe();
        tower_workos::metrics::describe();
        let mirror = database.mirror_with(|it| it.timeout(Duration::from_millis(300))).await;
        let webhook = webhook(&mirror);
        let unreadable = r#"{"id":"event_x","event":"dsync.user.deleted","data":{}}"#;
        let unknown = r#"{"id":"event_y","event":"dsync.canary","data":{}}"#;
        for body in [created("user_0"), created("user_0"), unreadable.into(), unknown.into()] {
            assert_eq!(status(&webhook, body).await, StatusCode::OK);
        }
        let lock = Lock::acquire(&database).await;
        let failing = sample::GROUP_CREATED.builder().body();
        assert_eq!(status(&webhook, failing).await, StatusCode::SERVICE_UNAVAILABLE);
        lock.release().await;
        drop(guard);

        let mut requests = BTreeMap::new();
        let mut counts = BTreeMap::new();
        let mut samples = BTreeMap::new();
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            let name = key.key().name().to_owned();
            assert!(unit.is_some() && description.is_some(), "{name}");
            for text in ["event_x", "canary", "user_0"] {
                assert!(!format!("{key:?}").contains(text), "{key:?}");
            }
            match value {
                DebugValue::Counter(count) if name == tower_workos::metrics::REQUESTS_TOTAL => {
                    requests.insert(label(&key, "outcome"), count);
                }
                DebugValue::Counter(count) => {
                    assert_eq!(name, metrics::APPLY_TOTAL);
                    counts.insert((label(&key, "event"), label(&key, "outcome")), count);
                }
                DebugValue::Gauge(depth) => {
                    assert_eq!(name, metrics::QUEUE_DEPTH);
                    assert!((0.0..=1.0).contains(&depth.into_inner()));
                }
                DebugValue::Histogram(values) => {
                    assert!(values.iter().all(|seconds| seconds.into_inner() >= 0.0));
                    samples.insert(name, values.len());
                }
            }
        }
        let count = |event: &str, outcome: &str| ((event.to_owned(), outcome.to_owned()), 1);
        let expected = [
            count("dsync.user.created", "changed"),
            count("dsync.user.created", "unchanged"),
            count("dsync.user.deleted", "dead_letter"),
            count("other", "unchanged"),
            count("dsync.group.created", "failed"),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
        // Of the verification inside the webhook.
        let expected = [("InvalidPayload".to_owned(), 1), ("accepted".to_owned(), 4)];
        assert_eq!(requests, BTreeMap::from(expected));
        // The unknown event has no time of its own, so its signature's counts.
        assert_eq!(samples[metrics::EVENT_LAG], 3);
        assert_eq!(samples[metrics::APPLY_DURATION], 4);
        database.drop().await;
    }
}
