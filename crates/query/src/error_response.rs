//! [`ErrorResponse`]: the proxy's own error responses.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::body::QueryBody;

/// An error that the proxy reports to the client. It must not contain credentials or a URL.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    status: StatusCode,
    error_type: &'static str,
    error: &'static str,
    detail: String,
}

impl ErrorResponse {
    pub(crate) fn bad_data(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", error, detail)
    }

    pub(crate) fn not_found() -> Self {
        let status = StatusCode::NOT_FOUND;
        let detail = "the endpoints are query_range, services and health";
        Self::new(status, "not_found", "no such endpoint", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let error = "method not allowed";
        Self::new(
            status,
            "method_not_allowed",
            error,
            "the method must be GET",
        )
    }

    pub(crate) fn too_many_queries(max: usize) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = format!("at most {max} at once; try again in a second");
        Self::new(status, "too_many_queries", "too many queries", detail)
    }

    pub(crate) fn unavailable(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            error,
            detail,
        )
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        let detail = format!("no response within {limit:?}");
        Self::new(status, "timeout", "the upstream timed out", detail)
    }

    /// Returns an error for a response of the upstream that the proxy does not forward.
    pub(crate) fn bad_gateway(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", error, detail)
    }

    fn new(
        status: StatusCode,
        error_type: &'static str,
        error: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error_type,
            error,
            detail: detail.into(),
        }
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.status == StatusCode::GATEWAY_TIMEOUT
    }

    /// Returns error and detail in one line, for logs and for the health endpoint.
    pub(crate) fn summary(&self) -> String {
        format!("{}: {}", self.error, self.detail)
    }

    pub(crate) fn into_response(self) -> Response<QueryBody> {
        let text = format!(
            r#"{{"status":"error","errorType":"{}","error":{},"detail":{}}}"#,
            self.error_type,
            Value::from(self.error),
            Value::from(self.detail),
        );
        let mut response = json_response(self.status, text);
        let headers = response.headers_mut();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if self.error_type == "too_many_queries" {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
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
