//! Signatures, secrets and time.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::Sha256;
use tower_workos::{
    DirectoryEvent, Rejection, RejectionKind, SignatureHeader, SystemClock, Verifier, VerifyError,
    WebhookSecret, WebhookSecrets,
    testing::{ManualClock, Signer, sample},
};

use crate::support::{NOW, SECRET, at, other_secret, secret, signer, verifier};

fn header(signature: &str) -> SignatureHeader {
    signature.parse().unwrap()
}

fn kind(verifier: &Verifier, signature: &str, body: &[u8]) -> RejectionKind {
    Rejection::from(verifier.verify(&header(signature), body).unwrap_err()).kind()
}

#[test]
fn accepts_milliseconds_and_seconds() {
    for signer in [signer(), signer().seconds()] {
        let delivery = signer.sign(sample::USER_CREATED);
        let verified = verifier().verify(&header(delivery.signature()), delivery.body()).unwrap();
        assert_eq!(verified.signature().issued_at(), at(NOW));
        assert_eq!(verified.signature().secret_index(), 0);
    }
}

#[test]
fn one_changed_byte_of_body_or_time_is_a_mismatch() {
    let delivery = signer().sign(sample::USER_CREATED);
    for index in 0..delivery.body().len() {
        let mut body = delivery.body().to_vec();
        body[index] ^= 1;
        assert_eq!(
            kind(&verifier(), delivery.signature(), &body),
            RejectionKind::SignatureMismatch
        );
    }
    for body in [&delivery.body()[1..], &delivery.body()[..delivery.body().len() - 1], b""] {
        assert_eq!(kind(&verifier(), delivery.signature(), body), RejectionKind::SignatureMismatch);
    }
    // The same moment in other digits: the signature covers the digits as received.
    let padded = delivery.signature().replace("t=", "t=0");
    assert_eq!(kind(&verifier(), &padded, delivery.body()), RejectionKind::SignatureMismatch);
    let later = delivery.signature().replace(&NOW.to_string(), &(NOW + 1).to_string());
    assert_eq!(kind(&verifier(), &later, delivery.body()), RejectionKind::SignatureMismatch);
}

/// async-stripe-webhook rc.10 signs the time as it would print it, not as it was received.
#[test]
fn the_time_is_signed_as_it_was_received() {
    let digits = format!("000{NOW}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{digits}.body").as_bytes());
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let verified = verifier().verify(&header(&format!("t={digits},v1={hex}")), b"body").unwrap();
    assert_eq!(verified.signature().issued_at(), at(NOW));
}

#[test]
fn one_changed_digit_of_the_signature_is_a_mismatch() {
    let delivery = signer().sign("body");
    let start = delivery.signature().find("v1=").unwrap() + 3;
    for index in start..start + 64 {
        let mut value = delivery.signature().as_bytes().to_vec();
        value[index] = if value[index] == b'0' { b'1' } else { b'0' };
        let value = String::from_utf8(value).unwrap();
        assert_eq!(kind(&verifier(), &value, b"body"), RejectionKind::SignatureMismatch, "{index}");
    }
}

#[test]
fn an_error_has_the_age_and_its_direction() {
    let told = |issued| {
        let delivery = Signer::new(secret()).at(at(issued)).sign(sample::USER_CREATED);
        let result = verifier().verify(&header(delivery.signature()), delivery.body());
        result.unwrap_err().to_string()
    };
    let old = told(NOW - 200_500);
    assert!(old.ends_with(": issued 200.5s ago, tolerance 180s"), "{old}");
    let early = told(NOW + 3_600_001);
    let expected = ": issued 3600.001s ahead of this machine's clock, tolerance 180s";
    assert!(early.ends_with(expected), "{early}");
}

#[test]
fn tolerance_at_its_boundaries_in_both_directions() {
    let clock = ManualClock::new(at(NOW));
    for tolerance in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_secs(180),
        Duration::from_secs(300),
    ] {
        let verifier = Verifier::new(secret()).tolerance(tolerance).clock(clock.clone());
        let offset = i64::try_from(tolerance.as_millis()).unwrap();
        for direction in [-1, 1] {
            for (beyond, accepted) in [(-1, offset > 0), (0, true), (1, false)] {
                let issued = NOW + direction * (offset + beyond);
                // Signed again for each time, so that only the age can be wrong.
                let delivery = Signer::new(secret()).at(at(issued)).sign(sample::USER_CREATED);
                let result = verifier.verify(&header(delivery.signature()), delivery.body());
                if tolerance.is_zero() && beyond == -1 {
                    continue;
                }
                match result {
                    Ok(verified) => {
                        assert!(accepted, "{direction} {tolerance:?} {beyond}");
                        assert_eq!(verified.signature().issued_at(), at(issued));
                    }
                    Err(error) => {
                        assert!(!accepted, "{direction} {tolerance:?} {beyond}");
                        let is_past = matches!(error, VerifyError::TimestampInPast { .. });
                        assert_eq!(is_past, direction < 0, "{error:?}");
                        let kind = Rejection::from(error).kind();
                        assert_eq!(kind, RejectionKind::TimestampOutsideTolerance);
                    }
                }
            }
        }
    }
}

