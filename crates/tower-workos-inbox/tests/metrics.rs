//! The metrics.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, time::Duration};

use ::metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{sleep, timeout};
use tower::service_fn;
use tower_workos::{
    DirectoryEvent, WebhookSecret,
    testing::{Signer, sample},
};
use tower_workos_inbox::{Inbox, Permanent, Retry, metrics};

/// On one thread, because the recorder is that of a thread.
#[tokio::test]
async fn each_result_and_outcome_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let guard = set_default_local_recorder(&recorder);
    metrics::describe();
    tower_workos::metrics::describe();
    let inbox = Inbox::connect("sqlite::memory:").await.unwrap();
    let event = |id: &str| sample::USER_CREATED.builder().id(id).event();
    // Before the tables exist.
    inbox.store(&event("canary_0")).await.unwrap_err();
    inbox.migrate().await.unwrap();
    for id in ["canary_done", "canary_done", "canary_retry", "canary_dead"] {
        inbox.store(&event(id)).await.unwrap();
    }
    let secret = || WebhookSecret::new("whsec_of_this_test").unwrap();
    let delivery = Signer::new(secret()).sign(&b"{\"id\":\"canary_unreadable\""[..]);
    let request = delivery.into_request::<axum::body::Body, _>("/").unwrap();
    let response = tower::ServiceExt::oneshot(inbox.webhook(secret()), request).await;
    assert_eq!(response.unwrap().status(), 200);

    let handler = service_fn(async |event: DirectoryEvent| match event.id().as_str() {
        "canary_retry" => Err("later".into()),
        "canary_dead" => Err(Box::from(Permanent::new("never"))),
        _ => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(()),
    });
    let hour = Duration::from_secs(60 * 60);
    // The worker sets the gauges when it starts, and then every 10 s.
    let worker = inbox.worker(handler).retry(Retry::default().wait(hour, hour));
    let _ =
        timeout(Duration::from_secs(12), worker.run_until(sleep(Duration::from_secs(11)))).await;
    drop(guard);

    let (mut counters, mut gauges) = (BTreeMap::new(), BTreeMap::new());
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        assert!(unit.is_some() && description.is_some(), "{key}");
        assert!(!key.to_string().contains("canary"), "{key}");
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        match value {
            DebugValue::Counter(count) => drop(counters.insert(name, count)),
            DebugValue::Gauge(value) => drop(gauges.insert(name, value.into_inner())),
            DebugValue::Histogram(_) => assert!(name.starts_with("workos_webhook_"), "{name}"),
        }
    }
    let counters: Vec<_> = counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
    assert_eq!(
        counters,
        [
            "workos_inbox_enqueued_total inbox dead 1",
            "workos_inbox_enqueued_total inbox duplicate 1",
            "workos_inbox_enqueued_total inbox failed 1",
            "workos_inbox_enqueued_total inbox new 3",
            "workos_inbox_jobs_total inbox dead 1",
            "workos_inbox_jobs_total inbox done 1",
            "workos_inbox_jobs_total inbox retry 1",
            // Of the verification inside the webhook.
            "workos_webhook_requests_total InvalidPayload 1",
        ]
    );
    assert_eq!(gauges["workos_inbox_depth inbox"], 1.0);
    assert_eq!(gauges["workos_inbox_dead inbox"], 2.0);
    assert!((5.0..60.0).contains(&gauges["workos_inbox_oldest_age_seconds inbox"]), "{gauges:?}");
}
