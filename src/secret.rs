//! Webhook secrets: checked once, prepared once, never shown.

use std::{env, fmt, sync::Arc};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ConfigError;

/// HMAC-SHA256 with a secret's key schedule already done, for one message.
pub(crate) type MacState = Hmac<Sha256>;

/// The secret of one WorkOS webhook endpoint, ready to verify with.
///
/// The text itself is not kept: only the HMAC state made from it, which is wiped when the last clone
/// goes. `Debug` does not show it.
///
/// The key is the secret's text as it stands in the WorkOS dashboard; a `whsec_` prefix is part of it and
/// nothing is decoded.
#[derive(Clone)]
pub struct WebhookSecret {
    keyed: Arc<MacState>,
}

impl WebhookSecret {
    /// Takes the secret's text.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptySecret`], or [`ConfigError::SecretWhitespace`] where it begins or ends with white
    /// space: both mean a broken configuration, and the first would let anyone sign.
    pub fn new(secret: impl AsRef<str>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.is_empty() {
            return Err(ConfigError::EmptySecret);
        }
        if secret.trim().len() != secret.len() {
            return Err(ConfigError::SecretWhitespace);
        }
        Self::from_key(secret.as_bytes())
    }

    /// Reads the secret from the environment variable `name`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingVariable`] where it is not set or not Unicode; else as [`WebhookSecret::new`].
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        let secret = env::var(name)
            .map(Zeroizing::new)
            .map_err(|_| ConfigError::MissingVariable(name.to_owned()))?;
        Self::new(secret.as_str())
    }

    /// Prepares a key of any bytes.
    pub(crate) fn from_key(key: &[u8]) -> Result<Self, ConfigError> {
        // RFC 2104 hashes a long key and pads a short one, so no length is refused.
        let keyed = MacState::new_from_slice(key).map_err(|_| ConfigError::EmptySecret)?;
        Ok(Self { keyed: Arc::new(keyed) })
    }

    /// A MAC that has seen the key and nothing else.
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

/// One or several [`WebhookSecret`]s, replaceable while requests are served.
///
/// Clones share the set: [`replace`](Self::replace) on one is seen by the verifiers made from any other, at
/// their next request. Reading takes no lock. A request whose body is arriving during the swap is judged by
/// the set it began with.
///
/// Each secret costs one HMAC a request, so drop an old one once
/// [`Verified::secret_index`](crate::Verified::secret_index) no longer names it.
#[derive(Clone)]
pub struct WebhookSecrets {
    set: Arc<ArcSwap<SecretSet>>,
}

impl WebhookSecrets {
    /// Takes the secrets, the newest first by convention.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSecrets`] where there is none.
    pub fn new(secrets: impl IntoIterator<Item = WebhookSecret>) -> Result<Self, ConfigError> {
        Ok(Self { set: Arc::new(ArcSwap::new(collect(secrets)?)) })
    }

    /// Puts other secrets in the place of the present ones, for all clones.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSecrets`] where there is none; the present ones then stay.
    pub fn replace(
        &self,
        secrets: impl IntoIterator<Item = WebhookSecret>,
    ) -> Result<(), ConfigError> {
        self.set.store(collect(secrets)?);
        Ok(())
    }

    /// How many secrets there are now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.set.load().rest.len() + 1
    }

    /// Calls `f` with the present set. Short: a swap meanwhile keeps the old set alive.
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

/// At least one secret; an empty set would verify against nothing.
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

/// The MAC of `timestamp` + `.` + `body`, whole.
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
    fn refuses_unusable_secrets() {
        assert_eq!(WebhookSecret::new("").unwrap_err(), ConfigError::EmptySecret);
        for secret in [" s", "s ", "s\n", "\ts", " ", "s\u{a0}"] {
            assert_eq!(
                WebhookSecret::new(secret).unwrap_err(),
                ConfigError::SecretWhitespace,
                "{secret:?}"
            );
        }
        assert!(WebhookSecret::new("a b").is_ok());
        assert_eq!(WebhookSecrets::new([]).unwrap_err(), ConfigError::NoSecrets);
        assert_eq!(
            WebhookSecret::from_env("TOWER_WORKOS_NOT_SET").unwrap_err(),
            ConfigError::MissingVariable("TOWER_WORKOS_NOT_SET".into())
        );
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
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "32850522003ebbce01a416e5d5df8ec8354a96e921cac7d0ebbaeef5732bdaea");
    }
}
