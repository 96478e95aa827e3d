use std::{error::Error, fmt, net::IpAddr};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

/// Why a request was rejected because of its source address.
///
/// The middleware puts it into the extensions of the response, so that an outer layer can count or log it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceRejection {
    /// The address of the client is unknown: 500. The server or [`ClientAddress`](crate::source_address::ClientAddress) is set
    /// up incorrectly, or a request bypassed a proxy; the log has a hint.
    AddressUnknown,
    /// The address is in none of the listed networks: 403.
    #[non_exhaustive]
    NotListed {
        /// The address. An IPv4-mapped IPv6 address is in its IPv4 form.
        address: IpAddr,
    },
}

impl SourceRejection {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::AddressUnknown => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotListed { .. } => StatusCode::FORBIDDEN,
        }
    }

    /// The variant's name, a stable identifier for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AddressUnknown => "AddressUnknown",
            Self::NotListed { .. } => "NotListed",
        }
    }

    pub(super) fn to_response(&self) -> Response<Bytes> {
        let problem = match self {
            Self::AddressUnknown => {
                r#"{"type":"https://docs.rs/tower-workos/latest/tower_workos/source_address/enum.SourceRejection.html#variant.AddressUnknown","title":"Unknown client address","status":500,"detail":"The address of the client is unknown. Check the ClientAddress of SourceAddressLayer; in axum, serve the router with into_make_service_with_connect_info."}"#
            }
            Self::NotListed { .. } => {
                r#"{"type":"https://docs.rs/tower-workos/latest/tower_workos/source_address/enum.SourceRejection.html#variant.NotListed","title":"Address not allowed","status":403,"detail":"This endpoint does not accept requests from the address of the client."}"#
            }
        };
        let mut response = Response::new(Bytes::from_static(problem.as_bytes()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl fmt::Display for SourceRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressUnknown => f.write_str("the address of the client is unknown"),
            Self::NotListed { address } => {
                write!(f, "the address {address} is in none of the allowed networks")
            }
        }
    }
}

impl Error for SourceRejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_json_and_say_their_status() {
        let address = IpAddr::from([192, 0, 2, 1]);
        for (rejection, status) in
            [(SourceRejection::AddressUnknown, 500), (SourceRejection::NotListed { address }, 403)]
        {
            let response = rejection.to_response();
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(body["status"], status);
            assert!(
                body["type"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("#variant.{}", rejection.as_str()))
            );
            assert!(!body.to_string().contains("192.0.2.1"));
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }
}
