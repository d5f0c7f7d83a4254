//! [`SkipMetrics`]: the mark of a response that is not measured.

/// A response extension that excludes the request from all metrics.
///
/// [`MetricsHandler`](crate::MetricsHandler) sets it on every metrics page, so that scrapes are not measured.
/// Any handler can set it:
///
/// ```
/// use http::Response;
/// use tower_prometheus::http::SkipMetrics;
///
/// let mut response = Response::new("ok");
/// response.extensions_mut().insert(SkipMetrics);
/// ```
///
/// The mark is read with the response head. If the request had to wait before (an inner service was not
/// ready at once), its endpoint is registered with 0 requests.
#[derive(Clone, Copy, Debug)]
pub struct SkipMetrics;
