//! The presets of [`HttpMetrics`]: clients, OpenTelemetry, and the names of the crate axum-prometheus.

use crate::http::config::http_metric::HttpMetric;
use crate::http::config::http_metrics::HttpMetrics;
use crate::http::config::naming::Naming;
use crate::http::config::preset_labels;
use crate::sink::side::Side;

impl HttpMetrics {
    /// Creates the default configuration for clients, with the names of [`Naming::client`] and the label
    /// `host`.
    ///
    /// The endpoint label is usually the [`Endpoint`](crate::http::Endpoint) extension of the request. The other
    /// [sources](crate::http::Endpoint#how-the-endpoint-is-determined), such as [`endpoint_fn`](Self::endpoint_fn) and
    /// [`route_patterns`](Self::route_patterns), work for clients too. If no source names an endpoint, the label is
    /// empty. The label `host` is the host of the URI, otherwise of the `host` header, in lower case and without
    /// the port. The first 100 hosts are kept; further ones are recorded as `overflow`. This limit cannot be changed.
    /// [`HttpLabel::port`](crate::http::HttpLabel::port) tells the ports of a host apart.
    ///
    /// The layer wraps services of `http::Request`, such as the client of hyper-util. reqwest has request and response
    /// types of its own. With this adapter, a measured request returns a `reqwest::Response`:
    /// `client.send("/users/{id}", client.reqwest.get(url)).await?.json().await?`.
    ///
    // Compiled and tested in `examples/integrations`, which depends on reqwest.
    #[cfg_attr(not(doctest), doc = "```")]
    #[cfg_attr(not(doctest), doc = include_str!("../../../docs/guide/reqwest.rs"))]
    #[cfg_attr(not(doctest), doc = "```")]
    ///
    /// The adapter is tested with reqwest 0.13. It keeps the timeout of a request (`RequestBuilder::timeout`). All
    /// attempts and redirects that reqwest makes by itself are one request.
    ///
    /// With [`with_error_kind`](Self::with_error_kind), the type of the field `metrics` is
    /// `HttpMetricsLayer<ErrorKindFn<fn(&reqwest::Error) -> ErrorKind>>`. Pass the function as such a pointer:
    /// `.with_error_kind(kind as fn(&reqwest::Error) -> ErrorKind)`.
    ///
    /// A response body that the client drops before it polls it has the `reason` `unread`: clients do so with a
    /// response that is retried, for example.
    pub fn client() -> Self {
        let mut client = Self::server().naming(Naming::client());
        client.settings.side = Side::Client;
        client.label(preset_labels::host())
    }

    /// Creates a configuration for servers that follows OpenTelemetry's semantic conventions.
    ///
    /// | | |
    /// |---|---|
    /// | names | [`Naming::open_telemetry`] |
    /// | additional labels | `url_scheme`, `network_protocol_version`, `error_type` |
    /// | status label | also on durations and sizes |
    /// | duration buckets | those of the conventions, 0.005 to 10 seconds |
    /// | [`HttpMetric::Requests`] | off: the count of the duration histogram has the same value |
    /// | custom labels | need [`on_histograms`](crate::http::HttpLabel::on_histograms) or [`on_everything`](crate::http::HttpLabel::on_everything), unless [`measure`](Self::measure) turns `Requests` on |
    /// | [`HttpMetric::ResponseBodySize`] | on |
    /// | [`HttpMetric::RequestBodySize`] | off; [`with_request_body`](Self::with_request_body) turns it on |
    ///
    /// To have the status and `error_type` on one counter only, which saves most series, turn the counter on and set the
    /// labels of each histogram that is on:
    ///
    /// ```
    /// use tower_prometheus::http::{HttpMetric, StandardLabel::{Endpoint, Method}};
    /// use tower_prometheus::{HttpMetrics, Registry};
    ///
    /// let layer = HttpMetrics::open_telemetry()
    ///     .measure(HttpMetric::Requests)
    ///     .standard_labels(HttpMetric::Duration, [Endpoint, Method])
    ///     .standard_labels(HttpMetric::ResponseBodySize, [Endpoint, Method])
    ///     .build(Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// Do the same for histograms that you turn on: `HeadDuration`, `RequestBodySize` and `RequestBodyDuration`.
    pub fn open_telemetry() -> Self {
        Self::server()
            .naming(Naming::open_telemetry())
            .duration_buckets(OPEN_TELEMETRY_BUCKETS)
            .label(preset_labels::url_scheme(false))
            .label(preset_labels::protocol_version())
            .status_on_durations()
            .without(HttpMetric::Requests)
            .measure(HttpMetric::ResponseBodySize)
    }

