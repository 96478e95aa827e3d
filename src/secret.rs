//! Webhook secrets.

use std::{env, fmt, sync::Arc};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// The state of HMAC-SHA256 for one message, after the key has been processed.
pub(crate) type MacState = Hmac<Sha256>;

/// The secret of one WorkOS webhook endpoint.
///
/// Only the HMAC state computed from the secret is kept, not its text. The state is wiped when the last clone is
/// dropped. `Debug` does not print it.
///
/// The HMAC key is the text exactly as the WorkOS dashboard shows it: a `whsec_` prefix is part of it, and nothing is
/// decoded.
///
/// ```
/// use tower_workos::{ConfigError, WebhookSecret};
///
/// assert!(WebhookSecret::new("whsec_from_the_dashboard").is_ok());
/// assert_eq!(WebhookSecret::new("").unwrap_err(), ConfigError::EmptySecret);
/// ```
#[derive(Clone)]
pub struct WebhookSecret {
    keyed: Arc<MacState>,
}

impl WebhookSecret {
    /// Creates a secret from its text.
    ///
    /// # Errors
    ///
    /// If the text can't be the secret of an endpoint. With an empty secret, anybody could sign; with the others, every
    /// delivery would be rejected:
    ///
    /// - [`ConfigError::EmptySecret`]
    /// - [`ConfigError::SecretWhitespace`]: it begins or ends with white space
    /// - [`ConfigError::SecretInvisible`]: it contains a control or zero-width character, or a byte order mark
    /// - [`ConfigError::SecretQuoted`]: it is in quotes
    /// - [`ConfigError::SecretTemplate`]: it contains `${…}`, or is `$NAME` in capitals, `$(…)` or `{{…}}`
    /// - [`ConfigError::SecretApiKey`]: it begins with `sk_`
    /// - [`ConfigError::SecretPlaceholder`]: it is `undefined` or `null`
    /// - [`ConfigError::SecretPrefixOnly`]: it is `whsec_`
    ///
    /// Any other text is valid, with or without `whsec_`.
    pub fn new(secret: impl AsRef<str>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        check(secret)?;
        Self::from_key(secret.as_bytes())
    }