#[test]
fn a_clock_between_milliseconds_is_not_rounded() {
    let clock = ManualClock::new(at(NOW));
    let verifier = Verifier::new(secret()).clock(clock.clone());
    let delivery = signer().sign("body");
    clock.advance(Duration::from_secs(180));
    assert!(verifier.verify(&header(delivery.signature()), b"body").is_ok());
    clock.advance(Duration::from_nanos(1));
    let kind = kind(&verifier, delivery.signature(), b"body");
    assert_eq!(kind, RejectionKind::TimestampOutsideTolerance);
}

#[test]
fn the_default_tolerance_is_180_seconds_of_the_machines_clock() {
    for (age, accepted) in [(0, true), (170, true), (190, false)] {
        let issued = std::time::SystemTime::now() - Duration::from_secs(age);
        let delivery = Signer::new(secret()).at(issued).sign("body");
        let result = Verifier::new(secret()).verify(&header(delivery.signature()), b"body");
        assert_eq!(result.is_ok(), accepted, "{age}");
        let explicit = Verifier::new(secret()).clock(SystemClock);
        assert_eq!(explicit.verify(&header(delivery.signature()), b"body").is_ok(), accepted);
    }
}

/// standardwebhooks 1.0 overflows on extreme times.
#[test]
fn extreme_times_and_clocks_do_not_overflow() {
    let epoch = std::time::UNIX_EPOCH;
    let far = Duration::from_secs(1 << 50);
    for now in [epoch, epoch + far, epoch - far, epoch - Duration::from_nanos(1)] {
        for digits in ["0", "1", "9999999999999999", "99999999999", "100000000000"] {
            let value = format!("t={digits},v1={}", "0".repeat(64));
            for tolerance in [Duration::ZERO, Duration::from_secs(180), Duration::MAX] {
                let verifier =
                    Verifier::new(secret()).clock(ManualClock::new(now)).tolerance(tolerance);
                let kind = kind(&verifier, &value, b"body");
                if tolerance == Duration::MAX {
                    assert_eq!(kind, RejectionKind::SignatureMismatch, "any age is accepted");
                } else if now == epoch + far || now == epoch - far {
                    assert_eq!(kind, RejectionKind::TimestampOutsideTolerance);
                }
            }
        }
    }
}

/// workos 3.5 uses only the last `v1`, and rejects upper case and unknown keys.
#[test]
fn any_signature_suffices_in_any_position() {
    let genuine = signer().sign("body");
    let (time, good) = genuine.signature().split_once(", ").unwrap();
    let bad = format!("v1={}", "0".repeat(64));
    for value in [
        format!("{time}, {good}, {bad}"),
        format!("{time}, {bad}, {good}"),
        format!("{time}, {bad}, {bad}, {bad}, {bad}, {bad}, {bad}, {bad}, {good}"),
        format!("{time}, {good}, v1=bad, v2=x"),
        format!("{good},{time}"),
        format!("{time}, v1={}", good[3..].to_uppercase()),
    ] {
        assert!(verifier().verify(&header(&value), b"body").is_ok(), "{value}");
    }
    // The ninth is ignored, and an unknown scheme does not replace `v1`.
    for value in [
        format!("{time}{}, {good}", format!(", {bad}").repeat(8)),
        format!("{time}, {bad}, v2={}", &good[3..]),
    ] {
        assert_eq!(kind(&verifier(), &value, b"body"), RejectionKind::SignatureMismatch, "{value}");
    }
}

#[test]
fn every_secret_is_tried_with_every_signature() {
    let third = WebhookSecret::new("whsec_canary_third").unwrap();
    let secrets = [secret(), other_secret(), third.clone()];
    let verifier = Verifier::new(WebhookSecrets::new(secrets.clone()).unwrap())
        .clock(ManualClock::new(at(NOW)));
    for (index, secret) in (0..).zip(&secrets) {
        let delivery = Signer::new(secret.clone()).at(at(NOW)).sign("body");
        let verified = verifier.verify(&header(delivery.signature()), b"body").unwrap();
        assert_eq!(verified.signature().secret_index(), index);
        // Among signatures with other secrets, in any position.
        let stranger = WebhookSecret::new("whsec_canary_stranger").unwrap();
        for signer in [
            Signer::new(stranger.clone()).add_secret(secret.clone()),
            Signer::new(secret.clone()).add_secret(stranger.clone()),
        ] {
            let delivery = signer.at(at(NOW)).sign("body");
            let verified = verifier.verify(&header(delivery.signature()), b"body").unwrap();
            assert_eq!(verified.signature().secret_index(), index);
        }
    }
    // If two match, the first in the set counts.
    let both = Signer::new(third).add_secret(other_secret()).at(at(NOW)).sign("body");
    assert_eq!(
        verifier.verify(&header(both.signature()), b"body").unwrap().signature().secret_index(),
        1
    );
}

