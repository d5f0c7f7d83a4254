//! [`Problem`]: an error of the proxy's own, as its clients see it.

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::body::QueryBody;

/// Why a request was not answered by the upstream. Nothing in it comes from credentials or from URLs.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    error: &'static str,
    detail: String,
}

impl Problem {
    /// The request cannot be sent on as it is.
    pub(super) fn bad_data(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", error, detail)
    }

    pub(super) fn not_found() -> Self {
        let paths = "there are query_range, services and health";
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "no such endpoint",
            paths,
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let error = "the method is not allowed";
        Self::new(status, "method_not_allowed", error, "only GET is")
    }

    /// As many queries as may be are at work.
    pub(super) fn busy(most: usize) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = format!("at most {most} at once; try again in a second");
        Self::new(status, "too_many_queries", "too many queries", detail)
    }

    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(
            status,
            "unavailable",
            "the upstream cannot be reached",
            reason,
        )
    }

    pub(super) fn timeout(limit: std::time::Duration) -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        let detail = format!("no answer within {limit:?}");
        Self::new(status, "timeout", "the upstream is too slow", detail)
    }

    /// The upstream answered what the proxy does not pass on.
    pub(super) fn bad_answer(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", error, detail)
    }

    fn new(
        status: StatusCode,
        kind: &'static str,
        error: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            error,
            detail: detail.into(),
        }
    }

    /// One line, for logs and for what the health endpoint says.
    pub(super) fn line(&self) -> String {
        format!("{}: {}", self.error, self.detail)
    }

    pub(super) fn response(&self) -> Response<QueryBody> {
        let text = format!(
            r#"{{"status":"error","errorType":"{}","error":{},"detail":{}}}"#,
            self.kind,
            Value::from(self.error),
            Value::from(self.detail.as_str()),
        );
        let mut response = json(self.status, text);
        let headers = response.headers_mut();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if self.kind == "too_many_queries" {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A response of the proxy's own.
pub(super) fn json(status: StatusCode, text: String) -> Response<QueryBody> {
    let mut response = Response::new(QueryBody::whole(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
