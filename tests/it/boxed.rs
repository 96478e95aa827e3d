//! A store that is chosen at run time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_workos::{
    BoxStore, DedupeLayer, DedupeStore, MemoryStore,
    dedupe::{Claim, Claimed, Completion, DedupeKey, DedupeOutcome},
    testing::{conformance, sample},
    verify::VerifiedBody,
};

use crate::support::{delivery, layer};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_boxed_store_fulfills_the_contract() {
    conformance::check(BoxStore::new(MemoryStore::default())).await;
    conformance::check(BoxStore::new(BoxStore::new(MemoryStore::default()))).await;
}

#[tokio::test]
async fn clones_share_the_inner_store() {
    let memory = MemoryStore::default();
    let store = BoxStore::new(memory.clone());
    let key = DedupeKey::new("", "event_1".into());
    let Claim::Acquired(token) = store.clone().claim(&key, LONG).await.unwrap() else { panic!() };
    assert_eq!(memory.len(), 1);
    assert_eq!(store.downcast_ref::<MemoryStore>().unwrap().len(), 1);
    assert!(store.downcast_ref::<BoxStore>().is_none());
    assert!(token.downcast_ref::<u64>().is_some() && token.downcast_ref::<u32>().is_none());
    assert_eq!(format!("{store:?} {token:?}"), "BoxStore { .. } BoxToken(..)");
}

#[tokio::test]
async fn a_token_of_another_store_type_is_stale() {
    let store = BoxStore::new(MemoryStore::default());
    // The tokens of this store are those of a boxed store.
    let other = BoxStore::new(BoxStore::new(MemoryStore::default()));
    let key = DedupeKey::new("", "event_1".into());
    let Claim::Acquired(own) = store.claim(&key, LONG).await.unwrap() else { panic!() };
    let Claim::Acquired(foreign) = other.claim(&key, LONG).await.unwrap() else { panic!() };
    assert_eq!(store.complete(&key, &foreign, LONG).await.unwrap(), Completion::Stale);
    assert_eq!(store.confirm(&key, &foreign).await.unwrap(), Completion::Stale);
    store.release(&key, &foreign).await.unwrap();
    assert!(matches!(store.claim(&key, LONG).await.unwrap(), Claim::InFlight { .. }));
    assert_eq!(store.complete(&key, &own, LONG).await.unwrap(), Completion::Completed);
    assert_eq!(store.confirm(&key, &own).await.unwrap(), Completion::Completed);
}

/// A handler that changes the downcast claim changes the layer's own claim.
#[tokio::test]
async fn a_downcast_claim_is_the_same_claim() {
    let store = BoxStore::new(MemoryStore::default());
    for (id, completes, outcome) in [
        ("event_1", true, DedupeOutcome::Completed),
        ("event_2", false, DedupeOutcome::NotCompleted),
    ] {
        let handler = service_fn(move |request: Request<VerifiedBody>| async move {
            let boxed = request.extensions().get::<Claimed<BoxStore>>().unwrap();
            assert!(boxed.downcast::<BoxStore>().is_none());
            let claimed = boxed.downcast::<MemoryStore>().unwrap();
            assert_eq!((claimed.key(), claimed.lease()), (boxed.key(), boxed.lease()));
            assert_eq!(claimed.retention(), boxed.retention());
            claimed.complete_by_handler();
            if completes {
                let token = claimed.token().unwrap();
                let completion = claimed.store().complete(claimed.key(), token, LONG).await;
                assert_eq!(completion.unwrap(), Completion::Completed);
            }
            Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let app = ServiceBuilder::new()
            .layer(layer())
            .layer(DedupeLayer::new("workos", store.clone()))
            .service(handler);
        let request: Request<Full<Bytes>> = delivery(sample::USER_CREATED.with_id(id));
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&outcome), "{id}");
    }
}
