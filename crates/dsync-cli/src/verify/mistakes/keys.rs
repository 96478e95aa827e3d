//! Keys that the signer may have used instead of the secret.

use zeroize::Zeroizing;

use crate::verify::header::decode_base64;

/// The mistake that leads to a key, and the key.
type Key = (&'static str, Zeroizing<Vec<u8>>);

/// The first key is the secret itself.
pub(super) fn keys(secret: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut add = |name, key: &[u8]| keys.push((name, Zeroizing::new(key.to_vec())));
    let with = |before: &str, after: &str| Zeroizing::new([before, secret, after].concat());
    add("", secret.as_bytes());
    if secret.trim() != secret {
        add(
            "your secret has white space at its beginning or end; remove it",
            secret.trim().as_bytes(),
        );
    }
    add(
        "the signer's secret ends with a line break, yours does not (was it read from a file?)",
        with("", "\n").as_bytes(),
    );
    add(
        "the signer's secret ends with CR and LF, yours does not (was it read from a Windows file?)",
        with("", "\r\n").as_bytes(),
    );
    add("the signer's secret ends with a space, yours does not", with("", " ").as_bytes());
    add("the signer's secret begins with a space, yours does not", with(" ", "").as_bytes());
    let bare = secret.trim().trim_matches(['"', '\'']);
    if bare != secret.trim() {
        add("your secret is in quotes; remove them", bare.as_bytes());
    }
    for quote in ["\"", "'"] {
        add(
            "the signer's secret is in quotes (was a setting read with its quotes?)",
            with(quote, quote).as_bytes(),
        );
    }
    match bare.strip_prefix("whsec_") {
        Some(rest) => {
            add("the signer left out `whsec_`, which is part of the secret", rest.as_bytes());
            if let Some(decoded) = decode_base64(rest).map(Zeroizing::new) {
                add(
                    "the signer decoded the secret as base64, as Standard Webhooks and Svix do; WorkOS uses its text",
                    &decoded,
                );
            }
        }
        None => {
            add(
                "your secret lacks `whsec_`, which is part of the secret",
                Zeroizing::new(["whsec_", bare].concat()).as_bytes(),
            );
        }
    }
    if let Some(decoded) = decode_base64(bare).map(Zeroizing::new) {
        add("the signer decoded the secret as base64; WorkOS uses its text", &decoded);
    }
    if let Some(decoded) = hex::decode(bare).ok().map(Zeroizing::new) {
        add("the signer decoded the secret as hex; WorkOS uses its text", &decoded);
    }
    add("the signer's secret is EMPTY: anyone can sign with it", b"");
    keys
}
