//! The span of a delivery.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_workos::{
    VerifyWebhookLayer, WebhookSecret,
    testing::{Signer, sample},
    verify::VerifiedBody,
};
use tracing::{Subscriber, instrument::WithSubscriber as _, span};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

use crate::{first_column, read};

/// The names of the fields of each span.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        assert_eq!(metadata.target(), "tower_workos::delivery");
        assert_eq!((metadata.name(), *metadata.level()), ("workos_delivery", tracing::Level::INFO));
        let names = metadata.fields().iter().map(|field| field.name().to_owned());
        self.0.lock().unwrap().extend(names);
    }
}

#[tokio::test]
async fn the_page_lists_the_fields_of_the_span() {
    let secret = WebhookSecret::new("whsec_of_the_samples").unwrap();
    let service = VerifyWebhookLayer::new(secret.clone()).layer(service_fn(
        |_: Request<VerifiedBody>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        },
    ));
    let request: Request<Full<Bytes>> =
        Signer::new(secret).sign(sample::USER_CREATED).into_request("/").unwrap();
    let fields = Fields::default();
    let subscriber = tracing_subscriber::registry().with(fields.clone());
    let response = service.oneshot(request).with_subscriber(subscriber).await.unwrap();
    assert_eq!(response.status(), 200);

    let page = read("docs/observability.md");
    let (_, section) = page.split_once("\n## Spans\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let listed: BTreeSet<String> =
        first_column(section, "").into_iter().map(str::to_owned).collect();
    assert_eq!(*fields.0.lock().unwrap(), listed);
}
