//! [`SkipMetrics`]: marks a response that is not measured.

/// A response extension that excludes the request from all metrics.
///
/// [`MetricsHandler`](crate::MetricsHandler) sets it on every metrics page, so that scrapes are not measured.
/// Any handler or inner layer can set it. To exclude all requests to an endpoint, use
/// [`HttpMetrics::skip`](crate::HttpMetrics::skip).
///
/// ```
/// use http::Response;
/// use tower_prometheus::http::SkipMetrics;
///
/// let mut response = Response::new("ok");
/// response.extensions_mut().insert(SkipMetrics);
/// ```
///
/// The layer reads the mark with the response head. If the future of the inner service was pending before, the request
/// was in progress until then: the in-progress gauge of its endpoint is exported from then on. The
/// [crate documentation](crate#how-requests-end) has a table of all requests that are not counted.
#[derive(Clone, Copy, Debug)]
pub struct SkipMetrics;
