//! [`HttpSettings`]: the settings of an HTTP layer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::http::config::closure::Closure;
use crate::http::config::endpoint_source::EndpointSource;
use crate::http::config::http_label::HttpLabel;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::kept_parameter::KeptParameter;
use crate::http::config::naming::Naming;
use crate::http::config::standard_label::StandardLabel;
use crate::http::labels::error_kind::ErrorKind;
use crate::http::labels::head::RequestHead;
use crate::http::labels::status::Status;
use crate::model::trace::TraceId;
use crate::sink::layer_options::LayerOptions;
use crate::sink::side::Side;

/// The name of the setting for the buckets of durations.
pub(crate) const DURATION_BUCKETS: &str = "duration_buckets";

/// The settings of a layer. Layers with equal settings on the same registry share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpSettings {
    pub(crate) options: LayerOptions,
    /// Whether the layer measures a server or a client.
    pub(crate) side: Side,
    /// `false` for a layer that passes all requests through.
    pub(crate) enabled: bool,
    pub(crate) size_buckets: Option<Vec<f64>>,
    pub(crate) connection_buckets: Option<Vec<f64>>,
    pub(crate) measure_until: MeasureUntil,
    pub(crate) endpoint_source: EndpointSource,
    pub(crate) kept_parameters: Vec<KeptParameter>,
    pub(crate) skip: Vec<String>,
    pub(crate) max_endpoints: usize,
    pub(crate) naming: Naming,
    pub(crate) measured: [bool; HttpMetric::COUNT],
    pub(crate) helps: Vec<(HttpMetric, String)>,
    pub(crate) labels: Vec<HttpLabel>,
    /// Standard labels that no metric has.
    pub(crate) left_out: Vec<StandardLabel>,
    /// The standard labels of some metrics; the others have the default ones.
    pub(crate) label_sets: Vec<(HttpMetric, Vec<StandardLabel>)>,
    /// Methods that are recorded in addition to the standard ones.
    pub(crate) methods: Vec<http::Method>,
    /// Whether the kinds of errors are recorded.
    pub(crate) records_error_kinds: bool,
    /// The kinds of errors that the configuration adds.
    pub(crate) added_error_kinds: Vec<ErrorKind>,
    pub(crate) status_classes: bool,
    pub(crate) status_on_durations: bool,
    pub(crate) routes: Vec<Route>,
    pub(crate) exemplar: Option<ExemplarOf>,
}

/// Where the duration of a request ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MeasureUntil {
    /// At the end of the response body, so that slow bodies are included. The default.
    #[default]
    BodyEnd,
    /// At the response head, for comparison with crates that stop there. Slow bodies are not included.
    ///
    /// Only the duration ends there: the request is counted, and leaves the in-progress gauge, when it ends. A
    /// request without a response is measured until its end.
    Head,
}

/// A function that returns the trace of a request.
#[derive(Clone, PartialEq)]
pub(crate) struct ExemplarOf(Closure<TraceOf>);

type TraceOf = dyn Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync;

impl ExemplarOf {
    pub(crate) fn new<F>(trace: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync + 'static,
    {
        Self(Closure::of::<F>(Arc::new(trace)))
    }

    pub(crate) fn of(&self, request: RequestHead<'_>) -> Option<TraceId> {
        self.0.get()(request)
    }
}

impl fmt::Debug for ExemplarOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExemplarOf")
    }
}

/// A preregistered route, with the statuses that are exported as 0 from start-up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) method: http::Method,
    pub(crate) endpoint: String,
    pub(crate) statuses: Vec<StatusCode>,
}

impl HttpSettings {
    /// The default settings for servers.
    pub(crate) fn server() -> Self {
        Self {
            options: LayerOptions::default(),
            side: Side::Server,
            enabled: true,
            size_buckets: None,
            connection_buckets: None,
            measure_until: MeasureUntil::default(),
            endpoint_source: EndpointSource::default(),
            kept_parameters: Vec::new(),
            skip: Vec::new(),
            max_endpoints: 1000,
            naming: Naming::classic(),
            measured: HttpMetric::ALL.map(HttpMetric::is_default),
            helps: Vec::new(),
            labels: Vec::new(),
            left_out: Vec::new(),
            label_sets: Vec::new(),
            methods: Vec::new(),
            records_error_kinds: false,
            added_error_kinds: Vec::new(),
            status_classes: false,
            status_on_durations: false,
            routes: Vec::new(),
            exemplar: None,
        }
    }

    pub(crate) fn is_measured(&self, family: HttpMetric) -> bool {
        self.measured[family as usize]
    }

    /// The names of the settings that set buckets.
    pub(crate) fn bucket_settings(&self) -> Vec<&'static str> {
        let settings = [
            (DURATION_BUCKETS, &self.options.duration_buckets),
            ("size_buckets", &self.size_buckets),
            ("connection_buckets", &self.connection_buckets),
        ];
        let set = settings.into_iter().filter(|(_, bounds)| bounds.is_some());
        set.map(|(name, _)| name).collect()
    }

    /// Whether the series of a status are more than a count and a duration to the end of the body, or the end of a request
    /// reads more: an exemplar, or a label from the outcome. Aborted bodies are not counted by status.
    pub(crate) fn measures_more(&self) -> bool {
        let usual = [HttpMetric::Requests, HttpMetric::Duration];
        let mut by_status = HttpMetric::ALL
            .into_iter()
            .filter(|metric| metric.can_have_status());
        self.exemplar.is_some()
            || self.measure_until == MeasureUntil::Head
            || self.labels.iter().any(HttpLabel::reads_outcome)
            || by_status.any(|metric| !usual.contains(&metric) && self.is_measured(metric))
    }

    /// The kinds of errors that are told apart.
    pub(super) fn error_kinds(&self) -> impl Iterator<Item = ErrorKind> {
        let added = self.added_error_kinds.iter().copied();
        ErrorKind::FIXED.into_iter().chain(added)
    }

    /// The index of the kind of an error. Kinds that are not registered are `other`.
    pub(crate) fn error_kind(&self, kind: ErrorKind) -> Option<u8> {
        let index = |kind| self.error_kinds().position(|known| known == kind);
        let index = index(kind).or_else(|| index(ErrorKind::OTHER))?;
        Some(index as u8)
    }

    /// The name of the kind of an error; empty for a status without a kind.
    pub(crate) fn kind_of(&self, status: Status) -> &'static str {
        let kind = status.error_kind();
        let kind = kind.and_then(|kind| self.error_kinds().nth(kind));
        kind.map_or("", ErrorKind::as_str)
    }

    /// OpenTelemetry's `error.type`, with the kind of an error if the layer records kinds.
    pub(crate) fn error_type(&self, status: Status) -> Cow<'static, str> {
        match (self.kind_of(status), self.side) {
            ("", Side::Server) => status.error_type(Status::is_server_error),
            // For a client, the conventions also count 4xx as errors.
            ("", Side::Client) => status.error_type(Status::is_error),
            (kind, _) => kind.into(),
        }
    }
}
