//! [`GrpcNaming`]: the names of the metrics and labels of a gRPC layer, and the form of status codes.

use crate::error::Error;
use crate::grpc::code::Code;
use crate::grpc::code_format::CodeFormat;
use crate::grpc::metric::GrpcMetric;
use crate::model::names::{check_label_name, check_metric_name};
use crate::sink::layer_options::name_errors;
use crate::sink::side::Side;

/// The names of the metrics and labels of a gRPC layer, and the form of status codes.
///
/// ```
/// use tower_prometheus::grpc::{CodeFormat, GrpcMetric, GrpcNaming};
/// use tower_prometheus::{GrpcMetrics, Registry};
///
/// // grpc_responses_total{endpoint="shop.Orders/Place",status="5"}
/// let naming = GrpcNaming::go_grpc_middleware()
///     .family(GrpcMetric::Handled, "grpc_responses_total")
///     .without_type_label()
///     .full_method_label("endpoint")
///     .code_label("status")
///     .codes(CodeFormat::Number);
/// let layer = GrpcMetrics::server().naming(naming).build(Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// | on a server; on a client, `client` replaces `server` | [`go_grpc_middleware`](Self::go_grpc_middleware) | [`open_telemetry`](Self::open_telemetry) |
/// |---|---|---|
/// | calls started | `grpc_server_started_total` | `rpc_server_calls_started_total` |
/// | calls ended | `grpc_server_handled_total` | `rpc_server_calls_total` |
/// | duration | `grpc_server_handling_seconds` | `rpc_server_call_duration_seconds` |
/// | messages received | `grpc_server_msg_received_total` | `rpc_server_messages_received_total` |
/// | messages sent | `grpc_server_msg_sent_total` | `rpc_server_messages_sent_total` |
/// | calls in progress | `grpc_server_in_progress` | `rpc_server_active_calls` |
/// | size of messages received | `grpc_server_msg_size_received_bytes` | `rpc_server_request_size_bytes`; on a client, `rpc_client_response_size_bytes` |
/// | size of messages sent | `grpc_server_msg_size_sent_bytes` | `rpc_server_response_size_bytes`; on a client, `rpc_client_request_size_bytes` |
/// | type | `grpc_type` | no label |
/// | service, method | `grpc_service`, `grpc_method` | `rpc_method` with both: `shop.Orders/Place` |
/// | status code | `grpc_code`: `NotFound` | `rpc_response_status_code`: `NOT_FOUND` |
/// | failed calls | no label | `error_type`, beside the status code |
/// | unknown methods | `unknown` | `_OTHER` |
///
/// [`GrpcMetrics::open_telemetry_server`](crate::GrpcMetrics::open_telemetry_server) and
/// [`open_telemetry_client`](crate::GrpcMetrics::open_telemetry_client) set what is not a name: which metrics are
/// off, the buckets, the status code on durations, and the constant label `rpc_system_name`.
///
/// Names are checked when the layer is built. They do not include the [prefix](crate::GrpcMetrics::prefix) of
/// the layer.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a naming does nothing until a layer uses it"]
pub struct GrpcNaming {
    families: [FamilyName; GrpcMetric::COUNT],
    pub(crate) kind: Option<String>,
    pub(crate) method: MethodLabels,
    pub(crate) code: String,
    pub(crate) codes: CodeFormat,
    pub(crate) error_type: Option<String>,
    /// The value for an unknown service, method or type.
    pub(crate) unknown: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
enum FamilyName {
    Preset {
        server: &'static str,
        client: &'static str,
    },
    Custom(String),
}

/// The labels with the service and the method of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MethodLabels {
    Separate {
        service: String,
        method: String,
    },
    /// One label with both, as in `shop.Orders/Place`.
    Full(String),
}

impl GrpcNaming {
    /// Returns the default names, those of go-grpc-middleware, such as
    /// `grpc_server_handled_total{grpc_type,grpc_service,grpc_method,grpc_code}`.
    ///
    /// go-grpc-middleware has neither calls in progress nor sizes. The names of the sizes are those of forks of
    /// go-grpc-prometheus, its predecessor.
    pub fn go_grpc_middleware() -> Self {
        let families = [
            ("grpc_server_started_total", "grpc_client_started_total"),
            ("grpc_server_handled_total", "grpc_client_handled_total"),
            (
                "grpc_server_handling_seconds",
                "grpc_client_handling_seconds",
            ),
            (
                "grpc_server_msg_received_total",
                "grpc_client_msg_received_total",
            ),
            ("grpc_server_msg_sent_total", "grpc_client_msg_sent_total"),
            ("grpc_server_in_progress", "grpc_client_in_progress"),
            (
                "grpc_server_msg_size_received_bytes",
                "grpc_client_msg_size_received_bytes",
            ),
            (
                "grpc_server_msg_size_sent_bytes",
                "grpc_client_msg_size_sent_bytes",
            ),
        ];
        Self {
            families: families.map(FamilyName::preset),
            kind: Some("grpc_type".to_owned()),
            method: MethodLabels::separate(),
            code: "grpc_code".to_owned(),
            codes: CodeFormat::PascalCase,
            error_type: None,
            unknown: "unknown",
        }
    }

