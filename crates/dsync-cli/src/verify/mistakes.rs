//! The mistakes that people make between a secret, a body and a signature.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::header::{LooseHeader, unhex};
use crate::json::{Style, restyle};

/// The fewest mistakes, two at most, that make a signature fit; none where it fits as it is. `None` where nothing does.
pub(super) fn find(secret: &str, header: &LooseHeader, body: &[u8]) -> Option<Vec<&'static str>> {
    let keys = keys(secret);
    let bodies = bodies(body);
    (0..=2).find_map(|mistakes| {
        let mut pairs = keys.iter().flat_map(|key| bodies.iter().map(move |body| (key, body)));
        pairs.find_map(|((key_name, key), (body_names, body))| {
            let names: Vec<_> = body_names.iter().chain([key_name]).copied().collect();
            find_way(header, key, body, &names, mistakes)
        })
    })
}

/// The way in which key and body were signed, such that there are so many mistakes in all.
fn find_way(
    header: &LooseHeader,
    key: &[u8],
    body: &[u8],
    names: &[&'static str],
    mistakes: usize,
) -> Option<Vec<&'static str>> {
    let mut ways = FORMS.iter().flat_map(|form| HASHES.iter().map(move |hash| (form, hash)));
    ways.find_map(|((form_name, form), (hash_name, hash))| {
        let mut all: Vec<_> = names.iter().chain([form_name, hash_name]).copied().collect();
        all.retain(|name| !name.is_empty());
        if all.len() > mistakes {
            return None;
        }
        let message = form(header.time.as_deref(), body)?;
        // The encoding is a mistake of its own, which only the comparison shows.
        let encoding = compare(header, &hash(key, &message))?;
        all.extend(Some(encoding).filter(|name| !name.is_empty()));
        (all.len() == mistakes).then_some(all)
    })
}

fn compare(header: &LooseHeader, digest: &[u8]) -> Option<&'static str> {
    header.signatures.iter().find_map(|signature| {
        if signature.bytes == digest {
            Some(if signature.base64 {
                "the signature is written in base64; it must be hex"
            } else {
                ""
            })
        } else if !signature.base64
            && signature.bytes.len() < digest.len()
            && digest.starts_with(&signature.bytes)
        {
            Some("the signature is cut short")
        } else {
            None
        }
    })
}

/// Something other than what was given, and the mistakes that would explain it.
type Body<'a> = (Vec<&'static str>, Cow<'a, [u8]>);
type Key = (&'static str, Zeroizing<Vec<u8>>);

fn keys(secret: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut add = |name, key: &[u8]| keys.push((name, Zeroizing::new(key.to_vec())));
    let with = |end: &str| Zeroizing::new([secret, end].concat());
    add("", secret.as_bytes());
    if secret.trim() != secret {
        add(
            "the secret given here has white space at an end; without it the signature fits",
            secret.trim().as_bytes(),
        );
    }
    add(
        "the signer's secret ends with a line break, yours does not (a file read with its last line's end?)",
        with("\n").as_bytes(),
    );
    add(
        "the signer's secret ends with CR and LF, yours does not (a file from Windows?)",
        with("\r\n").as_bytes(),
    );
    add("the signer's secret ends with a space, yours does not", with(" ").as_bytes());
    add(
        "the signer's secret begins with a space, yours does not",
        [" ", secret].concat().as_bytes(),
    );
    let bare = secret.trim().trim_matches(['"', '\'']);
    if bare != secret.trim() {
        add("the secret given here is in quotes; without them the signature fits", bare.as_bytes());
    }
    add(
        "the signer's secret is in quotes (a setting read with its quotes?)",
        ["\"", secret, "\""].concat().as_bytes(),
    );
    match bare.strip_prefix("whsec_") {
        Some(rest) => {
            add("the signer left out `whsec_`; it is part of the secret", rest.as_bytes());
            if let Some(decoded) = decode(rest) {
                add(
                    "the signer decoded the secret as base64, as Standard Webhooks and Svix do; WorkOS uses its text",
                    &decoded,
                );
            }
        }
        None => {
            add(
                "the secret given here lacks `whsec_`; it is part of the secret",
                ["whsec_", bare].concat().as_bytes(),
            );
        }
    }
    if let Some(decoded) = decode(bare) {
        add("the signer decoded the secret as base64; WorkOS uses its text", &decoded);
    }
    if let Some(decoded) = unhex(bare) {
        add("the signer decoded the secret as hex; WorkOS uses its text", &decoded);
    }
    add("the signer's secret is EMPTY: anyone could have signed this", b"");
    keys
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim_end_matches('=');
    let decoded = general_purpose::STANDARD_NO_PAD.decode(text);
    decoded.or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(text)).ok().map(Zeroizing::new)
}