    /// Reads the secret from the environment variable `name`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingVariable`] if it is not set or not Unicode, [`ConfigError::SecretAsVariable`] if `name` is a
    /// secret; otherwise as [`WebhookSecret::new`].
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        if ["whsec_", "sk_"].iter().any(|prefix| name.starts_with(prefix)) {
            return Err(ConfigError::SecretAsVariable);
        }
        let secret = env::var(name)
            .map(Zeroizing::new)
            .map_err(|_| ConfigError::MissingVariable(name.to_owned()))?;
        Self::new(secret.as_str())
    }

    /// Creates a secret from a key of any bytes.
    pub(crate) fn from_key(key: &[u8]) -> Result<Self, ConfigError> {
        // RFC 2104 hashes a long key and pads a short one, so no length is rejected.
        let keyed = MacState::new_from_slice(key).map_err(|_| ConfigError::EmptySecret)?;
        Ok(Self { keyed: Arc::new(keyed) })
    }

    /// A MAC that has processed only the key.
    #[inline]
    pub(crate) fn mac(&self) -> MacState {
        MacState::clone(&self.keyed)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Finds common mistakes in copying and configuration. Text that could be a genuine secret passes.
fn check(secret: &str) -> Result<(), ConfigError> {
    if secret.is_empty() {
        return Err(ConfigError::EmptySecret);
    }
    if secret.trim().len() != secret.len() {
        return Err(ConfigError::SecretWhitespace);
    }
    if let Some((_, at)) = secret.chars().zip(1..).find(|&(character, _)| is_invisible(character)) {
        return Err(ConfigError::SecretInvisible { at });
    }
    if is_quoted(secret) {
        return Err(ConfigError::SecretQuoted);
    }
    if is_template(secret) {
        return Err(ConfigError::SecretTemplate);
    }
    if secret.starts_with("sk_") {
        return Err(ConfigError::SecretApiKey);
    }
    if secret.eq_ignore_ascii_case("undefined") || secret.eq_ignore_ascii_case("null") {
        return Err(ConfigError::SecretPlaceholder);
    }
    if secret == "whsec_" {
        return Err(ConfigError::SecretPrefixOnly);
    }
    Ok(())
}

/// Control characters, and characters without a width: joiners, direction marks, the byte order mark.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Quotes on both sides, straight or typographic.
fn is_quoted(secret: &str) -> bool {
    const QUOTES: [(char, char); 5] =
        [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    let within =
        |(open, close)| secret.strip_prefix(open).is_some_and(|rest| rest.ends_with(close));
    QUOTES.into_iter().any(within)
}

/// `${…}` anywhere; `$(…)`, `{{…}}` or `$NAME` as the whole text. Only capitals count as a name: `$ecret` may be genuine.
fn is_template(secret: &str) -> bool {
    let braces = secret.split_once("${").is_some_and(|(_, rest)| rest.contains('}'));
    let whole = |open, close| secret.starts_with(open) && secret.ends_with(close);
    let name = secret.strip_prefix('$').is_some_and(|name| {
        let first = name.starts_with(|it: char| it == '_' || it.is_ascii_uppercase());
        first && name.chars().all(|it| it == '_' || it.is_ascii_uppercase() || it.is_ascii_digit())
    });
    braces || whole("$(", ")") || whole("{{", "}}") || name
}

/// One or more [`WebhookSecret`]s, which can be replaced while requests are served.
///
/// Clones share the set: after [`replace`](Self::replace) on one of them, every verifier that holds a clone uses the
/// new set, starting with its next request. Reading takes no lock. A request whose body is arriving during the replacement is
/// verified with the old set.
///
/// Each secret costs one HMAC for each request, so remove an old one once
/// [`SignatureInfo::secret_index`](crate::SignatureInfo::secret_index) no longer returns its index.
///
/// ```
/// use tower_workos::{ConfigError, WebhookSecret, WebhookSecrets};
///
/// # fn main() -> Result<(), ConfigError> {
/// let (old, new) = (WebhookSecret::new("whsec_old")?, WebhookSecret::new("whsec_new")?);
/// let secrets = WebhookSecrets::from(old.clone());
/// // Give `secrets.clone()` to the layer. During a rotation, accept both:
/// secrets.replace([new.clone(), old])?;
/// // Afterwards:
/// secrets.replace([new])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WebhookSecrets {
    set: Arc<ArcSwap<SecretSet>>,
}

impl WebhookSecrets {
    /// Creates a set. By convention, the newest secret comes first.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSecrets`] if there is none.
    pub fn new(secrets: impl IntoIterator<Item = WebhookSecret>) -> Result<Self, ConfigError> {
        Ok(Self { set: Arc::new(ArcSwap::new(collect(secrets)?)) })
    }

    /// Replaces the secrets in this set and in all of its clones.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSecrets`] if there is none. The set does not change in that case.
    pub fn replace(
        &self,
        secrets: impl IntoIterator<Item = WebhookSecret>,
    ) -> Result<(), ConfigError> {
        self.set.store(collect(secrets)?);
        Ok(())
    }

    /// The number of secrets.
    #[must_use]
    pub fn count(&self) -> usize {
        self.set.load().rest.len() + 1
    }

    /// Calls `f` with the current set, which stays alive during the call.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&SecretSet) -> T) -> T {
        f(&self.set.load())
    }
}

impl From<WebhookSecret> for WebhookSecrets {
    fn from(secret: WebhookSecret) -> Self {
        Self { set: Arc::new(ArcSwap::from_pointee(SecretSet { first: secret, rest: Vec::new() })) }
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSecrets").field("count", &self.count()).finish()
    }
}

/// At least one secret.
pub(crate) struct SecretSet {
    pub(crate) first: WebhookSecret,
    pub(crate) rest: Vec<WebhookSecret>,
}

impl SecretSet {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &WebhookSecret> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

fn collect(
    secrets: impl IntoIterator<Item = WebhookSecret>,
) -> Result<Arc<SecretSet>, ConfigError> {
    let mut secrets = secrets.into_iter();
    let first = secrets.next().ok_or(ConfigError::NoSecrets)?;
    Ok(Arc::new(SecretSet { first, rest: secrets.collect() }))
}

/// The MAC of `timestamp`, a full stop and `body`.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn sign(secret: &WebhookSecret, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    use hmac::Mac;

