//! [`FamilyDescription`]: the definition of a metric family as data, for tables, dashboards and rules.

use std::borrow::Cow;

use metrics::Unit;

use crate::model::kind::MetricKind;

/// The definition of a metric family: its name, type, HELP text, unit, labels and buckets.
///
/// Layers and catalogues return the descriptions of their metrics. Generate README tables, dashboards and rules
/// from them, so that a renamed metric or label is renamed there as well.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyDescription {
    /// The name on the metrics page, with its prefix. The name of a counter includes `_total`.
    pub name: String,
    /// The type of the metric.
    pub kind: MetricKind,
    /// The HELP text.
    pub help: String,
    /// The unit, if the definition has a unit.
    pub unit: Option<Unit>,
    /// The labels in the order of the definition, without constant labels.
    pub labels: Vec<LabelDescription>,
    /// The upper bounds of the classic buckets of a histogram, without `+Inf`; empty for every other type.
    pub buckets: Vec<f64>,
    /// Whether a histogram has native buckets.
    ///
    /// This is a setting of the registry, so definitions do not have it: `families_in` of a layer and
    /// [`Registry::with_native_buckets`](crate::Registry::with_native_buckets) set it.
    pub native: bool,
}

impl FamilyDescription {
    /// Creates a description without HELP text, unit, labels or buckets.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: MetricKind) -> Self {
        Self {
            name: name.into(),
            kind,
            help: String::new(),
            unit: None,
            labels: Vec::new(),
            buckets: Vec::new(),
            native: false,
        }
    }

    /// Sets the HELP text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Adds a label after those already present.
    #[must_use]
    pub fn label(mut self, label: LabelDescription) -> Self {
        self.labels.push(label);
        self
    }

    /// Sets the upper bounds of the classic buckets of a histogram, without `+Inf`.
    #[must_use]
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets = bounds.into();
        self
    }

    /// Sets that a histogram has native buckets.
    #[must_use]
    pub fn native(mut self) -> Self {
        self.native = true;
        self
    }

    /// Returns the first label with this role.
    ///
    /// Label names can be configured; roles stay the same:
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus::http::HttpMetric;
    /// use tower_prometheus::model::LabelRole;
    ///
    /// let requests = HttpMetrics::open_telemetry().family(HttpMetric::Duration)?;
    /// let requests = requests.expect("durations are recorded by default");
    /// let status = requests.label_with_role(LabelRole::Status);
    /// assert_eq!(status.unwrap().name, "http_response_status_code");
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    #[must_use]
    pub fn label_with_role(&self, role: LabelRole) -> Option<&LabelDescription> {
        self.labels.iter().find(|label| label.role == role)
    }
}

/// A label of a metric family: its name, its meaning and the values it can have.
///
/// ```
/// use tower_prometheus::model::{FamilyDescription, LabelDescription, MetricKind};
///
/// let balances = FamilyDescription::new("channel_balance", MetricKind::Gauge)
///     .help("Balance of a payment channel, by party.")
///     .label(LabelDescription::new("channel"))
///     .label(LabelDescription::new("party").values(["payer", "payee"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelDescription {
    /// The name on the metrics page.
    pub name: Cow<'static, str>,
    /// The meaning of the label, independent of its name.
    pub role: LabelRole,
    /// The values that the label can have.
    pub values: LabelValues,
    /// The value that is recorded instead of a missing or unknown value; `None` if the definition sets none.
    ///
    /// | label | fallback |
    /// |---|---|
    /// | HTTP endpoint | `unmatched`; the empty string under some [namings](crate::http::Naming) |
    /// | HTTP method | `OTHER` or `_OTHER`, for methods that are neither standard nor added with [`methods`](crate::HttpMetrics::methods) |
    /// | error type, custom label of a layer | the empty string |
    /// | gRPC type, service and method | `unknown`; `_OTHER` under [OpenTelemetry's naming](crate::grpc::GrpcNaming::open_telemetry) |
    ///
    /// Values beyond a limit are not replaced by the fallback: they are always recorded as `overflow`.
    pub fallback: Option<Cow<'static, str>>,
}

impl LabelDescription {
    /// Creates a description of a custom label that can have any value.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            role: LabelRole::Custom,
            values: LabelValues::Open,
            fallback: None,
        }
    }

    /// Sets the meaning of the label; [`LabelRole::Custom`] by default.
    #[must_use]
    pub fn role(mut self, role: LabelRole) -> Self {
        self.role = role;
        self
    }

    /// Restricts the label to these values; any value is possible by default.
    #[must_use]
    pub fn values<V: Into<Cow<'static, str>>>(
        mut self,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.values = LabelValues::Closed(values.into_iter().map(V::into).collect());
        self
    }

    /// Sets the value that is recorded instead of a missing or unknown value. The default is `None`.
    #[must_use]
    pub fn fallback(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        self.fallback = Some(value.into());
        self
    }
}

/// The meaning of a label, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LabelRole {
    /// The method of an HTTP request.
    Method,
    /// The route template of an HTTP request.
    Endpoint,
    /// The final status of an HTTP request: a status code or its class, `error`, `cancelled` or `panicked`.
    ///
    /// If the family also has a label with the role [`ErrorType`](Self::ErrorType), a request without a
    /// response has the empty status.
    Status,
    /// Why an HTTP request failed: a 5xx status (of a client also 4xx), `error` or its [kind](crate::http::ErrorKind),
    /// `cancelled` or `panicked`; empty if it did not fail. For a gRPC call, the status code if it failed.
    ErrorType,
    /// The type of a gRPC method: `unary`, `client_stream`, `server_stream` or `bidi_stream`; `unknown` if the method is
    /// not preregistered (`_OTHER` under [OpenTelemetry's naming](crate::grpc::GrpcNaming::open_telemetry)).
    GrpcType,
    /// The gRPC service, with its package.
    GrpcService,
    /// The gRPC method, without its service; with its service if the family has no label
    /// [`GrpcService`](Self::GrpcService).
    GrpcMethod,
    /// The gRPC status code of a call, such as `OK` or `Internal`. The values are listed in the order of their numbers.
    GrpcCode,
    /// Why a body was not completed: `error`, `dropped`, `panicked` or, of a client, `unread`.
    Reason,
    /// The kind of a long-lived connection: `event-stream`, or that of a
    /// [`LongLived`](crate::http::LongLived) mark, such as `websocket`.
    ConnectionKind,
    /// A custom label: defined in a catalogue or a collector, or added to a layer by the application.
    Custom,
}

/// The values that a label can have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelValues {
    /// A closed label: only these values.
    Closed(Vec<Cow<'static, str>>),
    /// An open label: any value, up to the limit that the definition sets.
    Open,
}