fn bodies(body: &[u8]) -> Vec<Body<'_>> {
    const LOST_LINE_BREAK: &str = "the body has lost the line break at its end (curl's -d takes them away: use --data-binary)";
    let mut bodies: Vec<Body<'_>> = vec![(Vec::new(), Cow::Borrowed(body))];
    let mut add = |name, other: Vec<u8>| {
        if other != body {
            let with_line_break = [&other, &b"\n"[..]].concat();
            bodies.push((vec![name], Cow::Owned(other)));
            bodies.push((vec![name, LOST_LINE_BREAK], Cow::Owned(with_line_break)));
        }
    };
    let trimmed = body.strip_suffix(b"\n").unwrap_or(body);
    add(
        "the body has gained a line break at its end (an editor, or `echo`)",
        trimmed.strip_suffix(b"\r").unwrap_or(trimmed).to_vec(),
    );
    add(LOST_LINE_BREAK, [body, b"\n"].concat());
    let Ok(text) = std::str::from_utf8(body) else { return bodies };
    add("the body has lost white space at its ends", text.trim().as_bytes().to_vec());
    add("the body's line breaks became CRLF", text.replace("\r\n", "\n").into_bytes());
    add(
        "the body's line breaks were CRLF and became LF",
        text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes(),
    );
    add(
        "the body has gained a byte order mark",
        text.trim_start_matches('\u{feff}').as_bytes().to_vec(),
    );
    let json = text.trim_start_matches('\u{feff}');
    let style = Style::default();
    let styles = [
        (
            "the body was parsed and written anew; compact, it fits: verify the bytes received, before any parsing",
            style,
        ),
        (
            "the body was written anew without its indentation (2 spaces): verify the bytes received, before any parsing",
            Style { indent: Some(2), ..style },
        ),
        (
            "the body was written anew without its indentation (4 spaces): verify the bytes received, before any parsing",
            Style { indent: Some(4), ..style },
        ),
        (
            "the body was signed as Python's json.dumps writes it, with spaces and \\u escapes: sign the bytes sent",
            Style { spaced: true, ascii: true, ..style },
        ),
        (
            "the body was signed with spaces after colons and commas: sign the bytes sent",
            Style { spaced: true, ..style },
        ),
        ("the body's \\u escapes became characters", Style { ascii: true, ..style }),
        (
            "the body was signed as PHP's json_encode writes it, with \\/ and \\u escapes: sign the bytes sent",
            Style { ascii: true, slashes: true, ..style },
        ),
        (
            "the body was signed with \\/ for slashes: sign the bytes sent",
            Style { slashes: true, ..style },
        ),
    ];
    for (name, style) in styles {
        if let Some(other) = restyle(json, style) {
            add(name, other.into_bytes());
        }
    }
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(json)
        && let Ok(sorted) = serde_json::to_vec(&value)
    {
        add("the body was signed compact with its keys sorted: sign the bytes sent", sorted);
    }
    bodies
}

/// What is signed, made of the time and the body; `None` where the header lacks the time for it.
type Form = fn(Option<&str>, &[u8]) -> Option<Vec<u8>>;

const FORMS: [(&str, Form); 6] = [
    ("", |time, body| Some([time?.as_bytes(), b".", body].concat())),
    ("the body alone was signed; WorkOS signs `t`, a dot and the body", |_, body| {
        Some(body.to_vec())
    }),
    ("`t` and the body were signed without the dot between them", |time, body| {
        Some([time?.as_bytes(), body].concat())
    }),
    ("the header's `t` is in milliseconds, but in seconds was signed", |time, body| {
        let seconds = time?.strip_suffix(|_: char| true)?.strip_suffix(|_: char| true)?;
        Some([seconds.strip_suffix(|_: char| true)?.as_bytes(), b".", body].concat())
    }),
    ("the header's `t` is in seconds, but in milliseconds was signed", |time, body| {
        Some([time?.as_bytes(), b"000.", body].concat())
    }),
    ("the body was signed before `t`; WorkOS signs `t`, a dot and the body", |time, body| {
        Some([body, b".", time?.as_bytes()].concat())
    }),
];

type Hash = fn(&[u8], &[u8]) -> Vec<u8>;

const HASHES: [(&str, Hash); 5] = [
    ("", hmac::<Hmac<Sha256>>),
    ("HMAC-SHA1 was used; WorkOS uses HMAC-SHA256", hmac::<Hmac<Sha1>>),
    ("HMAC-SHA512 was used; WorkOS uses HMAC-SHA256", hmac::<Hmac<Sha512>>),
    ("a plain SHA-256 without the secret was used; WorkOS uses HMAC-SHA256", |_, message| {
        Sha256::digest(message).to_vec()
    }),
    ("a plain SHA-256 of secret and message was used; WorkOS uses HMAC-SHA256", |key, message| {
        Sha256::new().chain_update(key).chain_update(message).finalize().to_vec()
    }),
];

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // No length of key is refused.
    let Ok(mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(message).finalize().into_bytes().to_vec()
}