    let mut mac = secret.mac();
    mac.update(timestamp);
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_unusable_secrets() {
        assert_eq!(WebhookSecret::new("").unwrap_err(), ConfigError::EmptySecret);
        for secret in [" s", "s ", "s\n", "\ts", " ", "s\u{a0}"] {
            assert_eq!(
                WebhookSecret::new(secret).unwrap_err(),
                ConfigError::SecretWhitespace,
                "{secret:?}"
            );
        }
        let invisible = |at| ConfigError::SecretInvisible { at };
        for (secret, error) in [
            ("\"whsec_5f1c\"", ConfigError::SecretQuoted),
            ("'whsec_5f1c'", ConfigError::SecretQuoted),
            ("`whsec_5f1c`", ConfigError::SecretQuoted),
            ("\u{201c}whsec_5f1c\u{201d}", ConfigError::SecretQuoted),
            ("\u{2018}whsec_5f1c\u{2019}", ConfigError::SecretQuoted),
            ("\"\"", ConfigError::SecretQuoted),
            ("'sk_test_5f1c'", ConfigError::SecretQuoted),
            ("sk_test_5f1c", ConfigError::SecretApiKey),
            ("sk_live_5f1c", ConfigError::SecretApiKey),
            ("sk_", ConfigError::SecretApiKey),
            ("undefined", ConfigError::SecretPlaceholder),
            ("null", ConfigError::SecretPlaceholder),
            ("NULL", ConfigError::SecretPlaceholder),
            ("whsec_", ConfigError::SecretPrefixOnly),
            ("${WORKOS_WEBHOOK_SECRET}", ConfigError::SecretTemplate),
            ("${}", ConfigError::SecretTemplate),
            ("whsec_${SUFFIX}", ConfigError::SecretTemplate),
            ("$WORKOS_WEBHOOK_SECRET", ConfigError::SecretTemplate),
            ("$_1", ConfigError::SecretTemplate),
            ("$(WORKOS_WEBHOOK_SECRET)", ConfigError::SecretTemplate),
            ("{{ .Values.secret }}", ConfigError::SecretTemplate),
            ("\u{feff}whsec_5f1c", invisible(1)),
            ("whsec_5f1c\u{feff}", invisible(11)),
            ("whsec_\u{200b}5f1c", invisible(7)),
            ("whsec_5f\u{ad}1c", invisible(9)),
            ("whsec_5f1c\u{200d}", invisible(11)),
            ("\u{202a}whsec_5f1c", invisible(1)),
            ("whsec_\n5f1c", invisible(7)),
            ("whsec_\r5f1c", invisible(7)),
            ("whsec_\t5f1c", invisible(7)),
            ("whsec_\u{0}5f1c", invisible(7)),
            ("é\u{7f}5", invisible(2)),
            ("\"\u{feff}\"", invisible(2)),
        ] {
            assert_eq!(WebhookSecret::new(secret).unwrap_err(), error, "{secret:?}");
            // What to do next, and no part of the secret.
            let text = error.to_string();
            assert!(text.contains("; ") && !text.contains("5f1c"), "{text}");
        }
        // Unusual, but possible: a secret is whatever the dashboard or an emulator shows.
        for secret in [
            "a b",
            "s",
            "secret",
            "5f1c",
            "whsec_5f1c",
            "WHSEC_",
            "\"",
            "'tis",
            "it's'",
            "\"a'",
            "skeleton",
            "a_sk_b",
            "undefined1",
            "nullify",
            "$ecret",
            "$",
            "$1",
            "$NAME-x",
            "a$NAME",
            "${",
            "$}{",
            "{{a",
            "пароль",
            "日本語",
        ] {
            assert!(WebhookSecret::new(secret).is_ok(), "{secret:?}");
        }
        assert_eq!(WebhookSecrets::new([]).unwrap_err(), ConfigError::NoSecrets);
        assert_eq!(
            WebhookSecret::from_env("TOWER_WORKOS_NOT_SET").unwrap_err(),
            ConfigError::MissingVariable("TOWER_WORKOS_NOT_SET".into())
        );
        for secret in ["whsec_canary", "sk_canary"] {
            let error = WebhookSecret::from_env(secret).unwrap_err();
            assert_eq!(error, ConfigError::SecretAsVariable, "the secret is not repeated");
        }
    }

    #[test]
    fn replacing_with_nothing_keeps_the_set() {
        let secrets = WebhookSecrets::from(WebhookSecret::new("one").unwrap());
        assert_eq!(secrets.replace([]), Err(ConfigError::NoSecrets));
        assert_eq!(secrets.count(), 1);
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = WebhookSecret::new("whsec_canary").unwrap();
        let secrets = WebhookSecrets::new([secret.clone(), secret.clone()]).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret(..)");
        assert_eq!(format!("{secrets:?}"), "WebhookSecrets { count: 2 }");
    }

    #[test]
    fn signs_as_the_workos_crate_does() {
        let secret = WebhookSecret::new("secret").unwrap();
        let mac = sign(&secret, b"1700000000000", b"body");
        assert_eq!(
            const_hex::encode(mac),
            "32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea"
        );
    }
}
