//! Connects to a server.

use std::{sync::Arc, time::Duration};

use async_nats::{
    ConnectErrorKind, ConnectOptions, ServerAddr,
    jetstream::{self, Context},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use super::TIMEOUT;
use crate::error::InboxError;

/// How often the connection is checked. A server that has disappeared without a word is noticed after two or three times
/// this.
const PING: Duration = Duration::from_secs(10);
/// The longest wait between two attempts to connect again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Connects to the server with this URL. Its user and password, or its token (a user without password), are percent-decoded.
pub(crate) async fn connect(url: &str) -> Result<Context, InboxError> {
    let (address, options) = options(url)?;
    let client = options
        .tls_client_config(tls()?)
        .name("tower-workos-inbox")
        .connection_timeout(TIMEOUT)
        .request_timeout(Some(TIMEOUT))
        .ping_interval(PING)
        .reconnect_delay_callback(|attempts| {
            let exponent = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
            RECONNECT.min(Duration::from_millis(10 << exponent))
        })
        .connect(address)
        .await
        .map_err(|error| {
            let hint = match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    "the NATS server rejected the user and password, or the token, of the URL"
                }
                ConnectErrorKind::Tls => "the connection to the NATS server failed: TLS",
                _ => "the NATS server can't be reached",
            };
            InboxError::storage(hint).caused(error)
        })?;
    Ok(jetstream::new(client))
}

/// Moves the credentials from the URL to the options, which async-nats does not do. Then no log of async-nats contains them.
fn options(url: &str) -> Result<(ServerAddr, ConnectOptions), InboxError> {
    // The cause can quote the URL.
    let invalid = || InboxError::config("the URL of the NATS server is not valid");
    let address: ServerAddr = url.parse().map_err(|_| invalid())?;
    let user = address.username().map(decode);
    let password = address.password().map(decode);
    let options = match (user, password) {
        (Some(token), None) => ConnectOptions::with_token(token),
        (None, None) => ConnectOptions::new(),
        (user, Some(password)) => {
            ConnectOptions::with_user_and_password(user.unwrap_or_default(), password)
        }
    };
    let mut url = address.into_inner();
    url.set_username("").map_err(|()| invalid())?;
    url.set_password(None).map_err(|()| invalid())?;
    Ok((ServerAddr::from_url(url).map_err(|_| invalid())?, options))
}

/// TLS with the certificate authorities of the machine. rustls panics if it has to choose between two compiled-in providers, so
/// the provider is explicit.
fn tls() -> Result<ClientConfig, InboxError> {
    let mut roots = RootCertStore::empty();
    // Without any, a TLS server is rejected.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| InboxError::config("TLS can't be set up").caused(error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Decodes `%40` and the like.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = match after {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = byte {
            decoded.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_moved_out_of_the_url() {
        let (address, _) = options("nats://w%40rk:p%3Aw%25d@example.com:4223").unwrap();
        assert_eq!(address.into_inner().as_str(), "nats://example.com:4223");
        assert_eq!(decode("w%40rk%"), "w@rk%");
        assert_eq!(decode("%zz%C3%A9"), "%zzé");
        let error = options("nats://user:secret@:99999999/").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(std::error::Error::source(&error).is_none());
    }
}
