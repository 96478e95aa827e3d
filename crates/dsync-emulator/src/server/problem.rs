//! Error responses.

use http::StatusCode;
use serde_json::{Value, json};

/// Why a request fails.
#[derive(Debug)]
pub(super) enum Problem {
    /// Something that the request did not cause, or a limit.
    Fault(StatusCode),
    /// A parameter is missing or has a wrong value.
    Invalid { field: &'static str, message: String },
    /// There is no such path or method.
    NoRoute { method: String, path: String },
    /// There is no such object.
    NotFound { what: &'static str, id: String },
    /// There is no key, or a wrong one.
    Unauthorized,
}

impl Problem {
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Fault(status) => *status,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NoRoute { .. } | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) fn body(&self) -> Value {
        match self {
            Self::Fault(StatusCode::TOO_MANY_REQUESTS) => json!({
                "message": "Too many requests",
                "code": "rate_limit_exceeded",
            }),
            Self::Fault(_) => json!({ "message": "Internal server error" }),
            Self::Invalid { field, message } => json!({
                "message": "Validation failed",
                "code": "invalid_request_parameters",
                "errors": [{ "field": field, "code": message }],
            }),
            Self::NoRoute { method, path } => json!({
                "message": format!("Cannot {method} {path}"),
                "error": "Not Found",
                "statusCode": 404,
            }),
            Self::NotFound { what, id } => json!({
                "message": format!("{what} not found: '{id}'."),
                "code": "entity_not_found",
                "entity_id": id,
            }),
            Self::Unauthorized => json!({ "message": "Unauthorized" }),
        }
    }
}
