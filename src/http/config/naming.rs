//! [`Naming`]: the names of the metrics and labels of an HTTP layer.

use std::borrow::Cow;

use crate::error::Error;
use crate::http::config::http_metric::HttpMetric;
use crate::http::labels::endpoint::UNMATCHED;
use crate::http::labels::status::Status;
use crate::model::names::{check_label_name, check_metric_name};
use crate::sink::layer_options::name_errors;

/// The names of the metrics and labels of an HTTP layer, and the values for other methods and missing
/// endpoints.
///
/// ```
/// use tower_prometheus::http::{HttpMetric, Naming};
/// use tower_prometheus::{HttpMetrics, Registry};
///
/// let naming = Naming::classic()
///     .family(HttpMetric::Requests, "hits_total")
///     .endpoint_label("route");
/// let layer = HttpMetrics::server().naming(naming).build(Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// | | [`classic`](Self::classic) | [`client`](Self::client) | [`open_telemetry`](Self::open_telemetry) | [`open_telemetry_client`](Self::open_telemetry_client) | [`axum_prometheus`](Self::axum_prometheus) |
/// |---|---|---|---|---|---|
/// | requests | `http_requests_total` | `http_client_requests_total` | `http_server_requests_total`, off | `http_client_requests_total`, off | `axum_http_requests_total` |
/// | duration | `http_request_duration_seconds` | `http_client_request_duration_seconds` | `http_server_request_duration_seconds` | `http_client_request_duration_seconds` | `axum_http_requests_duration_seconds` |
/// | in progress | `http_requests_in_progress` | `http_client_requests_in_progress` | `http_server_active_requests` | `http_client_active_requests` | `axum_http_requests_pending` |
/// | aborted response bodies | `http_response_bodies_aborted_total` | `http_client_response_bodies_aborted_total` | `http_server_response_bodies_aborted_total` | `http_client_response_bodies_aborted_total` | `axum_http_response_bodies_aborted_total` |
/// | open connections | `http_connections_open` | `http_client_connections_open` | `http_server_connections_open` | `http_client_streams_open` | `axum_http_connections_open` |
/// | response body sizes | `http_response_body_size_bytes`, off | `http_client_response_body_size_bytes`, off | `http_server_response_body_size_bytes` | `http_client_response_body_size_bytes` | `axum_http_response_body_size`, off |
/// | responses, off | `http_responses_total` | `http_client_responses_total` | `http_server_responses_total` | `http_client_responses_total` | `axum_http_responses_total` |
/// | method | `method` | `method` | `http_request_method` | `http_request_method` | `method` |
/// | endpoint | `endpoint` | `endpoint` | `http_route` (the in-progress gauge lacks it) | `url_template` (the in-progress gauge lacks it) | `endpoint` |
/// | status | `status`, not on durations | `status`, not on durations | `http_response_status_code`, on durations | `http_response_status_code`, on durations | `status`, on durations |
/// | other methods | `OTHER` | `OTHER` | `_OTHER` | `_OTHER` | `OTHER` |
/// | no endpoint | `unmatched` | empty | empty | empty | `unmatched` |
/// | also | | `host` | `url_scheme`, `network_protocol_version`, `error_type` | `server_address`, `server_port`, `network_protocol_version`, `error_type` | |
///
/// Metrics that are off have these names once [`measure`](crate::HttpMetrics::measure) turns them on.
///
/// The constructor of the same name in [`HttpMetrics`](crate::HttpMetrics) (`server` for `classic`) sets what
/// is not a name: which metrics are off, which have the status, and the labels in the last row except `error_type`.
///
/// Names are checked when the layer is built. They do not include the [prefix](crate::HttpMetrics::prefix) of
/// the layer.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a naming does nothing until a layer uses it"]
pub struct Naming {
    families: [String; HttpMetric::COUNT],
    pub(crate) method: String,
    pub(crate) endpoint: String,
    pub(crate) status: String,
    pub(crate) error_type: Option<String>,
    /// The label of error kinds, if `error_type` does not have them.
    pub(crate) error_kind: String,
    pub(crate) other_method: &'static str,
    /// The endpoint label of requests without an endpoint.
    pub(crate) unmatched: &'static str,
    pub(crate) endpoint_in_progress: bool,
}

