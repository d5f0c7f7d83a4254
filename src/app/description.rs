//! [`FamilyDescription`]: a family as its definition says it, for tables, dashboards and rules.

use std::borrow::Cow;

use metrics::Unit;

/// One family of a catalogue or of a layer, read back from its definition.
///
/// Whatever is made from definitions (a table in a README, a dashboard, a rule) is made from this, so
/// that a renamed family or label cannot leave a dead panel behind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyDescription {
    /// The name on the page, with its prefix; for a counter with its `_total`.
    pub name: String,
    /// What it measures with.
    pub kind: FamilyKind,
    /// The HELP text.
    pub help: String,
    /// The unit, when there is one.
    pub unit: Option<Unit>,
    /// The labels in the order of the definition, without constant ones.
    pub labels: Vec<LabelDescription>,
    /// The upper bounds of a histogram, without `+Inf`; empty for every other kind.
    pub buckets: Vec<f64>,
}

impl FamilyDescription {
    /// Creates a description without HELP text, unit, labels or buckets.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: FamilyKind) -> Self {
        Self {
            name: name.into(),
            kind,
            help: String::new(),
            unit: None,
            labels: Vec::new(),
            buckets: Vec::new(),
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

    /// Sets the upper bounds of a histogram, without `+Inf`.
    #[must_use]
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets = bounds.into();
        self
    }

    /// Returns the first label with this role.
    ///
    /// Label names can be configured; roles stay the same:
    ///
    /// ```
    /// use tower_prometheus::{Family, HttpMetrics, LabelRole};
    ///
    /// let requests = HttpMetrics::open_telemetry().family(Family::Duration)?;
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

/// The type of a family, as OpenMetrics calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Is set, raised and lowered.
    Gauge,
    /// Counts samples by bucket.
    Histogram,
    /// A gauge at 1 whose labels tell what does not change while a process runs.
    Info,
    /// Quantiles computed by the process.
    Summary,
}

/// A label of a metric family: its name, its meaning and the values it can have.
///
/// ```
/// use tower_prometheus::{FamilyDescription, FamilyKind, LabelDescription};
///
/// let balances = FamilyDescription::new("channel_balance", FamilyKind::Gauge)
///     .help("Balance of a payment channel, by party.")
///     .label(LabelDescription::new("channel"))
///     .label(LabelDescription::new("party").values(["payer", "payee"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelDescription {
    /// The name on the metrics page.
    pub name: Cow<'static, str>,
    /// What the label tells about a sample.
    pub role: LabelRole,
    /// The values that the label can have.
    pub values: LabelValues,
    /// The value that is recorded if there is none to report, if the definition has one.
    ///
    /// | label | fallback |
    /// |---|---|
    /// | HTTP endpoint | `unmatched`; the empty string under some [namings](crate::Naming) |
    /// | HTTP method | `OTHER` or `_OTHER`, for methods that are not standard |
    /// | error type, custom label of an HTTP layer | the empty string |
    /// | gRPC type, service and method | `unknown` |
    ///
    /// It is not the value for what exceeds a limit: that is always `overflow`.
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

    /// Sets what the label tells about a sample; [`LabelRole::Custom`] by default.
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

    /// Sets the value that is recorded if there is none to report.
    #[must_use]
    pub fn fallback(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        self.fallback = Some(value.into());
        self
    }
}

/// What a label tells about a sample, whatever its name.
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
    /// Why an HTTP request failed: a 5xx status, `error`, `cancelled` or `panicked`; empty if it did not.
    ErrorType,
    /// The kind of a gRPC method: `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    GrpcType,
    /// The gRPC service, with its package.
    GrpcService,
    /// The gRPC method, without its service.
    GrpcMethod,
    /// The gRPC status code of a call, by name: `OK`, `Internal`.
    GrpcCode,
    /// Why a response body was not completed: `error`, `dropped` or `panicked`.
    Reason,
    /// The kind of a long-lived connection: `websocket`, `event-stream`.
    ConnectionKind,
    /// Anything else: a label of a catalogue or a collector, a label that the application adds to a layer, and
    /// the labels of `metrics_label_overflow_total`.
    Custom,
}

/// The values that a label can have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelValues {
    /// Only these.
    Closed(Vec<Cow<'static, str>>),
    /// Any, up to the limit that the definition sets.
    Open,
}
