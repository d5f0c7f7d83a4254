//! Content negotiation of the metrics page.

use http::{HeaderMap, HeaderValue, Request};
use tower::ServiceExt;
use tower_prometheus::Registry;

pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
pub const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
pub const OPEN_METRICS_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub const OPEN_METRICS_0: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

/// Scrapes a registry with 30 series with these request headers. Returns the response headers.
#[track_caller]
pub fn negotiate(headers: HeaderMap) -> HeaderMap {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..30 {
            metrics::counter!("rows_total", "i" => i.to_string()).increment(1);
        }
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let response = runtime
        .block_on(registry.handler().oneshot(request))
        .unwrap();
    assert_eq!(response.status(), 200);
    response.headers().clone()
}

/// Headers with one name and several values, each in its own header line.
pub fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let values = values
        .iter()
        .map(|value| HeaderValue::from_str(value).unwrap());
    values
        .map(|value| (http::HeaderName::from_static(name), value))
        .collect()
}
