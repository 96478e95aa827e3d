//! Tools for testing applications: a signer, a clock, a sample of every event, and out-of-order deliveries.
//!
//! ```
//! use tower_workos::{WebhookSecret, testing::{Signer, sample}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = WebhookSecret::new("whsec_test")?;
//! let delivery = Signer::new(secret).sign(sample::USER_CREATED);
//! let request: http::Request<bytes::Bytes> = delivery.into_request("/webhooks/workos")?;
//! # Ok(())
//! # }
//! ```
//!
//! `into_request` creates a body of any type that implements `From<Bytes>`, so that the request fits
//! `app.oneshot(request)` of axum, hyper or tower.
//!
//! [`sample`] has one body for each event, with a [builder](sample::Sample::builder) for others; [`Disorder`] delivers
//! a sequence of events out of order; [`conformance`] checks a [`DedupeStore`](crate::DedupeStore).

mod builder;
mod clock;
pub mod conformance;
mod disorder;
pub mod sample;
mod signer;

pub use self::{
    builder::SampleBuilder,
    clock::ManualClock,
    disorder::{Attempt, Disorder},
    signer::{Delivery, Signer},
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{DirectoryEvent, Timestamp},
        secret::WebhookSecret,
        signature::SignatureHeader,
    };

    #[test]
    fn samples_parse_under_their_names() {
        for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
            let event = DirectoryEvent::parse(sample.into()).unwrap();
            assert_eq!(event.name(), sample.name());
            assert!(event.id().as_str().starts_with("event_"));
            let other = DirectoryEvent::parse(sample.with_id("event_\"other\"")).unwrap();
            assert_eq!(other.id(), &"event_\"other\"");
            assert_eq!(other.data(), event.data());
        }
    }

    #[test]
    fn the_known_signature() {
        let secret = WebhookSecret::new("secret").unwrap();
        let signer =
            Signer::new(secret).at(Timestamp::from_unix_millis_saturating(1_700_000_000_000));
        let delivery = signer.sign("body");
        assert_eq!(
            delivery.signature(),
            "t=1700000000000, v1=32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea"
        );
        let seconds = signer.seconds().sign("body");
        assert!(seconds.signature().starts_with("t=1700000000,v1="));
    }

    #[test]
    fn times_at_the_edges_still_make_headers() {
        let secret = WebhookSecret::new("secret").unwrap();
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            let at = Timestamp::from_unix_millis_saturating(millis);
            let delivery = Signer::new(secret.clone()).at(at).sign("body");
            assert!(
                delivery.signature().parse::<SignatureHeader>().is_ok(),
                "{}",
                delivery.signature()
            );
        }
    }
}