impl Naming {
    /// Returns the default names for servers, such as `http_requests_total{method,endpoint,status}`.
    pub fn classic() -> Self {
        Self::with_families([
            "http_requests_total",
            "http_request_duration_seconds",
            "http_requests_in_progress",
            "http_response_bodies_aborted_total",
            "http_connections_open",
            "http_response_head_duration_seconds",
            "http_response_body_size_bytes",
            "http_request_body_size_bytes",
            "http_request_body_duration_seconds",
            "http_request_bodies_aborted_total",
            "http_responses_total",
            "http_response_body_bytes_total",
            "http_connection_duration_seconds",
        ])
    }

    /// Returns the default names for clients, such as
    /// `http_client_requests_total{method,host,endpoint,status}`.
    pub fn client() -> Self {
        let mut naming = Self::with_families([
            "http_client_requests_total",
            "http_client_request_duration_seconds",
            "http_client_requests_in_progress",
            "http_client_response_bodies_aborted_total",
            "http_client_connections_open",
            "http_client_response_head_duration_seconds",
            "http_client_response_body_size_bytes",
            "http_client_request_body_size_bytes",
            "http_client_request_body_duration_seconds",
            "http_client_request_bodies_aborted_total",
            "http_client_responses_total",
            "http_client_response_body_bytes_total",
            "http_client_connection_duration_seconds",
        ]);
        naming.unmatched = "";
        naming
    }

    /// Returns the names of OpenTelemetry's semantic conventions for HTTP servers, as translated for
    /// Prometheus.
    ///
    /// [`HttpMetrics::open_telemetry`](crate::HttpMetrics::open_telemetry) also sets the labels and buckets
    /// of these conventions.
    pub fn open_telemetry() -> Self {
        Self {
            method: "http_request_method".to_owned(),
            endpoint: "http_route".to_owned(),
            status: "http_response_status_code".to_owned(),
            error_type: Some("error_type".to_owned()),
            other_method: "_OTHER",
            unmatched: "",
            endpoint_in_progress: false,
            ..Self::with_families([
                "http_server_requests_total",
                "http_server_request_duration_seconds",
                "http_server_active_requests",
                "http_server_response_bodies_aborted_total",
                "http_server_connections_open",
                "http_server_response_head_duration_seconds",
                "http_server_response_body_size_bytes",
                "http_server_request_body_size_bytes",
                "http_server_request_body_duration_seconds",
                "http_server_request_bodies_aborted_total",
                "http_server_responses_total",
                "http_server_response_body_bytes_total",
                "http_server_connection_duration_seconds",
            ])
        }
    }

    /// Returns the names of OpenTelemetry's semantic conventions for HTTP clients, as translated for Prometheus.
    ///
    /// [`HttpMetrics::open_telemetry_client`](crate::HttpMetrics::open_telemetry_client) also sets the labels and
    /// buckets of these conventions.
    pub fn open_telemetry_client() -> Self {
        let families = [
            "http_client_requests_total",
            "http_client_request_duration_seconds",
            "http_client_active_requests",
            "http_client_response_bodies_aborted_total",
            // The conventions use `http_client_open_connections` for connections of the pool.
            "http_client_streams_open",
            "http_client_response_head_duration_seconds",
            "http_client_response_body_size_bytes",
            "http_client_request_body_size_bytes",
            "http_client_request_body_duration_seconds",
            "http_client_request_bodies_aborted_total",
            "http_client_responses_total",
            "http_client_response_body_bytes_total",
            "http_client_stream_duration_seconds",
        ];
        Self {
            families: families.map(str::to_owned),
            endpoint: "url_template".to_owned(),
            ..Self::open_telemetry()
        }
    }

