//! Predicts the response to a request, by the table in the library's documentation.

use tower_workos::RejectionKind;

use super::{
    NOW, SECRETS, TOLERANCE_MILLIS,
    body::Action,
    input::{Broken, Exchange, Hint, Verb},
};
use crate::{
    model::{Event, Reading},
    signature_header::Header,
};
use bytes::Buf;

/// The predicted outcome of a request that isn't dropped.
#[derive(Debug)]
pub(super) struct Prediction {
    /// The index of the secret if the handler is called, otherwise the rejection. `None` if the JSON is too deep for the model.
    pub(super) outcome: Option<Result<usize, RejectionKind>>,
    /// Whether the body is polled.
    pub(super) body_is_read: bool,
    /// All bytes of the body, if it ends.
    pub(super) sent: Vec<u8>,
}

pub(super) fn predict(
    exchange: &Exchange,
    actions: &[Action],
    limit: usize,
    timeout: u64,
) -> Prediction {
    let unread =
        |kind| Prediction { outcome: Some(Err(kind)), body_is_read: false, sent: Vec::new() };
    let read = |kind| Prediction { body_is_read: true, ..unread(kind) };
    let payload = exchange.payload.bytes();

    if !matches!(exchange.method, Verb::Post) {
        return unread(RejectionKind::MethodNotAllowed);
    }
    let lines = exchange.header.lines(&payload);
    let header = match lines.as_slice() {
        [] => return unread(RejectionKind::MissingSignature),
        [line] => Header::read(line),
        _ => None,
    };
    let Some(header) = header else { return unread(RejectionKind::MalformedSignature) };
    if header.millis().abs_diff(NOW) > TOLERANCE_MILLIS {
        return unread(RejectionKind::TimestampOutsideTolerance);
    }
    let declared = exchange.length.text(payload.len()).map_or(0, |text| declared(&text));
    let sent: u128 = actions.iter().map(length).sum();
    let hint = match exchange.hint {
        Hint::Nothing => 0,
        Hint::Exact => sent,
        Hint::AtLeast(least) => u128::from(least),
    };
    let limit = u128::try_from(limit).unwrap_or(u128::MAX);
    if declared.max(hint) > limit {
        return unread(RejectionKind::BodyTooLarge);
    }

    let mut bytes = Vec::new();
    let mut waited = 0;
    for action in actions {
        match action {
            Action::Data(data) => {
                bytes.extend_from_slice(data.first_ref());
                bytes.extend_from_slice(data.last_ref());
                if u128::try_from(bytes.len()).is_ok_and(|length| length > limit) {
                    return read(RejectionKind::BodyTooLarge);
                }
            }
            Action::Empties(_) | Action::Trailers | Action::Yield => {}
            Action::Wait(duration) => {
                waited += duration.as_millis();
                if waited > u128::from(timeout) {
                    return read(RejectionKind::BodyTimeout);
                }
            }
            Action::Error(Broken::Off) => return read(RejectionKind::BodyRead),
            Action::Error(Broken::TooLong | Broken::TooLongInside) => {
                return read(RejectionKind::BodyTooLarge);
            }
            Action::Never | Action::Endless => return read(RejectionKind::BodyTimeout),
        }
    }

    let signed = [header.digits.as_bytes(), b".", &bytes].concat();
    let signer = SECRETS.iter().zip(0..).find(|(secret, _)| {
        let mac = hmac_sha256::HMAC::mac(&signed, secret.as_bytes());
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        header.signatures.contains(&hex)
    });
    let Some((_, index)) = signer else { return read(RejectionKind::SignatureMismatch) };
    let outcome = match std::str::from_utf8(&bytes).map(Event::read) {
        Ok(Ok(Reading::Event(_))) => Some(Ok(index)),
        Ok(Ok(_)) | Err(_) => Some(Err(RejectionKind::InvalidPayload)),
        Ok(Err(_)) => None,
    };
    Prediction { outcome, body_is_read: true, sent: bytes }
}

fn length(action: &Action) -> u128 {
    match action {
        Action::Data(data) => u128::try_from(data.remaining()).unwrap_or(u128::MAX),
        _ => 0,
    }
}

/// The number in a `content-length`; zero if it isn't one, `u128::MAX` if it is larger than `u64::MAX`.
fn declared(text: &[u8]) -> u128 {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let number = digits.iter().fold(0_u128, |number, digit| {
        number.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
    });
    if number > u128::from(u64::MAX) { u128::MAX } else { number }
}

/// The status of each rejection, as documented.
pub(super) fn status(kind: RejectionKind) -> u16 {
    match kind {
        RejectionKind::MethodNotAllowed => 405,
        RejectionKind::MissingSignature => 401,
        RejectionKind::MalformedSignature => 400,
        RejectionKind::TimestampOutsideTolerance => 401,
        RejectionKind::BodyTooLarge => 413,
        RejectionKind::BodyTimeout => 408,
        RejectionKind::BodyRead => 400,
        RejectionKind::SignatureMismatch => 401,
        RejectionKind::InvalidPayload => 422,
        _ => 0,
    }
}
