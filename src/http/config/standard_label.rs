//! [`StandardLabel`]: the labels that the metrics of an HTTP layer have by default.

/// A label that the metrics of an HTTP layer have by default.
///
/// [`without_label`](crate::HttpMetrics::without_label) leaves a label out of all metrics,
/// [`standard_labels`](crate::HttpMetrics::standard_labels) sets those of one metric. The names here are those of
/// [`Naming::classic`](crate::http::Naming::classic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandardLabel {
    /// `method`: the request method.
    Method,
    /// `endpoint`: the route template.
    Endpoint,
    /// `status`: the status code, or why there was no response.
    ///
    /// Includes `error_kind`, the label of [error kinds](crate::HttpMetrics::with_error_kind), or OpenTelemetry's
    /// `error_type`: a metric has both labels or neither.
    Status,
}
