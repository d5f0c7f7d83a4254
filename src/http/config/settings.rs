//! [`HttpSettings`]: the settings of an HTTP layer and their validation.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::error::{Error, Errors};
use crate::http::config::endpoint_source::EndpointSource;
use crate::http::config::http_label::MAX_LABELS;
use crate::http::config::http_label::{AllowedValues, HttpLabel, On};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::naming::Naming;
use crate::http::labels::abort_reason::AbortReason;
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

/// The name of the setting for the buckets of durations.
pub(crate) const DURATION_BUCKETS: &str = "duration_buckets";

/// The settings of a layer. Layers with equal settings on the same registry share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpSettings {
    pub(crate) options: LayerOptions,
    pub(crate) size_buckets: Vec<f64>,
    pub(crate) measure_until: MeasureUntil,
    pub(crate) endpoint_source: EndpointSource,
    pub(crate) warns_of_missing_route: bool,
    pub(crate) skip: Vec<String>,
    pub(crate) max_endpoints: usize,
    pub(crate) naming: Naming,
    pub(crate) measured: [bool; HttpMetric::COUNT],
    pub(crate) labels: Vec<HttpLabel>,
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

/// A function that returns the trace of a request. Compared by identity.
#[derive(Clone)]
pub(crate) struct ExemplarOf(pub(crate) Arc<TraceOf>);

type TraceOf = dyn Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync;

impl ExemplarOf {
    pub(crate) fn of(&self, request: RequestHead<'_>) -> Option<TraceId> {
        (self.0)(request)
    }
}

impl PartialEq for ExemplarOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
    ErrorType,
}

/// A preregistered route, with the statuses that are exported as 0 from start-up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) endpoint: String,
    pub(crate) statuses: Vec<StatusCode>,
}

impl HttpSettings {
    pub(crate) fn is_measured(&self, family: HttpMetric) -> bool {
        self.measured[family as usize]
    }

    /// Whether the end of a request records more than its count and its duration to the end of the body.
    pub(crate) fn measures_more(&self) -> bool {
        let more = [
            HttpMetric::HeadDuration,
            HttpMetric::ResponseBodySize,
            HttpMetric::RequestBodySize,
            HttpMetric::RequestBodyDuration,
        ];
        self.exemplar.is_some()
            || self.measure_until == MeasureUntil::Head
            || more.into_iter().any(|family| self.is_measured(family))
    }

    /// The full name of a family, if it is measured.
    pub(crate) fn family_name(&self, family: HttpMetric) -> Option<String> {
        let name = self.naming.name(family);
        self.is_measured(family)
            .then(|| self.options.full_name(name))
    }

    /// The labels of a family, without those that only this family has and without constant labels.
    pub(crate) fn label_sources(&self, family: HttpMetric) -> Vec<LabelSource> {
        let (endpoint, custom_on, status) = match family {
            HttpMetric::Requests => (true, On::Requests, true),
            HttpMetric::Duration
            | HttpMetric::HeadDuration
            | HttpMetric::ResponseBodySize
            | HttpMetric::RequestBodySize
            | HttpMetric::RequestBodyDuration => (true, On::Histograms, self.status_on_durations),
            HttpMetric::InProgress => (self.naming.endpoint_in_progress, On::Everything, false),
            HttpMetric::AbortedBodies => (true, On::Everything, false),
            HttpMetric::OpenConnections => return vec![LabelSource::Endpoint],
        };
        let mut sources = vec![LabelSource::Method];
        sources.extend(endpoint.then_some(LabelSource::Endpoint));
        let custom = (0..self.labels.len()).filter(|i| self.labels[*i].on >= custom_on);
        sources.extend(custom.map(LabelSource::Custom));
        if status {
            sources.push(LabelSource::Status);
            sources.extend(
                self.naming
                    .error_type
                    .is_some()
                    .then_some(LabelSource::ErrorType),
            );
        }
        sources
    }

    pub(crate) fn label_name(&self, source: LabelSource) -> &str {
        match source {
            LabelSource::Method => &self.naming.method,
            LabelSource::Endpoint => &self.naming.endpoint,
            LabelSource::Custom(i) => &self.labels[i].name,
            LabelSource::Status => &self.naming.status,
            LabelSource::ErrorType => self.naming.error_type.as_deref().unwrap_or_default(),
        }
    }

    pub(crate) fn buckets_of(&self, family: HttpMetric) -> Result<Option<Buckets>, Error> {
        let bounds = match family {
            HttpMetric::ResponseBodySize | HttpMetric::RequestBodySize => Some(&self.size_buckets),
            _ => self.options.duration_buckets.as_ref(),
        };
        bounds
            .map(|bounds| Buckets::new(bounds.iter().copied()))
            .transpose()
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
        let (instrument, unit, help) = family.about();
        let mut description = FamilyDescription::new(name, instrument.kind());
        description.help = help.to_owned();
        description.unit = unit;
        let sources = self.label_sources(family).into_iter();
        description.labels = sources.map(|source| self.describe_label(source)).collect();
        description.labels.extend(describe_extra_label(family));
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
                let methods = Method::ALL.iter().map(|method| method.label(other));
                let label = label.role(LabelRole::Method).fallback(other);
                label.values(methods)
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
            size_buckets,
            measure_until: _,
            endpoint_source: _,
            warns_of_missing_route: _,
            skip: _,
            max_endpoints,
            naming,
            measured: _,
            labels,
            status_classes: _,
            status_on_durations: _,
            routes,
            exemplar: _,
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
        check_buckets("size_buckets", size_buckets, errors);
        errors.extend(naming.errors());
        let custom = labels.iter().map(|label| label.name.as_str());
        options.check(naming.labels(), custom, DURATION_BUCKETS, errors);
        self.check_custom_labels(errors);
    }

    fn check_custom_labels(&self, errors: &mut Errors) {
        const MAX_VALUES: usize = 10_000;
        if self.labels.len() > MAX_LABELS {
            errors.push(format!(
                "too many custom labels: at most {MAX_LABELS} are allowed, got {}",
                self.labels.len()
            ));
        }
        for label in &self.labels {
            let name = &label.name;
            let (what, values) = match &label.values {
                AllowedValues::Listed(values) => {
                    (format!("number of values of label {name:?}"), values.len())
                }
                AllowedValues::AtMost(values) => (format!("max_values of label {name:?}"), *values),
            };
            errors.add_range(what, values, 1..=MAX_VALUES);
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
        custom.chain(self.naming.labels())
    }
}

/// The description of the label that only this family has.
fn describe_extra_label(family: HttpMetric) -> Option<LabelDescription> {
    let label = LabelDescription::new(family.extra_label()?);
    Some(match family {
        HttpMetric::AbortedBodies => label
            .role(LabelRole::Reason)
            .values(AbortReason::ALL.map(AbortReason::label)),
        _ => label.role(LabelRole::ConnectionKind),
    })
}