    /// Creates a configuration for clients that follows OpenTelemetry's semantic conventions.
    ///
    /// | | |
    /// |---|---|
    /// | names | [`Naming::open_telemetry_client`] |
    /// | additional labels | `server_address` and `server_port` (at most 100 values each, which cannot be changed), `network_protocol_version`, `error_type` |
    /// | status label | also on durations and sizes |
    /// | duration buckets | those of the conventions, 0.005 to 10 seconds |
    /// | endpoint label | `url_template`, from the same sources as in [`client`](Self::client) |
    /// | [`HttpMetric::Requests`] | off: the count of the duration histogram has the same value |
    /// | custom labels | need [`on_histograms`](crate::http::HttpLabel::on_histograms) or [`on_everything`](crate::http::HttpLabel::on_everything), unless [`measure`](Self::measure) turns `Requests` on |
    /// | [`HttpMetric::ResponseBodySize`] | on |
    ///
    /// `error_type` is the status code of a response with 4xx or 5xx. Without a response, it is `error`, `cancelled` or
    /// `panicked`. With [`with_error_kind`](Self::with_error_kind), the kind replaces `error`: `timeout`, `dns`, or `other`
    /// for an error that is not recognized.
    ///
    /// To have the status and `error_type` on one counter only, which saves most series, turn the counter on and set the
    /// labels of each histogram that is on:
    ///
    /// ```
    /// use tower_prometheus::http::{HttpMetric, StandardLabel::{Endpoint, Method}};
    /// use tower_prometheus::{HttpMetrics, Registry};
    ///
    /// let layer = HttpMetrics::open_telemetry_client()
    ///     .measure(HttpMetric::Requests)
    ///     .standard_labels(HttpMetric::Duration, [Endpoint, Method])
    ///     .standard_labels(HttpMetric::ResponseBodySize, [Endpoint, Method])
    ///     .build(Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// Do the same for histograms that you turn on: `HeadDuration`, `RequestBodySize` and `RequestBodyDuration`.
    pub fn open_telemetry_client() -> Self {
        let mut client = Self::server()
            .naming(Naming::open_telemetry_client())
            .duration_buckets(OPEN_TELEMETRY_BUCKETS)
            .label(preset_labels::server_address())
            .label(preset_labels::server_port())
            .label(preset_labels::protocol_version())
            .status_on_durations()
            .without(HttpMetric::Requests)
            .measure(HttpMetric::ResponseBodySize);
        client.settings.side = Side::Client;
        client
    }

    /// Creates a configuration for servers with the names and labels of the crate axum-prometheus.
    ///
    /// | | |
    /// |---|---|
    /// | names | [`Naming::axum_prometheus`] |
    /// | status label | also on durations and sizes, which multiplies their series |
    /// | counted, durations end | at the end of the body; that crate: at the response head |
    /// | aborted bodies, open connections | on; that crate does not have them |
    ///
    /// The [migration guide](crate::_guide::migration) lists what changes silently.
    pub fn axum_prometheus() -> Self {
        Self::server()
            .naming(Naming::axum_prometheus())
            .status_on_durations()
    }
}

/// The duration buckets of OpenTelemetry's semantic conventions for HTTP.
const OPEN_TELEMETRY_BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
