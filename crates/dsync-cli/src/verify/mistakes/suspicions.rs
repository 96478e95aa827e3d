//! Likely causes that can't be proven, because the original is lost.

use serde_json::Value;

/// Describes what a genuine delivery would not contain.
pub(in crate::verify) fn suspicions(secret: &str, body: &[u8]) -> Vec<&'static str> {
    let mut found = Vec::new();
    if secret.trim().trim_start_matches(['"', '\'']).starts_with("sk_") {
        found.push(
            "your secret begins with `sk_`, so it is an API key; use the endpoint's secret, which begins with `whsec_`, from its page in the dashboard",
        );
    }
    if body.starts_with(&[0x1f, 0x8b]) {
        found.push("the body begins like gzip, and is truncated, damaged or very large");
        return found;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        found.push("the body is not UTF-8: it may be compressed or in another encoding");
        return found;
    };
    if text.contains('\u{fffd}') {
        found.push(
            "the body contains U+FFFD, which replaces bytes that could not be decoded; the original is lost",
        );
    }
    if text.is_ascii() && serde_json::from_str(text).is_ok_and(|json| has_question_mark(&json)) {
        found.push(
            "the body contains `?` instead of letters and nothing beyond ASCII: other characters may have been replaced, and the original is lost",
        );
    }
    found
}

/// Returns whether a string contains a `?` inside a word. Ignores URLs and questions.
fn has_question_mark(json: &Value) -> bool {
    match json {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('?') {
                let word_before = before.ends_with(char::is_alphanumeric);
                let word_after = after.starts_with(char::is_alphanumeric);
                if !text.contains("://") && (word_before || word_after) {
                    return true;
                }
                rest = after;
            }
            false
        }
        Value::Array(list) => list.iter().any(has_question_mark),
        Value::Object(fields) => fields.values().any(has_question_mark),
        _ => false,
    }
}
