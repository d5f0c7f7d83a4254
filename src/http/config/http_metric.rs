//! [`HttpMetric`]: the metrics of an HTTP layer.

use metrics::Unit;

use crate::model::kind::Instrument;

/// A metric that an HTTP layer can record.
///
/// The variants are described with the names of [`Naming::classic`](crate::http::Naming::classic). Their labels:
///
/// | metrics | labels |
/// |---|---|
/// | [`Requests`](Self::Requests), [`Responses`](Self::Responses) | `method`, `endpoint`, `status` |
/// | [`Duration`](Self::Duration), [`HeadDuration`](Self::HeadDuration), [`ResponseBodySize`](Self::ResponseBodySize), [`RequestBodySize`](Self::RequestBodySize), [`RequestBodyDuration`](Self::RequestBodyDuration) | `method`, `endpoint`; with [`status_on_durations`](crate::HttpMetrics::status_on_durations) also `status` |
/// | [`InProgress`](Self::InProgress), [`ResponseBytes`](Self::ResponseBytes) | `method`, `endpoint`; with OpenTelemetry's names, `InProgress` has no endpoint |
/// | [`AbortedBodies`](Self::AbortedBodies), [`AbortedRequestBodies`](Self::AbortedRequestBodies) | `method`, `endpoint`, `reason` |
/// | [`OpenConnections`](Self::OpenConnections), [`ConnectionDuration`](Self::ConnectionDuration) | `endpoint`, `kind` |
///
/// The presets add:
///
/// | preset | metrics | labels |
/// |---|---|---|
/// | [`HttpMetrics::client`](crate::HttpMetrics::client) | all | `host` |
/// | [`HttpMetrics::open_telemetry_client`](crate::HttpMetrics::open_telemetry_client) | all | `server_address`, `server_port` |
/// | [`HttpMetrics::open_telemetry`](crate::HttpMetrics::open_telemetry) | all | `url_scheme` |
/// | both of OpenTelemetry | requests and responses (off by default), durations, sizes, response bytes | `network_protocol_version` |
/// | both of OpenTelemetry | those with the status | `error_type` |
///
/// [`standard_labels`](crate::HttpMetrics::standard_labels) changes the standard labels of one metric: method, endpoint and
/// status.
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
    /// `http_response_bodies_aborted_total`: number of response bodies that were not completed, by `reason`.
    ///
    /// The body of a [long-lived](crate::http::LongLived) connection counts if it returns an error or panics. It does
    /// not count if the client leaves.
    AbortedBodies,
    /// `http_connections_open`: number of open [long-lived](crate::http::LongLived) connections, by endpoint and `kind`.
    ///
    /// These are open [GET event streams](crate#glossary), and responses that your handler marks with
    /// [`LongLived`](crate::http::LongLived). An event stream marked [`FiniteStream`](crate::http::FiniteStream) is in
    /// the gauge only if it is marked `LongLived`, too. WebSockets and tunnels are in the gauge only with
    /// [`LongLived::guarded`](crate::http::LongLived::guarded).
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
    /// `http_request_bodies_aborted_total`: number of request bodies that were not completed, by `reason`. Off by
    /// default.
    ///
    /// | `reason` | |
    /// |---|---|
    /// | `error` | the body returned an error: the client disconnected during an upload, for example. A handler may still have responded, often with 400 |
    /// | `dropped` | the request was cancelled while its body was read |
    ///
    /// A body that the service does not read to its end is not aborted. Needs
    /// [`with_request_body`](crate::HttpMetrics::with_request_body), which turns it on.
    AbortedRequestBodies,
    /// `http_responses_total`: number of requests that got a response, by status code. Off by default.
    ///
    /// Unlike [`Requests`](Self::Requests), it has no requests that failed, panicked or were cancelled before there
    /// was a response. For services whose `http_requests_total` has
    /// [no label](crate::HttpMetrics::standard_labels) `status`.
    Responses,
    /// `http_response_body_bytes_total`: number of bytes of response bodies. Off by default.
    ///
    /// It grows while a body streams, including that of an event stream or of another
    /// [long-lived](crate::http::LongLived) response. Bytes of an upgraded connection, such as a WebSocket, are not
    /// counted: they are not part of a response body.
    ResponseBytes,
    /// `http_connection_duration_seconds`: lifetime of [long-lived](crate::http::LongLived) connections, recorded when
    /// they end. Off by default.
    ///
    /// A connection that is not in the gauge [`OpenConnections`](Self::OpenConnections) is not recorded here either: an
    /// upgrade without a [guard](crate::http::LongLived::guarded), or one whose guard is dropped before the layer reads
    /// the response head.
    ///
    /// [`connection_buckets`](crate::HttpMetrics::connection_buckets) sets its bounds, and lists the default ones.
    ConnectionDuration,
}

impl HttpMetric {
    pub(crate) const COUNT: usize = 13;

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
        Self::AbortedRequestBodies,
        Self::Responses,
        Self::ResponseBytes,
        Self::ConnectionDuration,
    ];

    /// The metrics that only a layer that sees request bodies can record.
    pub(crate) const OF_REQUEST_BODIES: [Self; 3] = [
        Self::RequestBodySize,
        Self::RequestBodyDuration,
        Self::AbortedRequestBodies,
    ];

    /// Whether the metric is on in [`HttpMetrics::server`](crate::HttpMetrics::server).
    pub(crate) fn is_default(self) -> bool {
        (self as usize) <= Self::OpenConnections as usize
    }

    pub(crate) fn has_size_buckets(self) -> bool {
        matches!(self, Self::ResponseBodySize | Self::RequestBodySize)
    }

    /// Whether the metric can have the label `status`: it is recorded once for each request or response, by its status.
    /// Aborted bodies, which are counted when a request ends too, have `reason` instead.
    pub(crate) fn can_have_status(self) -> bool {
        match self {
            Self::Requests
            | Self::Duration
            | Self::HeadDuration
            | Self::ResponseBodySize
            | Self::RequestBodySize
            | Self::RequestBodyDuration
            | Self::Responses => true,
            Self::InProgress
            | Self::AbortedBodies
            | Self::OpenConnections
            | Self::AbortedRequestBodies
            | Self::ResponseBytes
            | Self::ConnectionDuration => false,
        }
    }

    /// Whether the metric counts connections, which have a kind instead of a method.
    pub(crate) fn is_of_connections(self) -> bool {
        matches!(self, Self::OpenConnections | Self::ConnectionDuration)
    }

    /// The label that only this metric has.
    pub(crate) fn extra_label(self) -> Option<&'static str> {
        match self {
            Self::AbortedBodies | Self::AbortedRequestBodies => Some("reason"),
            Self::OpenConnections | Self::ConnectionDuration => Some("kind"),
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
            HttpMetric::AbortedRequestBodies => (
                Instrument::Counter,
                None,
                "Total number of aborted HTTP request bodies, by reason.",
            ),
            HttpMetric::Responses => (
                Instrument::Counter,
                None,
                "Total number of HTTP responses, by status.",
            ),
            HttpMetric::ResponseBytes => (
                Instrument::Counter,
                Some(Bytes),
                "Total number of bytes of HTTP response bodies.",
            ),
            HttpMetric::ConnectionDuration => (
                Instrument::Histogram,
                Some(Seconds),
                "Lifetime of long-lived connections in seconds, by kind.",
            ),
        }
    }
}