#[test]
fn secrets_are_replaced_for_every_clone_but_not_during_a_request() {
    let secrets = WebhookSecrets::from(secret());
    let verifier = Verifier::new(secrets.clone()).clock(ManualClock::new(at(NOW)));
    let clone = verifier.clone();
    let old = signer().sign("body");
    let new = Signer::new(other_secret()).at(at(NOW)).sign("body");

    let mut running = clone.begin(&header(old.signature())).unwrap();
    secrets.replace([other_secret(), secret()]).unwrap();
    assert_eq!(
        clone.verify(&header(new.signature()), b"body").unwrap().signature().secret_index(),
        0
    );
    assert_eq!(
        clone.verify(&header(old.signature()), b"body").unwrap().signature().secret_index(),
        1
    );
    secrets.replace([other_secret()]).unwrap();
    assert_eq!(kind(&clone, old.signature(), b"body"), RejectionKind::SignatureMismatch);
    assert!(verifier.verify(&header(new.signature()), b"body").is_ok());

    running.update(b"body");
    assert!(running.finish().is_ok(), "it began while the old secret was there");
}

#[test]
fn a_prefix_is_part_of_the_secret() {
    let bare = WebhookSecret::new(SECRET.trim_start_matches("whsec_")).unwrap();
    let delivery = Signer::new(bare).at(at(NOW)).sign("body");
    assert_eq!(kind(&verifier(), delivery.signature(), b"body"), RejectionKind::SignatureMismatch);
}

#[test]
fn construct_event_parses_what_was_verified() {
    let delivery = signer().sign(sample::USER_CREATED);
    let event =
        verifier().construct_event(&header(delivery.signature()), delivery.body().clone()).unwrap();
    assert_eq!(event.raw(), delivery.body());
    assert_eq!(event.issued_at(), Some(at(NOW)));
    assert_eq!(event.signature().map(|signature| signature.secret_index()), Some(0));
    assert_eq!(DirectoryEvent::parse(delivery.body().clone()).unwrap().signature(), None);

    let unreadable = signer().sign("{}");
    let error =
        verifier().construct_event(&header(unreadable.signature()), "{}".into()).unwrap_err();
    let VerifyError::Parse(parse) = &error else { panic!("{error:?}") };
    assert_eq!(parse.path(), Some("id"));
    assert_eq!(error.to_string(), parse.to_string());
    assert_eq!(Rejection::from(error).kind(), RejectionKind::InvalidPayload);
}

/// A body that was truncated or extended after the verification is not genuine.
#[test]
fn a_body_of_another_length_is_not_the_verified_one() {
    let delivery = signer().sign(sample::USER_CREATED);
    let header = header(delivery.signature());
    for body in [format!("{} ", sample::USER_CREATED.body()), "{}".to_owned(), String::new()] {
        let verified = verifier().verify(&header, delivery.body()).unwrap();
        let error = verified.into_event(body.into()).unwrap_err();
        assert!(error.to_string().contains("bytes were verified"), "{error}");
        assert_eq!((error.id(), error.path()), (None, None));
    }
    let verified = verifier().verify(&header, delivery.body()).unwrap();
    assert!(verified.into_event(delivery.body().clone()).is_ok());
}

#[test]
fn debug_of_a_running_verification_shows_no_state() {
    let verification = verifier().begin(&header(signer().sign("body").signature())).unwrap();
    assert_eq!(format!("{verification:?}"), "Verification { issued_at: 2026-02-02T02:40:00Z, .. }");
    assert!(!format!("{:?}", verifier()).contains("whsec"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The result does not depend on how the body is split.
    #[test]
    fn any_split_equals_the_whole(
        body in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        secrets in 1_usize..4,
        tampered in any::<bool>(),
    ) {
        let set = [other_secret(), WebhookSecret::new("whsec_canary_third").unwrap(), secret()];
        let set = WebhookSecrets::new(set.into_iter().rev().take(secrets)).unwrap();
        let verifier = Verifier::new(set).clock(ManualClock::new(at(NOW)));
        let delivery = signer().sign(Bytes::from(body.clone()));
        let signature = header(delivery.signature());
        let mut body = body;
        if tampered {
            body.push(0);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();

        let mut verification = verifier.begin(&signature).unwrap();
        let mut start = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            verification.update(&body[start..cut]);
            start = cut;
        }
        let pieces = verification.finish();
        prop_assert_eq!(&pieces, &verifier.verify(&signature, &body));
        prop_assert_eq!(pieces.is_ok(), !tampered);
    }
}