    /// Returns the names of the crate axum-prometheus, so that existing dashboards keep working.
    ///
    /// [`HttpMetrics::axum_prometheus`](crate::HttpMetrics::axum_prometheus) also adds the status to
    /// durations, as that crate does.
    pub fn axum_prometheus() -> Self {
        Self::with_families([
            "axum_http_requests_total",
            "axum_http_requests_duration_seconds",
            "axum_http_requests_pending",
            "axum_http_response_bodies_aborted_total",
            "axum_http_connections_open",
            "axum_http_response_head_duration_seconds",
            "axum_http_response_body_size",
            "axum_http_request_body_size",
            "axum_http_request_body_duration_seconds",
            "axum_http_request_bodies_aborted_total",
            "axum_http_responses_total",
            "axum_http_response_body_bytes_total",
            "axum_http_connection_duration_seconds",
        ])
    }

    fn with_families(families: [&str; HttpMetric::COUNT]) -> Self {
        Self {
            families: families.map(str::to_owned),
            method: "method".to_owned(),
            endpoint: "endpoint".to_owned(),
            status: "status".to_owned(),
            error_type: None,
            error_kind: "error_kind".to_owned(),
            other_method: "OTHER",
            unmatched: UNMATCHED,
            endpoint_in_progress: true,
        }
    }

    /// Sets the name of a metric, in full but without the [prefix](crate::HttpMetrics::prefix) of the layer.
    pub fn family(mut self, family: HttpMetric, name: impl Into<String>) -> Self {
        self.families[family as usize] = name.into();
        self
    }

    /// Sets the name of the method label.
    pub fn method_label(mut self, name: impl Into<String>) -> Self {
        self.method = name.into();
        self
    }

    /// Sets the name of the endpoint label.
    pub fn endpoint_label(mut self, name: impl Into<String>) -> Self {
        self.endpoint = name.into();
        self
    }

    /// Sets the name of the status label.
    pub fn status_label(mut self, name: impl Into<String>) -> Self {
        self.status = name.into();
        self
    }

    /// Sets the name of the label of [error kinds](crate::HttpMetrics::with_error_kind). The default is `error_kind`.
    ///
    /// The namings of OpenTelemetry have the kinds in `error_type` instead.
    pub fn error_kind_label(mut self, name: impl Into<String>) -> Self {
        self.error_kind = name.into();
        self
    }

    /// Sets the endpoint of requests that no route matched, or whose route the layer does not see. The default is
    /// `unmatched`; for clients and with OpenTelemetry's names, it is the empty string.
    pub fn unmatched(mut self, endpoint: &'static str) -> Self {
        self.unmatched = endpoint;
        self
    }

    /// The value of the status label. OpenTelemetry's has codes only: for a request without a response it is
    /// empty, and `error_type` has the reason.
    pub(crate) fn status_value(&self, status: Status) -> Cow<'static, str> {
        match self.error_type.is_some() && !status.is_response() {
            true => "".into(),
            false => status.label(),
        }
    }

    pub(crate) fn name(&self, family: HttpMetric) -> &str {
        &self.families[family as usize]
    }

    /// All label names: those that can be set, the fixed ones, and `error_type` if the naming has it. The label of
    /// error kinds is not included.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        let Self {
            families: _,
            method,
            endpoint,
            status,
            error_type,
            error_kind: _,
            other_method: _,
            unmatched: _,
            endpoint_in_progress: _,
        } = self;
        let set = [method, endpoint, status].map(String::as_str);
        let fixed = [HttpMetric::AbortedBodies, HttpMetric::OpenConnections];
        let fixed = fixed.into_iter().filter_map(|metric| metric.extra_label());
        set.into_iter().chain(fixed).chain(error_type.as_deref())
    }

    /// Returns an error for each name of a `measured` metric or of a label that is invalid or used twice.
    pub(crate) fn errors(&self, measured: impl Fn(HttpMetric) -> bool) -> Vec<Error> {
        let measured = HttpMetric::ALL
            .into_iter()
            .filter(|metric| measured(*metric));
        let names: Vec<_> = measured.map(|metric| self.name(metric)).collect();
        let labels: Vec<_> = self.labels().collect();
        let mut errors = name_errors("metrics", &names, check_metric_name);
        errors.extend(name_errors("labels", &labels, check_label_name));
        errors
    }
}
