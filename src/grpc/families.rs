//! The metric families of a gRPC layer: their names, labels and buckets. The module documentation has the same
//! table.

use crate::error::Error;
use crate::grpc::code::Code;
use crate::grpc::metric::GrpcMetric;
use crate::grpc::naming::MethodLabels;
use crate::grpc::settings::{GrpcSettings, GrpcType};
use crate::http::config::http_label::On;
use crate::model::bounds::Buckets;
use crate::model::description::{FamilyDescription, LabelDescription, LabelRole};
use crate::model::kind::Instrument;
use crate::model::layer::{LayerDescription, LayerKind};
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::sink::overflow::overflow_spec;
use crate::sink::side::Side;

/// Where the value of a label comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LabelSource {
    Type,
    Service,
    Method,
    /// The service and the method.
    FullMethod,
    /// The custom label with this index.
    Custom(usize),
    Code,
    ErrorType,
}

/// The metrics that a custom label must be on for `metric` to have it. While a call is in progress, only the request is
/// known.
pub(crate) fn custom_on(metric: GrpcMetric) -> On {
    match metric {
        GrpcMetric::Handled => On::Requests,
        GrpcMetric::Handling => On::Histograms,
        _ => On::Everything,
    }
}

impl GrpcSettings {
    /// The full name of a family, if it is measured.
    pub(crate) fn family_name(&self, metric: GrpcMetric) -> Option<String> {
        let name = self.naming.name(metric, self.side);
        self.is_measured(metric)
            .then(|| self.options.full_name(name))
    }

    /// Whether any metric has the custom label with this index.
    pub(crate) fn uses_label(&self, label: usize) -> bool {
        let is_it = |source: &LabelSource| matches!(source, LabelSource::Custom(i) if *i == label);
        GrpcMetric::ALL
            .into_iter()
            .any(|metric| self.is_measured(metric) && self.label_sources(metric).iter().any(is_it))
    }

    /// The labels of a family, without constant labels.
    pub(crate) fn label_sources(&self, metric: GrpcMetric) -> Vec<LabelSource> {
        let naming = &self.naming;
        let has_code = match metric {
            GrpcMetric::Handled => true,
            GrpcMetric::Handling => self.code_on_durations,
            _ => false,
        };
        let mut sources: Vec<_> = naming.kind.iter().map(|_| LabelSource::Type).collect();
        match naming.method {
            MethodLabels::Separate { .. } => {
                sources.extend([LabelSource::Service, LabelSource::Method]);
            }
            MethodLabels::Full(_) => sources.push(LabelSource::FullMethod),
        }
        if has_code {
            sources.push(LabelSource::Code);
            sources.extend(naming.error_type.iter().map(|_| LabelSource::ErrorType));
        }
        let on = custom_on(metric);
        let custom = (0..self.labels.len()).filter(|i| self.labels[*i].on >= on);
        sources.extend(custom.map(LabelSource::Custom));
        sources
    }

    pub(crate) fn label_name(&self, source: LabelSource) -> &str {
        let naming = &self.naming;
        match (source, &naming.method) {
            (LabelSource::Type, _) => naming.kind.as_deref().unwrap_or_default(),
            (LabelSource::Service, MethodLabels::Separate { service, .. }) => service,
            (LabelSource::Method, MethodLabels::Separate { method, .. }) => method,
            (LabelSource::Custom(i), _) => &self.labels[i].name,
            (LabelSource::Code, _) => &naming.code,
            (LabelSource::ErrorType, _) => naming.error_type.as_deref().unwrap_or_default(),
            (LabelSource::FullMethod, MethodLabels::Separate { method: name, .. })
            | (_, MethodLabels::Full(name)) => name,
        }
    }

    fn buckets_of(&self, metric: GrpcMetric) -> Result<Option<Buckets>, Error> {
        let bounds = match metric {
            GrpcMetric::Handling => self.options.duration_buckets.as_ref(),
            metric if metric.is_size() => Some(&self.message_size_buckets),
            _ => None,
        };
        bounds
            .map(|bounds| Buckets::new(bounds.iter().copied()))
            .transpose()
    }

    /// The definition of a family, if it is measured.
    pub(crate) fn spec(&self, metric: GrpcMetric) -> Result<Option<FamilySpec>, Error> {
        let Some(name) = self.family_name(metric) else {
            return Ok(None);
        };
        let (instrument, unit, help) = metric.about();
        let sources = self.label_sources(metric).into_iter();
        let labels = sources.map(|source| self.label_name(source));
        let labels = labels.chain(self.options.constant_label_names());
        Ok(Some(FamilySpec {
            name,
            instrument,
            metadata: FamilyMetadata {
                help: Some(help.into()),
                unit,
            },
            label_names: labels.map(str::to_owned).collect(),
            buckets: self.buckets_of(metric)?,
            exemplars: false,
        }))
    }

    /// The descriptions of all measured families. `rules` returns the buckets of a histogram by its name, if
    /// the settings have none for it.
    pub(crate) fn describe(
        &self,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Vec<FamilyDescription>, Error> {
        let mut families = Vec::new();
        for metric in GrpcMetric::ALL {
            families.extend(self.describe_family(metric, &rules)?);
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
            Side::Server => LayerKind::GrpcServer,
            Side::Client => LayerKind::GrpcClient,
        };
        let main = [
            GrpcMetric::Handled,
            GrpcMetric::Handling,
            GrpcMetric::InProgress,
        ];
        let overflow = overflow_spec().describe();
        let describe = |metric| self.describe_family(metric, &rules);
        LayerDescription::new(kind, &GrpcMetric::ALL, main, overflow, describe)
    }

    /// The description of one family without constant labels, if it is measured.
    pub(crate) fn describe_family(
        &self,
        metric: GrpcMetric,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Option<FamilyDescription>, Error> {
        let Some(spec) = self.spec(metric)? else {
            return Ok(None);
        };
        let mut family = spec.describe();
        let sources = self.label_sources(metric).into_iter();
        family.labels = sources.map(|source| self.describe_label(source)).collect();
        if spec.instrument == Instrument::Histogram && spec.buckets.is_none() {
            family.buckets = rules(&family.name).bounds().to_vec();
        }
        Ok(Some(family))
    }

    /// The name of a label, its role, its values and its fallback.
    fn describe_label(&self, source: LabelSource) -> LabelDescription {
        let label = LabelDescription::new(self.label_name(source).to_owned());
        let unknown = self.naming.unknown;
        let codes = Code::ALL.map(|code| code.name(self.naming.codes));
        match source {
            LabelSource::Type => {
                let types = GrpcType::ALL.map(GrpcType::label);
                let label = label.role(LabelRole::GrpcType).fallback(unknown);
                label.values(types.into_iter().chain([unknown]))
            }
            LabelSource::Service => label.role(LabelRole::GrpcService).fallback(unknown),
            LabelSource::Method | LabelSource::FullMethod => {
                label.role(LabelRole::GrpcMethod).fallback(unknown)
            }
            LabelSource::Code => label.role(LabelRole::GrpcCode).values(codes),
            LabelSource::ErrorType => {
                let failed = Code::ALL.into_iter().filter(|c| c.is_failure(self.side));
                let failed = failed.map(|code| code.name(self.naming.codes));
                let label = label.role(LabelRole::ErrorType).fallback("");
                label.values(failed.chain([""]))
            }
            LabelSource::Custom(i) => self.labels[i].describe(label),
        }
    }
}