    /// Returns the names of OpenTelemetry's [semantic conventions for RPC metrics], as translated for Prometheus.
    ///
    /// The conventions have only the duration. The names of the sizes are those of earlier versions, which
    /// measured uncompressed messages; the other names follow the same pattern.
    ///
    /// | `error_type` | |
    /// |---|---|
    /// | of a server | the status code of a call that ended with `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS` |
    /// | of a client | the status code of a call that did not end with `OK` |
    /// | of all other calls | the empty string |
    ///
    /// [semantic conventions for RPC metrics]: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
    pub fn open_telemetry() -> Self {
        let families = [
            (
                "rpc_server_calls_started_total",
                "rpc_client_calls_started_total",
            ),
            ("rpc_server_calls_total", "rpc_client_calls_total"),
            (
                "rpc_server_call_duration_seconds",
                "rpc_client_call_duration_seconds",
            ),
            (
                "rpc_server_messages_received_total",
                "rpc_client_messages_received_total",
            ),
            (
                "rpc_server_messages_sent_total",
                "rpc_client_messages_sent_total",
            ),
            ("rpc_server_active_calls", "rpc_client_active_calls"),
            (
                "rpc_server_request_size_bytes",
                "rpc_client_response_size_bytes",
            ),
            (
                "rpc_server_response_size_bytes",
                "rpc_client_request_size_bytes",
            ),
        ];
        Self {
            families: families.map(FamilyName::preset),
            kind: None,
            method: MethodLabels::Full("rpc_method".to_owned()),
            code: "rpc_response_status_code".to_owned(),
            codes: CodeFormat::UpperCase,
            error_type: Some("error_type".to_owned()),
            unknown: "_OTHER",
        }
    }

    /// Sets the name of a metric, in full but without the [prefix](crate::GrpcMetrics::prefix) of the layer.
    pub fn family(mut self, metric: GrpcMetric, name: impl Into<String>) -> Self {
        self.families[metric as usize] = FamilyName::Custom(name.into());
        self
    }

    /// Sets the name of the label with the type of the method, such as `unary`.
    pub fn type_label(mut self, name: impl Into<String>) -> Self {
        self.kind = Some(name.into());
        self
    }

    /// Removes the label with the type of the method.
    pub fn without_type_label(mut self) -> Self {
        self.kind = None;
        self
    }

    /// Sets the names of the labels with the service and the method. They replace a
    /// [`full_method_label`](Self::full_method_label).
    pub fn method_labels(mut self, service: impl Into<String>, method: impl Into<String>) -> Self {
        let (service, method) = (service.into(), method.into());
        self.method = MethodLabels::Separate { service, method };
        self
    }

    /// Replaces the labels with the service and the method by one label with both, as in `shop.Orders/Place`.
    ///
    /// The method cannot be left out. To see services only, aggregate over the method in queries.
    pub fn full_method_label(mut self, name: impl Into<String>) -> Self {
        self.method = MethodLabels::Full(name.into());
        self
    }

    /// Sets the name of the label with the status code.
    pub fn code_label(mut self, name: impl Into<String>) -> Self {
        self.code = name.into();
        self
    }

    /// Sets the form of the status codes, also in `error_type`.
    pub fn codes(mut self, format: CodeFormat) -> Self {
        self.codes = format;
        self
    }

    pub(crate) fn name(&self, metric: GrpcMetric, side: Side) -> &str {
        match (&self.families[metric as usize], side) {
            (FamilyName::Preset { server, .. }, Side::Server) => server,
            (FamilyName::Preset { client, .. }, Side::Client) => client,
            (FamilyName::Custom(name), _) => name,
        }
    }

    /// The value of the label with the error: the code if the call failed, otherwise the empty string.
    pub(crate) fn error_value(&self, code: Code, side: Side) -> &'static str {
        match code.is_failure(side) {
            true => code.name(self.codes),
            false => "",
        }
    }

    /// The name of the label with the method.
    pub(crate) fn method_label(&self) -> &str {
        match &self.method {
            MethodLabels::Separate { method, .. } | MethodLabels::Full(method) => method,
        }
    }

    /// All label names.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match &self.method {
            MethodLabels::Separate { service, method } => (service, Some(method)),
            MethodLabels::Full(method) => (method, None),
        };
        let method = [first].into_iter().chain(second).chain([&self.code]);
        let labels = self.kind.iter().chain(method).chain(&self.error_type);
        labels.map(String::as_str)
    }

    /// Returns an error for each name that is invalid or used twice.
    pub(crate) fn errors(&self, side: Side, measured: impl Fn(GrpcMetric) -> bool) -> Vec<Error> {
        let measured = GrpcMetric::ALL
            .into_iter()
            .filter(|metric| measured(*metric));
        let names: Vec<_> = measured.map(|metric| self.name(metric, side)).collect();
        let labels: Vec<_> = self.labels().collect();
        let mut errors = name_errors("metrics", &names, check_metric_name);
        errors.extend(name_errors("labels", &labels, check_label_name));
        errors
    }
}

impl FamilyName {
    fn preset((server, client): (&'static str, &'static str)) -> Self {
        Self::Preset { server, client }
    }
}

impl MethodLabels {
    fn separate() -> Self {
        Self::Separate {
            service: "grpc_service".to_owned(),
            method: "grpc_method".to_owned(),
        }
    }
}
