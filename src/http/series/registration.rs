//! How the series of a layer are created: shared, registered in the sink, and preregistered.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32};

use metrics::NoopRecorder;

use crate::error::Error;
use crate::http::config::families::LabelSource;
use crate::http::config::http_label::On;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::settings::HttpSettings;
use crate::http::labels::status::Status;
use crate::http::series::custom_labels::CustomLabels;
use crate::http::series::endpoint::EndpointKind;
use crate::http::series::layer::LayerSeries;
use crate::http::series::needs::Needs;
use crate::maps::table::Table;
use crate::model::bounds::Buckets;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::open_labels::rows::OpenRows;
use crate::sink::Sink;
use crate::sink::activation::Activation;
use crate::sink::overflow::{OVERFLOW, Overflow, overflow_spec};

impl LayerSeries {
    /// Returns the series of a configuration; on the same registry, always the same ones.
    pub(crate) fn shared(settings: &HttpSettings, sink: &Sink) -> Result<&'static Self, Error> {
        if !settings.enabled {
            return Ok(Self::disabled());
        }
        let same = |series: &Self| series.settings == *settings;
        let leak = || {
            let series = Self::leak(Self::new(settings.clone(), sink)?);
            series.preregister();
            if let Some(rows) = &series.rows {
                sink.add_rows(rows);
            }
            sink.add_layer(Box::new(|buckets| series.settings.describe_layer(buckets)));
            Ok(series)
        };
        let (options, labels) = (&settings.options, settings.label_names());
        let buckets = settings.bucket_settings();
        sink.layer_state(options, labels, &buckets, same, leak)
    }

    /// Returns the series of a layer that is turned off.
    fn disabled() -> &'static Self {
        static DISABLED: OnceLock<&'static LayerSeries> = OnceLock::new();
        DISABLED.get_or_init(|| Self::leak(Self::passive(Activation::Off)))
    }

    /// Returns the series of a layer that measures nothing until a global recorder is installed.
    pub(crate) fn waiting(settings: &HttpSettings) -> &'static Self {
        if !settings.enabled {
            return Self::disabled();
        }
        let waiting = Activation::waiting(settings.clone(), Self::shared);
        Self::leak(Self::passive(waiting))
    }

    fn leak(series: Self) -> &'static Self {
        Box::leak(Box::new(series))
    }

    /// A layer that measures nothing.
    fn passive(activation: Activation<HttpSettings, Self>) -> Self {
        let settings = HttpSettings {
            max_endpoints: 1,
            ..HttpSettings::server()
        };
        let passive = Self::unregistered(settings, &Sink::recorder(NoopRecorder));
        Self {
            needs: Needs::of(&passive.settings, false),
            activation,
            ..passive
        }
    }

    /// Registers the families and allocates the tables.
    fn new(settings: HttpSettings, sink: &Sink) -> Result<Self, Error> {
        let mut series = Self::unregistered(settings, sink);
        for family in HttpMetric::ALL {
            if let Some(spec) = series.spec(family)? {
                sink.register(&spec)?;
            }
        }
        if let Some(name) = series.name(HttpMetric::Duration) {
            series.duration_bounds = sink.registered_buckets(name);
        }
        sink.register(&overflow_spec())?;
        for skipped in &series.settings.skip {
            let make = |name| series.settings.endpoint(name, EndpointKind::Route);
            series.endpoints.get_or_insert(skipped, make);
        }
        Ok(series)
    }

    /// Allocates the tables.
    fn unregistered(settings: HttpSettings, sink: &Sink) -> Self {
        let label_sources = HttpMetric::ALL.map(|family| settings.label_sources(family));
        let timeout = sink.shortest_idle_timeout();
        let custom = CustomLabels::new(&settings.labels, timeout.is_some());
        let rows = timeout
            .filter(|_| custom.has_rows())
            .map(|timeout| OpenRows::new(custom.open_limits(), timeout));
        let is_endpoint = |source: &LabelSource| matches!(source, LabelSource::Endpoint);
        Self {
            needs: Needs::of(&settings, true),
            endpoints: Table::new(settings.max_endpoints + settings.skip.len()),
            unmatched: settings.endpoint(settings.naming.unmatched, EndpointKind::Unmatched),
            overflow: settings.endpoint(OVERFLOW, EndpointKind::Overflow),
            custom,
            rows,
            endpoint_overflow: Overflow::default(),
            matched: AtomicBool::new(false),
            unmatched_responses: AtomicU32::new(0),
            is_nested: AtomicBool::new(false),
            activation: Activation::Active,
            names: HttpMetric::ALL.map(|family| settings.family_name(family)),
            has_endpoint_label: label_sources.iter().flatten().any(is_endpoint),
            label_sources,
            settings,
            writing: sink.writing(),
            duration_bounds: Buckets::default(),
            sink: sink.downgrade(),
        }
    }

    /// Registers the series of the preregistered routes, so that they are exported as 0.
    fn preregister(&'static self) {
        for route in &self.settings.routes {
            let endpoint = self.endpoint_or_new(Some(&route.endpoint));
            for labels in self.custom.listed(On::Requests) {
                let method = self.method(&route.method);
                let Some(series) = endpoint.get_or_insert(self, method, labels) else {
                    continue;
                };
                series.in_progress();
                series.response_bytes();
                for status in &route.statuses {
                    series.recorder(Status::of(*status));
                }
            }
        }
    }

    fn spec(&self, family: HttpMetric) -> Result<Option<FamilySpec>, Error> {
        let Some(name) = self.name(family) else {
            return Ok(None);
        };
        let (instrument, unit, _) = family.about();
        let constants = self.settings.options.constant_label_names();
        let sources = self.label_sources[family as usize].iter();
        let names = sources.map(|source| self.settings.label_name(*source));
        let names = names.chain(family.extra_label()).chain(constants);
        Ok(Some(FamilySpec {
            name: name.to_owned(),
            instrument,
            metadata: FamilyMetadata {
                help: Some(self.settings.help(family).to_owned().into()),
                unit,
            },
            label_names: names.map(str::to_owned).collect(),
            buckets: self.settings.buckets_of(family)?,
            exemplars: family == HttpMetric::Duration && self.settings.exemplar.is_some(),
        }))
    }
}
