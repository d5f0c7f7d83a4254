//! [`HttpMetric`]: the metrics of an HTTP layer.

use metrics::Unit;

use crate::model::kind::Instrument;

/// A metric that an HTTP layer can record.
///
/// The variants are described with the names of [`Naming::classic`](crate::http::Naming::classic).
///
/// The first five are on by default in [`HttpMetrics::server`](crate::HttpMetrics::server) and
/// [`client`](crate::HttpMetrics::client). [`measure`](crate::HttpMetrics::measure) and
/// [`without`](crate::HttpMetrics::without) change that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpMetric {
    /// `http_requests_total`: number of requests that ended, by final status.
    Requests,
    /// `http_request_duration_seconds`: time from the start of a request to the end of its response; of a
    /// [long-lived](crate::http::LongLived) connection, to its response head.
    Duration,
    /// `http_requests_in_progress`: number of requests that have started and not ended. The request of a long-lived
    /// connection ends at its response head.
    InProgress,
    /// `http_response_bodies_aborted_total`: number of response bodies that were not completed. Bodies of
    /// long-lived connections do not count.
    AbortedBodies,
    /// `http_connections_open`: number of open [long-lived](crate::http::LongLived) connections.
    OpenConnections,
    /// `http_response_head_duration_seconds`: time from the start of a request to its response head. Off by
    /// default.
    ///
    /// Requests without a response are not recorded.
    HeadDuration,
    /// `http_response_body_size_bytes`: size of response bodies in bytes, as they passed the layer. Off by
    /// default.
    ///
    /// An aborted body is recorded with the bytes that passed. Long-lived connections and requests without a
    /// response are not recorded.
    ResponseBodySize,
    /// `http_request_body_size_bytes`: size of request bodies in bytes, as far as the service read them before
    /// the request ended. Off by default.
    ///
    /// Needs [`with_request_body`](crate::HttpMetrics::with_request_body), which turns it on.
    RequestBodySize,
    /// `http_request_body_duration_seconds`: time from the first poll of a request body to its end, or to the
    /// end of the request if that is earlier; 0 if the body was never polled. Off by default.
    ///
    /// Needs [`with_request_body`](crate::HttpMetrics::with_request_body), which turns it on.
    RequestBodyDuration,
}

impl HttpMetric {
    pub(crate) const COUNT: usize = 9;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Requests,
        Self::Duration,
        Self::InProgress,
        Self::AbortedBodies,
        Self::OpenConnections,
        Self::HeadDuration,
        Self::ResponseBodySize,
        Self::RequestBodySize,
        Self::RequestBodyDuration,
    ];

    /// The label that only this metric has.
    pub(crate) fn extra_label(self) -> Option<&'static str> {
        match self {
            Self::AbortedBodies => Some("reason"),
            Self::OpenConnections => Some("kind"),
            _ => None,
        }
    }

    /// The instrument, the unit and the HELP text.
    pub(crate) fn about(self) -> (Instrument, Option<Unit>, &'static str) {
        use Unit::{Bytes, Seconds};
        match self {
            HttpMetric::Requests => (
                Instrument::Counter,
                None,
                "Total number of HTTP requests, by final status.",
            ),
            HttpMetric::Duration => (
                Instrument::Histogram,
                Some(Seconds),
                "Duration of HTTP requests in seconds.",
            ),
            HttpMetric::InProgress => (
                Instrument::InProgress,
                None,
                "Number of HTTP requests in progress.",
            ),
            HttpMetric::AbortedBodies => (
                Instrument::Counter,
                None,
                "Total number of aborted HTTP response bodies, by reason.",
            ),
            HttpMetric::OpenConnections => (
                Instrument::InProgress,
                None,
                "Number of open long-lived connections (upgrades, tunnels, event streams), by kind.",
            ),
            HttpMetric::HeadDuration => (
                Instrument::Histogram,
                Some(Seconds),
                "Time to the HTTP response head in seconds.",
            ),
            HttpMetric::ResponseBodySize => (
                Instrument::Histogram,
                Some(Bytes),
                "Size of HTTP response bodies in bytes, up to their end or abort.",
            ),
            HttpMetric::RequestBodySize => (
                Instrument::Histogram,
                Some(Bytes),
                "Size of HTTP request bodies in bytes, as far as they were read.",
            ),
            HttpMetric::RequestBodyDuration => (
                Instrument::Histogram,
                Some(Seconds),
                "Time to read HTTP request bodies in seconds, from the first poll.",
            ),
        }
    }
}
