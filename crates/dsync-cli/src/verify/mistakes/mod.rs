//! Common mistakes with a secret, a body or a signature.

mod bodies;
mod keys;
mod suspicions;
mod text;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(super) use self::suspicions::suspicions;
use self::{bodies::bodies, keys::keys};
use super::header::Parts;

/// In a longer body, at most one mistake is searched for.
const MAX_LENGTH_OF_TWO: usize = 1 << 20;

/// Finds the smallest set of at most two mistakes that explains a signature in the header: without them, it fits.
pub(super) fn find(secret: &str, header: &Parts, body: &[u8]) -> Option<Vec<&'static str>> {
    let keys = keys(secret);
    let bodies = bodies(body);
    let one_of_each = (1..=2).find_map(|mistakes| {
        let mut pairs = keys.iter().flat_map(|key| bodies.iter().map(move |body| (key, body)));
        pairs.find_map(|((key_name, key), (body_name, body))| {
            find_form(header, key, body, &[body_name, key_name], mistakes)
        })
    });
    one_of_each.or_else(|| {
        let (_, key) = keys.first()?;
        bodies.iter().skip(1).filter(|(_, body)| body.len() <= MAX_LENGTH_OF_TWO).find_map(
            |(outer, body)| {
                let inner = bodies::bodies(body);
                inner
                    .iter()
                    .skip(1)
                    .find_map(|(inner, body)| find_form(header, key, body, &[outer, inner], 2))
            },
        )
    })
}

/// Tries every form and hash with this key and body, with exactly this many mistakes in total.
fn find_form(
    header: &Parts,
    key: &[u8],
    body: &[u8],
    names: &[&'static str],
    mistakes: usize,
) -> Option<Vec<&'static str>> {
    let mut ways = FORMS.iter().flat_map(|form| HASHES.iter().map(move |hash| (form, hash)));
    ways.find_map(|((form_name, form), (hash_name, hash))| {
        let mut all: Vec<_> = names.iter().chain([form_name, hash_name]).copied().collect();
        all.retain(|name| !name.is_empty());
        if all.len() != mistakes {
            return None;
        }
        let digest = hash(key, &form(&header.time, body)?);
        header.signatures.contains(&digest).then_some(all)
    })
}

/// Builds the signed message from the digits of the time and the body. `None` if the form needs another number of digits.
type Form = fn(&str, &[u8]) -> Option<Vec<u8>>;

const FORMS: [(&str, Form); 10] = [
    ("", |time, body| Some(joined(time, "", body))),
    ("the body alone was signed; WorkOS signs `t`, a dot and the body", |_, body| {
        Some(body.to_vec())
    }),
    ("`t` and the body were signed without the dot between them", |time, body| {
        Some([time.as_bytes(), body].concat())
    }),
    ("the body was signed before `t`; WorkOS signs `t`, a dot and the body", |time, body| {
        Some([body, b".", time.as_bytes()].concat())
    }),
    ("the header's `t` is in milliseconds, but seconds were signed", |time, body| {
        Some(joined(shortened(time, 13, 3)?, "", body))
    }),
    ("the header's `t` is in seconds, but milliseconds were signed", |time, body| {
        (time.len() == 10).then(|| joined(time, "000", body))
    }),
    ("the header's `t` is in microseconds, but milliseconds were signed", |time, body| {
        Some(joined(shortened(time, 16, 3)?, "", body))
    }),
    ("the header's `t` is in microseconds, but seconds were signed", |time, body| {
        Some(joined(shortened(time, 16, 6)?, "", body))
    }),
    ("the header's `t` is in milliseconds, but microseconds were signed", |time, body| {
        (time.len() == 13).then(|| joined(time, "000", body))
    }),
    ("the header's `t` is in milliseconds, but nanoseconds were signed", |time, body| {
        (time.len() == 13).then(|| joined(time, "000000", body))
    }),
];

fn joined(time: &str, zeros: &str, body: &[u8]) -> Vec<u8> {
    [time.as_bytes(), zeros.as_bytes(), b".", body].concat()
}

/// Removes the last digits of a time that has this many digits.
fn shortened(time: &str, digits: usize, last: usize) -> Option<&str> {
    if time.len() == digits { time.get(..digits.checked_sub(last)?) } else { None }
}

type Hash = fn(&[u8], &[u8]) -> Vec<u8>;

const HASHES: [(&str, Hash); 3] = [
    ("", |key, message| {
        // HMAC accepts a key of any length.
        let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return Vec::new() };
        mac.chain_update(message).finalize().into_bytes().to_vec()
    }),
    ("a plain SHA-256 without the secret was used; WorkOS uses HMAC-SHA256", |_, message| {
        Sha256::digest(message).to_vec()
    }),
    ("a plain SHA-256 of secret and message was used; WorkOS uses HMAC-SHA256", |key, message| {
        Sha256::new().chain_update(key).chain_update(message).finalize().to_vec()
    }),
];
