//! The metric families of an HTTP layer: their names, labels, buckets and HELP texts.

use std::borrow::Cow;

use crate::error::Error;
use crate::http::config::http_label::{HttpLabel, On};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::settings::{HttpSettings, MeasureUntil};
use crate::http::config::standard_label::StandardLabel;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::error_kind::ErrorKind;
use crate::http::labels::method::Method;
use crate::http::labels::status::Status;
use crate::model::bounds::Buckets;
use crate::model::description::{FamilyDescription, LabelDescription, LabelRole};
use crate::model::kind::Instrument;
use crate::model::layer::{LayerDescription, LayerKind};
use crate::sink::overflow::overflow_spec;
use crate::sink::side::Side;

/// Where the value of a label comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
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

impl HttpSettings {
    /// The full name of a family, if it is measured.
    pub(crate) fn family_name(&self, family: HttpMetric) -> Option<String> {
        let name = self.naming.name(family);
        self.is_measured(family)
            .then(|| self.options.full_name(name))
    }

    /// Whether any metric has the custom label with this index.
    pub(super) fn uses_label(&self, label: usize) -> bool {
        let is_it = |source: &LabelSource| matches!(source, LabelSource::Custom(i) if *i == label);
        HttpMetric::ALL
            .into_iter()
            .any(|metric| self.is_measured(metric) && self.label_sources(metric).iter().any(is_it))
    }

    /// The labels of a family, without those that only this family has and without constant labels.
    pub(crate) fn label_sources(&self, family: HttpMetric) -> Vec<LabelSource> {
        let standard = self.standard_labels(family);
        let has = |label: StandardLabel| standard.contains(&label);
        let custom_on = custom_on(family);
        // Bytes are counted while a response is sent, before its outcome is known.
        let is_known =
            |label: &HttpLabel| family != HttpMetric::ResponseBytes || !label.reads_outcome();
        let custom = (0..self.labels.len()).filter(|i| {
            let label = &self.labels[*i];
            label.on >= custom_on && is_known(label)
        });
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

    /// The definition of a layer with these settings.
    pub(crate) fn describe_layer(
        &self,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<LayerDescription, Error> {
        let kind = match self.side {
            Side::Server => LayerKind::HttpServer,
            Side::Client => LayerKind::HttpClient,
        };
        let main = [
            HttpMetric::Requests,
            HttpMetric::Duration,
            HttpMetric::InProgress,
        ];
        let overflow = overflow_spec().describe();
        let describe = |metric| self.describe_family(metric, &rules);
        LayerDescription::new(kind, &HttpMetric::ALL, main, overflow, describe)
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
            LabelSource::Custom(i) => self.labels[i].describe(label),
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

    /// The names of the labels of this layer, without constant labels.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        let custom = self.labels.iter().map(|label| label.name.as_str());
        custom
            .chain(self.naming.labels())
            .chain(self.error_kind_label())
    }

    /// The label of error kinds, if it is not OpenTelemetry's `error_type`.
    pub(super) fn error_kind_label(&self) -> Option<&str> {
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
