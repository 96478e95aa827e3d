//! The URL of the endpoint.

use std::{fmt, str::FromStr};

use http::{Uri, uri::Scheme};

/// A complete `http://` or `https://` URL.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    uri: Uri,
    text: String,
}

impl Endpoint {
    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// The path and query of the request line.
    pub(crate) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "give a URL such as http://localhost:3000/webhooks/workos";
        let invalid = || format!("not a valid URL: {example}");
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(format!("the URL does not begin with http:// or https://: {example}"));
        }
        let authority = uri.authority().ok_or_else(|| format!("the URL has no host: {example}"))?;
        if authority.as_str().contains('@') {
            return Err("a user name or password in the URL is not supported: remove it".to_owned());
        }
        let host = authority.host();
        if host.is_empty() || (authority.as_str() != host && authority.port_u16().is_none()) {
            return Err(invalid());
        }
        Ok(Self { uri, text: text.to_owned() })
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
    fn parses_urls() {
        let endpoint: Endpoint = "http://localhost:3000/hooks?a=b".parse().unwrap();
        assert!(!endpoint.is_https());
        assert_eq!(
            (endpoint.host(), endpoint.authority(), endpoint.path()),
            ("localhost", "localhost:3000", "/hooks?a=b")
        );
        let endpoint: Endpoint = "https://[::1]".parse().unwrap();
        assert!(endpoint.is_https());
        assert_eq!((endpoint.host(), endpoint.path()), ("[::1]", "/"));
    }

    #[test]
    fn rejects_everything_else() {
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
