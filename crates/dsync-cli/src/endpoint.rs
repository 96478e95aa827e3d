//! Whom to send to.

use std::{fmt, str::FromStr};

use http::{HeaderValue, Uri, uri::Scheme};

/// An `http://` or `https://` URL.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) secure: bool,
    /// As a resolver or a certificate has it: without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The `Host` header.
    pub(crate) authority: HeaderValue,
    /// Path and query, as the request line has it.
    pub(crate) path: Uri,
    text: String,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "such as http://localhost:3000/webhooks/workos";
        let uri: Uri = text.parse().map_err(|_| format!("not a URL {example}"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(format!("give a whole URL, {example}")),
        };
        let authority =
            uri.authority().ok_or_else(|| format!("no host in it; give a URL {example}"))?;
        if authority.as_str().contains('@') {
            return Err("a name and password in the URL are not supported".to_owned());
        }
        let host = authority.host();
        if host.is_empty() || (authority.as_str() != host && authority.port_u16().is_none()) {
            return Err(format!("not a URL {example}"));
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Ok(Self {
            secure,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| format!("not a URL {example}"))?,
            path: path.parse().map_err(|_| format!("not a URL {example}"))?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let endpoint: Endpoint = "http://localhost:3000/hooks?a=b".parse().unwrap();
        assert_eq!(
            (endpoint.host.as_str(), endpoint.port, endpoint.secure),
            ("localhost", 3000, false)
        );
        assert_eq!(
            (endpoint.path.to_string(), endpoint.authority),
            ("/hooks?a=b".into(), "localhost:3000".parse().unwrap())
        );
        let endpoint: Endpoint = "https://[::1]".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.secure), ("::1", 443, true));
        assert_eq!(endpoint.path.to_string(), "/");
    }

    #[test]
    fn rejects_the_rest() {
        for text in [
            "",
            "localhost",
            "localhost:3000/x",
            "/x",
            "ftp://a/b",
            "http://",
            "http://a b/",
            "http://u:p@h/",
            "http://h:70000/",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
