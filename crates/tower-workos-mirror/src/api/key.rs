//! API keys.

use std::{env, fmt, sync::Arc};

use crate::error::ConfigError;

/// A key of the WorkOS API, which begins with `sk_`.
///
/// `Debug` does not show it, and there is no `Display`. Cloning it increments a reference count.
///
/// ```
/// use tower_workos_mirror::ApiKey;
///
/// assert!(ApiKey::new("sk_example_123456789").is_ok());
/// assert!(ApiKey::new("").is_err());
/// ```
#[derive(Clone)]
pub struct ApiKey(Arc<str>);

impl ApiKey {
    /// Creates a key from its text.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is empty, contains a space or anything other than printable ASCII, is in quotes, or begins with
    /// `whsec_`, as the secret of a webhook endpoint does.
    pub fn new(key: impl AsRef<str>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        let error = |problem: &str| {
            Err(ConfigError::new(format!(
                "the API key {problem}; copy it again from the WorkOS dashboard"
            )))
        };
        if key.is_empty() {
            return error("is empty");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return error("contains a space or a character that is not printable ASCII");
        }
        if key.starts_with(['"', '\'', '`']) {
            return error("is in quotes");
        }
        if key.starts_with("whsec_") {
            return error("is the secret of a webhook endpoint, not an API key");
        }
        Ok(Self(key.into()))
    }

    /// Reads the key from the environment variable `name`, for example `WORKOS_API_KEY`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the variable is not set or not Unicode, or if `name` is itself a key; otherwise as
    /// [`new`](Self::new).
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        if name.starts_with("sk_") {
            let hint = "pass the name of an environment variable, not the API key itself";
            return Err(ConfigError::new(hint));
        }
        let key = env::var(name).map_err(|_| {
            ConfigError::new(format!(
                "the environment variable {name} is not set or not Unicode: set it to the API key"
            ))
        })?;
        Self::new(key)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}
