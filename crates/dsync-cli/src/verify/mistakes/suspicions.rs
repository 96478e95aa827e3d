//! What may be the cause although nothing proves it: what was lost can't be put back.

use serde_json::Value;

/// What is seen in the secret and the body that a genuine delivery would not have.
pub(in crate::verify) fn suspicions(secret: &str, body: &[u8]) -> Vec<&'static str> {
    let mut found = Vec::new();
    if secret.trim().trim_start_matches(['"', '\'']).starts_with("sk_") {
        found.push(
            "the secret given here begins with `sk_`: that is an API key; the endpoint's secret is on its page in the dashboard and begins with `whsec_`",
        );
    }
    if body.starts_with(&[0x1f, 0x8b]) {
        found.push("the body begins as gzip does, and is cut off, damaged or very large");
        return found;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        found.push("the body is not UTF-8: it may be compressed, or was encoded again");
        return found;
    };
    if text.contains('\u{fffd}') {
        found.push(
            "the body has U+FFFD, which replaces what could not be decoded: it was decoded and encoded again, and the original is lost",
        );
    }
    if text.is_ascii() && serde_json::from_str(text).is_ok_and(|json| has_question_mark(&json)) {
        found.push(
            "the body has `?` where a letter is expected and nothing beyond ASCII: other characters may have been replaced, and the original is lost",
        );
    }
    found
}

/// Whether a text has a `?` next to a letter, and is neither a URL nor a question.
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
