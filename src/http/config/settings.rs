//! [`HttpSettings`]: the settings of an HTTP layer and their validation.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::error::{Error, Errors};
use crate::http::config::closure::Closure;
use crate::http::config::endpoint_source::{EndpointSource, check_template};
use crate::http::config::http_label::MAX_LABELS;
use crate::http::config::http_label::{AllowedValues, HttpLabel, On};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::kept_parameter::KeptParameter;
use crate::http::config::naming::Naming;
use crate::http::config::standard_label::StandardLabel;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::error_kind::ErrorKind;
use crate::http::labels::head::RequestHead;
use crate::http::labels::method::Method;
use crate::http::labels::status::Status;
use crate::model::bounds::Buckets;
use crate::model::description::{FamilyDescription, LabelDescription, LabelRole};
use crate::model::kind::Instrument;
use crate::model::trace::TraceId;
use crate::sink::layer_options::{LayerOptions, check_buckets};
use crate::sink::overflow::OVERFLOW;
use crate::sink::overflow::overflow_spec;
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

/// Where the value of a label comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LabelSource {
    Method,
    Endpoint,
    /// The custom label with this index.
    Custom(usize),
    Status,
    /// The kind of an error.
    ErrorKind,
    /// OpenTelemetry's `error.type`, which includes the kind of an error.
    ErrorType,
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

    /// Whether the end of a request records more than its count and its duration to the end of the body.
    pub(crate) fn measures_more(&self) -> bool {
        let usual = [HttpMetric::Requests, HttpMetric::Duration];
        let mut at_end = HttpMetric::ALL
            .into_iter()
            .filter(|metric| metric.is_recorded_at_end());
        self.exemplar.is_some()
            || self.measure_until == MeasureUntil::Head
            || self.labels.iter().any(HttpLabel::reads_outcome)
            || at_end.any(|metric| !usual.contains(&metric) && self.is_measured(metric))
    }

    /// The full name of a family, if it is measured.
    pub(crate) fn family_name(&self, family: HttpMetric) -> Option<String> {
        let name = self.naming.name(family);
        self.is_measured(family)
            .then(|| self.options.full_name(name))
    }

    /// The labels of a family, without those that only this family has and without constant labels.
    pub(crate) fn label_sources(&self, family: HttpMetric) -> Vec<LabelSource> {
        let standard = self.standard_labels(family);
        let has = |label: StandardLabel| standard.contains(&label);
        let custom_on = custom_on(family);
        let custom = (0..self.labels.len()).filter(|i| self.labels[*i].on >= custom_on);
        let mut sources = Vec::new();
        sources.extend(has(StandardLabel::Method).then_some(LabelSource::Method));
        sources.extend(has(StandardLabel::Endpoint).then_some(LabelSource::Endpoint));
        sources.extend(custom.map(LabelSource::Custom));
        if has(StandardLabel::Status) {
            sources.push(LabelSource::Status);
            sources.extend(self.error_source());
        }
        sources
    }

    /// The standard labels of a family.
    fn standard_labels(&self, family: HttpMetric) -> Vec<StandardLabel> {
        use StandardLabel::{Endpoint, Method, Status};
        let sets = self.label_sets.iter().rev();
        if let Some((_, labels)) = sets.into_iter().find(|(metric, _)| *metric == family) {
            return labels.clone();
        }
        let defaults: &[StandardLabel] = match family {
            HttpMetric::Requests | HttpMetric::Responses => &[Method, Endpoint, Status],
            HttpMetric::InProgress if !self.naming.endpoint_in_progress => &[Method],
            family if family.is_of_connections() => &[Endpoint],
            family if family.is_recorded_at_end() && self.status_on_durations => {
                &[Method, Endpoint, Status]
            }
            _ => &[Method, Endpoint],
        };
        let kept = defaults
            .iter()
            .filter(|label| !self.left_out.contains(label));
        kept.copied().collect()
    }

    /// The label that tells why there was no response, if there is one beside the status.
    fn error_source(&self) -> Option<LabelSource> {
        match (&self.naming.error_type, self.records_error_kinds) {
            (Some(_), _) => Some(LabelSource::ErrorType),
            (None, true) => Some(LabelSource::ErrorKind),
            (None, false) => None,
        }
    }

    /// The kinds of errors that are told apart.
    fn error_kinds(&self) -> impl Iterator<Item = ErrorKind> {
        let added = self.added_error_kinds.iter().copied();
        ErrorKind::FIXED.into_iter().chain(added)
    }

    /// The index of the kind of an error. Kinds that are not registered are `other`.
    pub(crate) fn error_kind(&self, kind: ErrorKind) -> Option<u8> {
        let index = |kind| self.error_kinds().position(|known| known == kind);
        let index = index(kind).or_else(|| index(ErrorKind::OTHER))?;
        Some(index as u8)
    }

    /// The name of the kind that a status has; empty if it has none.
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

    pub(crate) fn label_name(&self, source: LabelSource) -> &str {
        match source {
            LabelSource::Method => &self.naming.method,
            LabelSource::Endpoint => &self.naming.endpoint,
            LabelSource::Custom(i) => &self.labels[i].name,
            LabelSource::Status => &self.naming.status,
            LabelSource::ErrorKind => &self.naming.error_kind,
            LabelSource::ErrorType => self.naming.error_type.as_deref().unwrap_or_default(),
        }
    }

    pub(crate) fn buckets_of(&self, family: HttpMetric) -> Result<Option<Buckets>, Error> {
        let bounds = match family {
            HttpMetric::ConnectionDuration => {
                Some(self.connection_buckets.as_deref().unwrap_or(&LIFETIMES))
            }
            family if family.has_size_buckets() => {
                Some(self.size_buckets.as_deref().unwrap_or(&SIZES))
            }
            _ => self.options.duration_buckets.as_deref(),
        };
        bounds
            .map(|bounds| Buckets::new(bounds.iter().copied()))
            .transpose()
    }

    /// The HELP text of a family.
    pub(crate) fn help(&self, family: HttpMetric) -> &str {
        let set = self
            .helps
            .iter()
            .rev()
            .find(|(metric, _)| *metric == family);
        match (set, family, self.measure_until) {
            (Some((_, help)), _, _) => help,
            (None, HttpMetric::Duration, MeasureUntil::Head) => {
                "Duration of HTTP requests up to the response head in seconds."
            }
            (None, family, _) => family.about().2,
        }
    }

    /// The descriptions of all measured families. `rules` returns the buckets of a histogram by its name, if
    /// the settings have none for it.
    pub(crate) fn describe(
        &self,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Vec<FamilyDescription>, Error> {
        let mut families = Vec::new();
        for family in HttpMetric::ALL {
            families.extend(self.describe_family(family, &rules)?);
        }
        families.push(overflow_spec().describe());
        Ok(families)
    }

    /// The description of one family, if it is measured.
    pub(crate) fn describe_family(
        &self,
        family: HttpMetric,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Option<FamilyDescription>, Error> {
        let Some(name) = self.family_name(family) else {
            return Ok(None);
        };
        let (instrument, unit, _) = family.about();
        let mut description = FamilyDescription::new(name, instrument.kind());
        self.help(family).clone_into(&mut description.help);
        description.unit = unit;
        let sources = self.label_sources(family).into_iter();
        description.labels = sources.map(|source| self.describe_label(source)).collect();
        description.labels.extend(self.describe_extra_label(family));
        if instrument == Instrument::Histogram {
            let buckets = self.buckets_of(family)?;
            let buckets = buckets.unwrap_or_else(|| rules(&description.name));
            description.buckets = buckets.bounds().to_vec();
        }
        Ok(Some(description))
    }

    fn describe_label(&self, source: LabelSource) -> LabelDescription {
        let label = LabelDescription::new(self.label_name(source).to_owned());
        match source {
            LabelSource::Method => {
                let other = self.naming.other_method;
                let methods =
                    Method::labels(other, &self.methods).map(|name| name.to_owned().into());
                let label = label.role(LabelRole::Method).fallback(other);
                label.values::<Cow<'static, str>>(methods)
            }
            LabelSource::Endpoint => label
                .role(LabelRole::Endpoint)
                .fallback(self.naming.unmatched),
            LabelSource::Custom(i) => match &self.labels[i].values {
                AllowedValues::Listed(values) => {
                    let values = values.iter().map(|value| value.clone().into());
                    let values = values.chain(["".into(), OVERFLOW.into()]);
                    label.fallback("").values::<Cow<'static, str>>(values)
                }
                AllowedValues::AtMost(_) => label.fallback(""),
            },
            LabelSource::Status => self.describe_status(label.role(LabelRole::Status)),
            LabelSource::ErrorKind => {
                let kinds = self.error_kinds().map(ErrorKind::as_str);
                label.fallback("").values(kinds.chain([""]))
            }
            LabelSource::ErrorType => label.role(LabelRole::ErrorType).fallback(""),
        }
    }

    /// Lists the values if they are classes. Codes are too many to list.
    fn describe_status(&self, label: LabelDescription) -> LabelDescription {
        if !self.status_classes {
            return label;
        }
        let mut values: Vec<_> = Status::classes()
            .chain([Status::ERROR, Status::CANCELLED, Status::PANICKED])
            .map(|status| self.naming.status_value(status))
            .collect();
        // With an `error_type` label, the last three are the empty string.
        values.dedup();
        label.values(values)
    }

    /// Adds all errors that can be found without the sink.
    pub(crate) fn check(&self, errors: &mut Errors) {
        const MAX_ENDPOINTS: usize = 1_000_000;
        let Self {
            options,
            max_endpoints,
            naming,
            labels,
            routes,
            ..
        } = self;
        errors.add_range("max_endpoints", *max_endpoints, 1..=MAX_ENDPOINTS);
        let preregistered: BTreeSet<_> = routes.iter().map(|route| &route.endpoint).collect();
        if preregistered.len() > *max_endpoints {
            errors.push(format!(
                "max_endpoints must be at least the number of preregistered endpoints, {}, got {max_endpoints}; \
                 raise max_endpoints or preregister fewer",
                preregistered.len()
            ));
        }
        self.check_bounds(errors);
        errors.extend(naming.errors(|metric| self.is_measured(metric)));
        let custom = labels.iter().map(|label| label.name.as_str());
        let error_kind = self.error_kind_label();
        let standard = naming.labels().chain(error_kind);
        options.check(standard, custom, DURATION_BUCKETS, errors);
        self.check_custom_labels(errors);
        self.check_standard_labels(errors);
        self.check_templates(errors);
        self.check_error_kinds(errors);
        errors.add_range("number of methods", self.methods.len(), 0..=MAX_METHODS);
    }

    /// The buckets of sizes and lifetimes, and that a metric uses them.
    fn check_bounds(&self, errors: &mut Errors) {
        if let Some(bounds) = &self.size_buckets {
            check_buckets("size_buckets", bounds, errors);
            if !HttpMetric::ALL
                .into_iter()
                .any(|m| m.has_size_buckets() && self.is_measured(m))
            {
                errors.push(
                    "size_buckets: no size is measured; add `.measure(HttpMetric::ResponseBodySize)` or \
                     `.with_request_body()`, or remove size_buckets",
                );
            }
        }
        if let Some(bounds) = &self.connection_buckets {
            check_buckets("connection_buckets", bounds, errors);
            if !self.is_measured(HttpMetric::ConnectionDuration) {
                errors.push(
                    "connection_buckets: the lifetime of connections is not measured; add \
                     `.measure(HttpMetric::ConnectionDuration)`, or remove connection_buckets",
                );
            }
        }
    }

    /// That each metric can have the standard labels that are set for it.
    fn check_standard_labels(&self, errors: &mut Errors) {
        for (metric, labels) in &self.label_sets {
            if labels.contains(&StandardLabel::Status) && !metric.is_recorded_at_end() {
                errors.push(format!(
                    "standard_labels: HttpMetric::{metric:?} cannot have the label {:?}, because it is recorded \
                     before the status is known; remove StandardLabel::Status",
                    self.naming.status
                ));
            }
            if labels.contains(&StandardLabel::Method) && metric.is_of_connections() {
                errors.push(format!(
                    "standard_labels: HttpMetric::{metric:?} cannot have the label {:?}: connections are counted by \
                     endpoint and kind; remove StandardLabel::Method",
                    self.naming.method
                ));
            }
        }
    }

    /// That skipped and preregistered endpoints are route templates, so that a typing error is not silent.
    fn check_templates(&self, errors: &mut Errors) {
        // Clients name their endpoints themselves.
        if self.side == Side::Client || self.endpoint_source.function.is_some() {
            return;
        }
        let is_word = |name: &str| name == self.naming.unmatched || name == OVERFLOW;
        for skipped in self.skip.iter().filter(|name| !is_word(name)) {
            errors.add(check_template("skip", skipped));
        }
        for route in self.routes.iter().filter(|route| !is_word(&route.endpoint)) {
            errors.add(check_template("preregister", &route.endpoint));
        }
    }

    fn check_error_kinds(&self, errors: &mut Errors) {
        let added = &self.added_error_kinds;
        errors.add_range("number of error kinds", added.len(), 0..=MAX_ERROR_KINDS);
        if !(added.is_empty() || self.records_error_kinds) {
            errors.push(
                "error_kinds: the kinds of errors are not recorded; add `.with_error_kind(…)`, or remove error_kinds",
            );
        }
    }

    fn check_custom_labels(&self, errors: &mut Errors) {
        if self.labels.len() > MAX_LABELS {
            errors.push(format!(
                "too many custom labels: at most {MAX_LABELS} are allowed, got {}",
                self.labels.len()
            ));
        }
        for (i, label) in self.labels.iter().enumerate() {
            label.check(errors);
            let has_it = |source: &LabelSource| matches!(source, LabelSource::Custom(j) if *j == i);
            let mut measured = HttpMetric::ALL
                .into_iter()
                .filter(|metric| self.is_measured(*metric));
            if !measured.any(|metric| self.label_sources(metric).iter().any(has_it)) {
                errors.push(format!(
                    "label {:?} is on no metric: the counters of requests and responses are off; use on_histograms",
                    label.name
                ));
            }
        }
        if !self.routes.is_empty() {
            self.check_preregistered_labels(errors);
        }
    }

    fn check_preregistered_labels(&self, errors: &mut Errors) {
        const MAX_COMBINATIONS: usize = 10_000;
        let mut combinations = 1_usize;
        for label in &self.labels {
            let Some(values) = label.values.listed() else {
                errors.push(format!(
                    "preregister: the values of label {:?} are not known at start-up; list them with `values`, or \
                     do not preregister routes",
                    label.name
                ));
                continue;
            };
            combinations = combinations.saturating_mul(values.len());
        }
        if combinations > MAX_COMBINATIONS {
            errors.push(format!(
                "preregister: at most {MAX_COMBINATIONS} combinations of label values are allowed, \
                 the labels have {combinations}"
            ));
        }
    }

    /// The names of the labels of this layer, without constant labels.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        let custom = self.labels.iter().map(|label| label.name.as_str());
        custom
            .chain(self.naming.labels())
            .chain(self.error_kind_label())
    }

    /// The label of error kinds, if it is not OpenTelemetry's `error_type`.
    fn error_kind_label(&self) -> Option<&str> {
        matches!(self.error_source(), Some(LabelSource::ErrorKind))
            .then_some(self.naming.error_kind.as_str())
    }

    /// The description of the label that only this family has.
    fn describe_extra_label(&self, family: HttpMetric) -> Option<LabelDescription> {
        let label = LabelDescription::new(family.extra_label()?);
        let reasons = match (family, self.side) {
            (HttpMetric::AbortedRequestBodies, _) => AbortReason::REQUEST.as_slice(),
            (HttpMetric::AbortedBodies, Side::Server) => &AbortReason::SERVER,
            (HttpMetric::AbortedBodies, Side::Client) => &AbortReason::CLIENT,
            _ => return Some(label.role(LabelRole::ConnectionKind)),
        };
        let reasons = reasons.iter().map(|reason| reason.label());
        Some(label.role(LabelRole::Reason).values(reasons))
    }
}

/// The metrics that a custom label must be on for `family` to have it.
fn custom_on(family: HttpMetric) -> On {
    match family {
        HttpMetric::Requests | HttpMetric::Responses => On::Requests,
        HttpMetric::ResponseBytes => On::Histograms,
        family if family.is_recorded_at_end() => On::Histograms,
        _ => On::Everything,
    }
}

/// The maximum number of methods in addition to the standard ones.
const MAX_METHODS: usize = 50;

/// The maximum number of error kinds in addition to the fixed ones.
const MAX_ERROR_KINDS: usize = 43;

/// The default bounds of sizes in bytes: the powers of 4 from 256 B to 64 MiB.
const SIZES: [f64; 10] = [
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The default bounds of the lifetimes of connections in seconds: from one second to one day.
const LIFETIMES: [f64; 11] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];
