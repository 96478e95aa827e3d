//! What the signer may have used as the key.

use zeroize::Zeroizing;

use crate::verify::header::{decode_base64, unhex};

/// A key, and the mistake that explains it; the first is the secret as it is.
type Key = (&'static str, Zeroizing<Vec<u8>>);

pub(super) fn keys(secret: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut add = |name, key: &[u8]| keys.push((name, Zeroizing::new(key.to_vec())));
    let with = |before: &str, after: &str| Zeroizing::new([before, secret, after].concat());
    add("", secret.as_bytes());
    if secret.trim() != secret {
        add(
            "the secret given here has white space at an end; without it the signature fits",
            secret.trim().as_bytes(),
        );
    }
    add(
        "the signer's secret ends with a line break, yours does not (a file read with the line break at its end?)",
        with("", "\n").as_bytes(),
    );
    add(
        "the signer's secret ends with CR and LF, yours does not (a file from Windows?)",
        with("", "\r\n").as_bytes(),
    );
    add("the signer's secret ends with a space, yours does not", with("", " ").as_bytes());
    add("the signer's secret begins with a space, yours does not", with(" ", "").as_bytes());
    let bare = secret.trim().trim_matches(['"', '\'']);
    if bare != secret.trim() {
        add("the secret given here is in quotes; without them the signature fits", bare.as_bytes());
    }
    for quote in ["\"", "'"] {
        add(
            "the signer's secret is in quotes (a setting read with its quotes?)",
            with(quote, quote).as_bytes(),
        );
    }
    match bare.strip_prefix("whsec_") {
        Some(rest) => {
            add("the signer left out `whsec_`; it is part of the secret", rest.as_bytes());
            if let Some(decoded) = decode_base64(rest).map(Zeroizing::new) {
                add(
                    "the signer decoded the secret as base64, as Standard Webhooks and Svix do; WorkOS uses its text",
                    &decoded,
                );
            }
        }
        None => {
            add(
                "the secret given here lacks `whsec_`; it is part of the secret",
                Zeroizing::new(["whsec_", bare].concat()).as_bytes(),
            );
        }
    }
    if let Some(decoded) = decode_base64(bare).map(Zeroizing::new) {
        add("the signer decoded the secret as base64; WorkOS uses its text", &decoded);
    }
    if let Some(decoded) = unhex(bare).map(Zeroizing::new) {
        add("the signer decoded the secret as hex; WorkOS uses its text", &decoded);
    }
    add("the signer's secret is EMPTY: anyone could have signed this", b"");
    keys
}
