use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::testing::signer::{Delivery, Signer};

/// WorkOS gives up after this many attempts.
const ATTEMPTS: usize = 6;

/// Delivers a sequence of events out of order, some of them twice or never.
///
/// A correct application reaches the same state in whatever order its events arrive. The same seed gives the same
/// order, so a failure can be repeated.
///
/// Without settings, every event is delivered once, in a random order.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::{Layer, service_fn};
/// use tower_workos::{
///     AccessChange, DirectoryEvent, DirectoryUserId, VerifyWebhookLayer, WebhookSecret,
///     testing::{Disorder, Signer, sample},
///     verify::VerifiedBody,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = WebhookSecret::new("whsec_test")?;
/// for seed in 0..20 {
///     let sessions = Arc::new(Mutex::new(vec![DirectoryUserId::from("ada"), "bob".into()]));
///     let shared = Arc::clone(&sessions);
///     let app = service_fn(move |request: Request<VerifiedBody>| {
///         let event = request.extensions().get::<DirectoryEvent>().cloned();
///         if let Some(AccessChange::Revoked(user)) = event.as_ref().and_then(|event| event.access_change()) {
///             shared.lock().unwrap().retain(|id| *id != user.id);
///         }
///         async { Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default())) }
///     });
///     let app = VerifyWebhookLayer::new(secret.clone()).layer(app);
///
///     let events = [
///         sample::USER_UPDATED.builder().user("ada"),
///         sample::USER_DEACTIVATED.builder().user("ada"),
///         sample::USER_UPDATED.builder().user("bob"),
///     ];
///     let deliveries = Disorder::new(seed)
///         .duplicates(30)
///         .deliver(&Signer::new(secret.clone()), events, app, |delivery| {
///             delivery.into_request::<Full<Bytes>, _>("/webhooks/workos").expect("a valid path")
///         })
///         .await?;
///     assert!(deliveries.iter().all(|delivery| delivery.status == StatusCode::OK));
///     assert_eq!(*sessions.lock().unwrap(), ["bob"], "seed {seed}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Disorder {
    seed: u64,
    window: usize,
    duplicates: u8,
    losses: u8,
}

/// One attempt of a [`Disorder`] to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The event's index in the sequence.
    pub index: usize,
    /// The response's status.
    pub status: StatusCode,
}

impl Disorder {
    /// Creates a random order of the whole sequence, without duplicates or losses.
    pub fn new(seed: u64) -> Self {
        Self { seed, window: usize::MAX, duplicates: 0, losses: 0 }
    }

    /// How many places an event can move in the sequence. 0 keeps the order. Default: any number.
    pub fn window(mut self, places: usize) -> Self {
        self.window = places;
        self
    }

    /// The percentage of events that are delivered twice. Default: 0.
    pub fn duplicates(mut self, percent: u8) -> Self {
        self.duplicates = percent;
        self
    }

    /// The percentage of events that never arrive. Default: 0.
    pub fn losses(mut self, percent: u8) -> Self {
        self.losses = percent;
        self
    }

    /// The order in which a sequence of this length is delivered, as indexes into it.
    #[must_use]
    pub fn order(&self, length: usize) -> Vec<usize> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut places = Vec::new();
        for index in 0..length {
            if random.u8(..100) < self.losses {
                continue;
            }
            let copies = if random.u8(..100) < self.duplicates { 2 } else { 1 };
            for _ in 0..copies {
                // Sorting by this keeps the order of events that are further apart than the window.
                let place = match self.window {
                    window if window >= length => random.usize(..),
                    window => index.saturating_add(random.usize(..=window)),
                };
                places.push((place, random.u32(..), index));
            }
        }
        places.sort_unstable();
        places.into_iter().map(|(_, _, index)| index).collect()
    }

    /// Signs the events and sends them to a service, one after the other. A delivery that does not get a 2xx is sent
    /// again after all others, up to five times, as WorkOS does.
    ///
    /// `request` creates the request of a delivery, usually with
    /// [`Delivery::into_request`](crate::testing::Delivery::into_request).
    ///
    /// # Errors
    ///
    /// The service's error, from the first call that fails.
    pub async fn deliver<S, B, ResBody>(
        &self,
        signer: &Signer,
        events: impl IntoIterator<Item = impl Into<Bytes>>,
        mut service: S,
        request: impl Fn(Delivery) -> Request<B>,
    ) -> Result<Vec<Attempt>, S::Error>
    where
        S: Service<Request<B>, Response = Response<ResBody>>,
    {
        let events: Vec<Bytes> = events.into_iter().map(Into::into).collect();
        let mut attempts = Vec::new();
        let mut waiting = self.order(events.len());
        for _ in 0..ATTEMPTS {
            let mut failed = Vec::new();
            for index in waiting {
                let Some(event) = events.get(index) else { continue };
                poll_fn(|cx| service.poll_ready(cx)).await?;
                let status = service.call(request(signer.sign(event.clone()))).await?.status();
                attempts.push(Attempt { index, status });
                if !status.is_success() {
                    failed.push(index);
                }
            }
            waiting = failed;
        }
        Ok(attempts)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{secret::WebhookSecret, testing::sample};

    #[test]
    fn each_event_is_delivered_once_unless_set_otherwise() {
        for seed in 0..50 {
            let mut order = Disorder::new(seed).order(20);
            assert_ne!(order, (0..20).collect::<Vec<_>>());
            assert_eq!(order, Disorder::new(seed).order(20));
            order.sort_unstable();
            assert_eq!(order, (0..20).collect::<Vec<_>>());
        }
        assert_ne!(Disorder::new(1).order(20), Disorder::new(2).order(20));
    }

    #[test]
    fn a_window_bounds_the_distance() {
        assert_eq!(Disorder::new(1).window(0).order(9), (0..9).collect::<Vec<_>>());
        let mut furthest = 0;
        for seed in 0..200 {
            for (place, index) in Disorder::new(seed).window(3).order(50).into_iter().enumerate() {
                furthest = furthest.max(place.abs_diff(index));
            }
        }
        assert_eq!(furthest, 3);
    }

    #[test]
    fn percentages_are_of_the_events() {
        assert_eq!(Disorder::new(1).losses(100).order(100), [0; 0]);
        assert_eq!(Disorder::new(1).duplicates(100).order(100).len(), 200);
        let some = Disorder::new(1).duplicates(10).losses(20).order(10_000);
        assert!((8600..9000).contains(&some.len()), "{}", some.len());
    }

    #[tokio::test]
    async fn a_failed_delivery_is_sent_again_after_the_others() {
        let secret = WebhookSecret::new("whsec_test").unwrap();
        let mut seen = Vec::new();
        let service = tower::service_fn(|request: Request<Bytes>| {
            seen.push(request.into_body());
            let status = if seen.len() == 1 { 503 } else { 200 };
            let response = Response::builder().status(status).body(()).unwrap();
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let events = ["a", "b"].map(|user| sample::USER_CREATED.builder().user(user));
        let attempts = Disorder::new(0)
            .window(0)
            .deliver(&Signer::new(secret), events.clone(), service, |delivery| {
                delivery.into_request("/").unwrap()
            })
            .await
            .unwrap();
        let attempts: Vec<_> =
            attempts.iter().map(|attempt| (attempt.index, attempt.status.as_u16())).collect();
        assert_eq!(attempts, [(0, 503), (1, 200), (0, 200)]);
        let [first, second] = events.map(Bytes::from);
        assert_eq!(seen, [first.clone(), second, first]);
    }
}
