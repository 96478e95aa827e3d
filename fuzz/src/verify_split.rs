//! Checks that the result doesn't depend on the pieces in which a body is verified.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;
use tower_workos::{
    Rejection, RejectionKind, SignatureHeader, Timestamp, Verified, Verifier, VerifyError,
    WebhookSecret, WebhookSecrets, testing::ManualClock,
};

/// The settings of a verifier, a header, and a body with the offsets at which it is split.
#[derive(Debug, Arbitrary)]
pub struct Input {
    /// Secrets of the verifier. Invalid ones are left out.
    secrets: Vec<String>,
    body: Vec<u8>,
    /// The offsets at which the body is split, in any order, possibly repeated.
    cuts: Vec<u16>,
    /// The number in `t`.
    time: u64,
    leading_zeros: u8,
    /// The difference between the clock and `t`, in nanoseconds.
    age: i64,
    tolerance: u64,
    signatures: Vec<Signature>,
    /// A bit of the body that is changed after signing.
    flip: Option<u16>,
}

/// A `v1` element of the header.
#[derive(Debug, Arbitrary)]
enum Signature {
    /// Made with one of the verifier's secrets.
    Genuine { by: u8, upper: bool },
    /// The same, with one bit changed.
    Changed { by: u8, bit: u8 },
    /// Made with another secret.
    Foreign,
    /// Made over the body alone, without the time.
    Untimed { by: u8 },
    /// Not hex digits.
    Junk(u8),
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pick<T>(items: &[T], at: impl Into<usize>) -> Option<&T> {
    items.get(at.into() % items.len().max(1))
}

/// Checks that verification in pieces, as a whole, and with another implementation of HMAC agree.
///
/// # Panics
///
/// If they don't.
pub fn check(input: &Input) {
    // Most random strings contain a character that isn't allowed in a secret; removes those.
    let allowed =
        |char: &char| !char.is_control() && !char.is_whitespace() && !"\"'`$".contains(*char);
    let visible = |text: &String| text.chars().filter(allowed).collect();
    let texts: Vec<String> = input
        .secrets
        .iter()
        .map(visible)
        .filter(|text: &String| {
            let made = WebhookSecret::new(text);
            assert!(made.is_err() || !text.is_empty());
            made.is_ok()
        })
        .take(4)
        .collect();
    let secrets = texts.iter().filter_map(|text| WebhookSecret::new(text).ok());
    let Ok(secrets) = WebhookSecrets::new(secrets) else {
        assert!(texts.is_empty());
        return;
    };

    let zeros = "0".repeat(usize::from(input.leading_zeros % 4));
    let digits = format!("{zeros}{}", input.time % 10_000_000_000_000_000);
    if digits.len() > 16 {
        return;
    }
    let signed = [digits.as_bytes(), b".", &input.body].concat();
    let mac = |key: &str, message: &[u8]| hmac_sha256::HMAC::mac(message, key.as_bytes());
    let mut value = format!("t={digits}");
    let mut candidates = Vec::new();
    for signature in &input.signatures {
        let text = match signature {
            Signature::Genuine { by, upper } => {
                let Some(key) = pick(&texts, *by) else { return };
                let text = hex(&mac(key, &signed));
                if *upper { text.to_uppercase() } else { text }
            }
            Signature::Changed { by, bit } => {
                let Some(key) = pick(&texts, *by) else { return };
                let mut mac = mac(key, &signed);
                if let Some(byte) = mac.get_mut(usize::from(bit / 8)) {
                    *byte ^= 1 << (bit % 8);
                }
                hex(&mac)
            }
            Signature::Foreign => hex(&mac("another", &signed)),
            Signature::Untimed { by } => {
                let Some(key) = pick(&texts, *by) else { return };
                hex(&mac(key, &input.body))
            }
            Signature::Junk(length) => "z".repeat(usize::from(*length)),
        };
        value = format!("{value},v1={text}");
        candidates.push(text.to_lowercase());
    }
    candidates.truncate(8);
    candidates.retain(|text| text.len() == 64 && !text.contains('z'));
    let header: Result<SignatureHeader, _> = value.parse();
    assert_eq!(header.is_ok(), value.len() <= 1024 && !candidates.is_empty(), "{value}");
    let Ok(header) = header else { return };

    let mut body = input.body.clone();
    if let Some(flip) = input.flip
        && !body.is_empty()
    {
        let at = usize::from(flip / 8) % body.len();
        if let Some(byte) = body.get_mut(at) {
            *byte ^= 1 << (flip % 8);
        }
    }

    let issued_at = header.issued_at();
    let number = input.time % 10_000_000_000_000_000;
    let millis = if number < 100_000_000_000 { number * 1000 } else { number };
    // Relative to the time of the digits, even if it is outside the range of `Timestamp`.
    let age = Duration::from_nanos(input.age.unsigned_abs());
    let signed_at: SystemTime = UNIX_EPOCH + Duration::from_millis(millis);
    let now = if input.age < 0 { signed_at.checked_sub(age) } else { signed_at.checked_add(age) };
    let tolerance = Duration::from_nanos(input.tolerance);
    let verifier = Verifier::new(secrets)
        .tolerance(tolerance)
        .clock(ManualClock::new(now.unwrap_or(UNIX_EPOCH)));

    assert_eq!(
        issued_at,
        Timestamp::from_unix_millis_saturating(i64::try_from(millis).unwrap_or(i64::MAX))
    );
    let received = [digits.as_bytes(), b".", &body].concat();
    let signer = texts.iter().position(|key| candidates.contains(&hex(&mac(key, &received))));
    let expected = if age > tolerance {
        Err(RejectionKind::TimestampOutsideTolerance)
    } else {
        signer.map(|index| (issued_at, index)).ok_or(RejectionKind::SignatureMismatch)
    };

    let summary = |result: Result<Verified, VerifyError>| {
        result
            .map(|verified| verified.signature())
            .map(|signature| (signature.issued_at(), signature.secret_index()))
            .map_err(|error| Rejection::from(error).kind())
    };
    assert_eq!(summary(verifier.verify(&header, &body)), expected, "at once");
    let in_pieces = verifier.begin(&header).and_then(|mut verification| {
        let mut cuts: Vec<usize> =
            input.cuts.iter().map(|cut| usize::from(*cut) % (body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut from = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            verification.update(body.get(from..cut).unwrap_or_default());
            from = cut;
        }
        verification.finish()
    });
    assert_eq!(summary(in_pieces), expected, "in pieces");
}
