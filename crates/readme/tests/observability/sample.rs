//! The sample that installs an exporter.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use metrics::{counter, gauge, histogram};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_workos::{
    VerifyWebhookLayer, WebhookSecret,
    testing::{Signer, sample},
    verify::VerifiedBody,
};

use crate::{dashboard, names, read, recorder::described};

mod metrics_sample {
    include!(concat!(env!("OUT_DIR"), "/metrics.rs"));

    pub(super) fn router() -> Router {
        app(install().unwrap())
    }
}

async fn scrape(app: &axum::Router) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The only test that uses the global recorder.
#[tokio::test]
async fn the_sample_renders_every_series_that_the_rules_and_the_dashboard_use() {
    let app = metrics_sample::router();
    let secret = WebhookSecret::new("whsec_of_the_samples").unwrap();
    let signer = Signer::new(secret.clone());
    let service =
        VerifyWebhookLayer::new(secret).layer(service_fn(|_: Request<VerifiedBody>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }));
    let genuine: Request<Body> = signer.sign(sample::USER_CREATED).into_request("/").unwrap();
    let forged = signer
        .sign(sample::USER_CREATED)
        .into_request("/")
        .unwrap()
        .map(|_: Body| Body::from("forged"));
    assert_eq!(service.clone().oneshot(genuine).await.unwrap().status(), 200);
    assert_eq!(service.oneshot(forged).await.unwrap().status(), 401);
    let text = scrape(&app).await;
    for line in [
        "# TYPE workos_webhook_requests_total counter",
        r#"workos_webhook_requests_total{outcome="accepted"} 1"#,
        r#"workos_webhook_requests_total{outcome="SignatureMismatch"} 1"#,
        "# TYPE workos_webhook_duration_seconds histogram",
        r#"workos_webhook_duration_seconds_bucket{outcome="success",le="10"} 1"#,
        r#"workos_webhook_duration_seconds_count{outcome="success"} 1"#,
        r#"workos_webhook_signature_age_seconds_bucket{le="180"} 1"#,
    ] {
        assert!(text.lines().any(|rendered| rendered == line), "{line} is not in {text}");
    }

    let described = described();
    for name in &described.counters {
        counter!(name.clone()).increment(1);
    }
    for name in &described.gauges {
        gauge!(name.clone()).set(1.0);
    }
    for name in &described.histograms {
        histogram!(name.clone()).record(1.0);
    }
    let text = scrape(&app).await;
    let rendered = names(&text);
    let used = dashboard::expressions().join("\n") + &read("docs/prometheus-rules.yml");
    for name in names(&used).into_iter().filter(|name| *name != "workos_delivery") {
        assert!(rendered.contains(name), "{name} is not in {text}");
    }
}
