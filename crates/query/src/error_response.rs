//! [`ErrorResponse`]: the proxy's own error responses.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::body::QueryBody;

/// An error that the proxy reports to the client. It must not contain credentials or a URL.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    error_type: ErrorType,
    error: &'static str,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    BadData,
    NotFound,
    MethodNotAllowed,
    TooManyQueries,
    Unavailable,
    Timeout,
    BadGateway,
}

impl ErrorType {
    const fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyQueries | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
        }
    }

    /// The field `errorType` of the response.
    const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooManyQueries => "too_many_queries",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::BadGateway => "bad_gateway",
        }
    }
}

impl ErrorResponse {
    pub(crate) fn bad_data(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, error, detail)
    }

    pub(crate) fn not_found() -> Self {
        let detail = "the endpoints are query_range, services and health";
        Self::new(ErrorType::NotFound, "no such endpoint", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let (error, detail) = ("method not allowed", "the method must be GET");
        Self::new(ErrorType::MethodNotAllowed, error, detail)
    }

    pub(crate) fn too_many_queries(max: usize) -> Self {
        let detail = format!("at most {max} at once; try again in a second");
        Self::new(ErrorType::TooManyQueries, "too many queries", detail)
    }

    pub(crate) fn unavailable(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Unavailable, error, detail)
    }

    pub(crate) fn timeout(error: &'static str, limit: Duration) -> Self {
        let detail = format!("the time limit is {limit:?}");
        Self::new(ErrorType::Timeout, error, detail)
    }

    /// Returns an error for a response of the upstream that the proxy does not forward.
    pub(crate) fn bad_gateway(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::BadGateway, error, detail)
    }

    fn new(error_type: ErrorType, error: &'static str, detail: impl Into<String>) -> Self {
        Self {
            error_type,
            error,
            detail: detail.into(),
        }
    }

    pub(crate) fn error_type(&self) -> ErrorType {
        self.error_type
    }

    /// Returns error and detail in one line, for logs and for the health endpoint.
    pub(crate) fn summary(&self) -> String {
        format!("{}: {}", self.error, self.detail)
    }

    pub(crate) fn into_response(self) -> Response<QueryBody> {
        let text = format!(
            r#"{{"status":"error","errorType":"{}","error":{},"detail":{}}}"#,
            self.error_type.as_str(),
            Value::from(self.error),
            Value::from(self.detail),
        );
        let mut response = json_response(self.error_type.status(), text);
        let header = match self.error_type {
            ErrorType::MethodNotAllowed => Some((ALLOW, "GET")),
            ErrorType::TooManyQueries => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = header {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Returns a response that the proxy itself creates.
pub(crate) fn json_response(status: StatusCode, text: String) -> Response<QueryBody> {
    let mut response = Response::new(QueryBody::text(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
