//! The errors of requests, as clients receive them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request failed. Each message is one sentence that names the field or thing at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The token is missing or wrong, or the request comes from another page.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The requested thing does not exist, or no longer exists.
    #[error("{0}")]
    NotFound(String),
    /// A field of the request has a value that cannot be used.
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
    /// The body is too large.
    #[error("{0}")]
    TooLarge(String),
    /// The server does not accept more work at the moment.
    #[error("the studio is busy: try again in {seconds} s")]
    Busy { seconds: u64 },
    /// The client did not send its body in time.
    #[error("the body of the request did not arrive in time")]
    Slow,
    /// The program has a defect.
    #[error("internal: {0}")]
    Internal(String),
}

/// The body of every failed request.
#[derive(Serialize)]
struct Body {
    error: String,
}

impl ApiError {
    pub(crate) fn field(field: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Field { field, reason }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Field { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<chimle_core::Error> for ApiError {
    fn from(error: chimle_core::Error) -> Self {
        use chimle_core::Error;
        let reason = error.to_string();
        match error {
            Error::Recipe { reason } => Self::field("recipe", reason),
            Error::Setting { .. } | Error::Data(_) | Error::Search(_) => {
                Self::field("request", reason)
            }
            Error::OutOfMemory => Self::Busy { seconds: 10 },
            _ => Self::Internal(reason),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = self.to_string();
        let mut response = (self.status(), Json(Body { error })).into_response();
        if let Self::Busy { seconds } = self {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
