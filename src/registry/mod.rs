//! [`Registry`]: counters, gauges and histograms, aggregated where they are recorded.

pub(crate) mod builder;
pub(crate) mod cell_reading;
pub(crate) mod cells;
pub(crate) mod collectors;
pub(crate) mod exemplars;
pub(crate) mod expiry;
pub(crate) mod families;
pub(crate) mod family;
pub(crate) mod global;
pub(crate) mod handles;
pub(crate) mod histogram_cells;
pub(crate) mod histogram_rules;
pub(crate) mod hooks;
pub(crate) mod index;

pub(crate) mod lifetime;
pub(crate) mod name_rules;
pub(crate) mod native;
mod recorder;
pub(crate) mod series;
pub mod snapshot;
mod sum;
pub(crate) mod thread_slot;
pub(crate) mod tracked;
pub(crate) mod utf8_names;
#[cfg(feature = "summary")]
pub(crate) mod window;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use metrics::Unit;

use self::builder::RegistryBuilder;
use self::cells::Store;
use self::collectors::Collectors;
use self::expiry::pages::Pages;
use self::expiry::timeouts::IdleTimeouts;
use self::families::Families;
#[cfg(feature = "summary")]
use self::handles::RegistrySummary;
use self::handles::{
    RegistryCounter, RegistryFloatCounter, RegistryGauge, RegistryHistogram, RegistryInProgress,
    RegistryStateSet,
};
use self::histogram_rules::HistogramRules;
use self::lifetime::RowSet;
use self::series::SeriesMap;
use self::snapshot::values::Spare;
use crate::collect::checker::SampleRules;
use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::description::FamilyDescription;
use crate::model::kind::{Instrument, MetricKind};
use crate::model::label_text::label_text;
use crate::model::layer::LayerDescription;
use crate::model::spec::FamilySpec;
use crate::sync::lock;

pub use self::collectors::CollectorHandle;

/// A metrics registry: stores metrics and exports them to Prometheus.
///
/// Labels of the macros of the `metrics` crate have no limit, and series stay until the registry is dropped. A label
/// value such as a user id or a raw path makes the registry grow without bound. Layers and
/// [catalogues](crate::catalogue!) limit the cardinality of their labels. With
/// [`idle_timeout`](RegistryBuilder::idle_timeout), series leave the page when they are idle, and [`remove`](Self::remove)
/// removes them.
///
/// A registry is a [`Sink`](crate::Sink) for layers and catalogues, and a `metrics::Recorder` for the macros
/// of the `metrics` crate, version 0.24: macros of other versions record nothing. Clones are handles to the same
/// registry.
///
/// Every observation is aggregated in place:
///
/// - Memory grows with the number of series, not with the number of observations.
/// - Observations recorded during a scrape are not lost.
/// - Counters, buckets and counts never decrease between scrapes. Only a series that was removed or has expired starts
///   at 0 when it returns.
///
/// ```
/// use tower_prometheus::Registry;
///
/// let registry = Registry::new();
/// metrics::with_local_recorder(&registry, || {
///     metrics::counter!("orders_total", "kind" => "book").increment(3);
/// });
/// assert_eq!(registry.sum("orders_total", &[("kind", "book")]), Some(3.0));
/// ```
///
/// | to | use |
/// |---|---|
/// | record the macros of the whole program | [`RegistryBuilder::install`] |
/// | set constant labels, and buckets of macros and layers | [`Registry::builder`] |
/// | serve the metrics page | [`Registry::handler`] |
/// | read the metrics in a test | [`Registry::sum`], [`Registry::render`] |
///
/// # Dropping a registry
///
/// When the last handle is dropped, these are freed: its collectors with what they hold, the index of the metrics page, and
/// the series of macros, whose values are freed unless there was a layer, or a catalogue with series.
///
/// | | keeps the registry |
/// |---|---|
/// | [`Sink`](crate::Sink), [`MetricsHandler`](crate::MetricsHandler), a metrics server, a registry with this one as a collector | yes |
/// | layers, catalogues, [`CollectorHandle`] | no |
/// | a collector of this registry that holds one of its handles | yes, so the registry is never freed |
/// | [`RegistryBuilder::install`] | yes, as long as the program runs |
///
/// Layers and catalogues live as long as the program. After the registry is dropped, they work as before, but what they
/// record is not exported, and new series record nothing. For each registry, their tables stay in memory, with the
/// closures of layers and what these capture:
///
/// | built in the registry | bytes that stay |
/// |---|---|
/// | nothing; only macros and collectors | 0 |
/// | a catalogue of two counters | about 9 KiB |
/// | an HTTP layer | about 43 KiB, of which [`max_endpoints`](crate::HttpMetrics::max_endpoints) determines 32 KiB; with 20 endpoints, about 12 KiB |
/// | a gRPC layer | about 41 KiB, of which [`max_methods`](crate::GrpcMetrics::max_methods) determines 32 KiB |
/// | an HTTP layer with 20 endpoints and a catalogue of two counters, after a request | about 16 KiB |
///
/// Series of layers and catalogues add to it, up to about 550 bytes each for a counter and 750 bytes for a histogram. With a
/// layer, or a catalogue that has series, the values of all series stay as well: 8 bytes for each number and each thread
/// that recorded it, so about 16 bytes for a counter or a gauge of a macro, and 150 bytes for a histogram. So do not create
/// a registry with a layer or a catalogue for each tenant or each connection: use one registry and a label.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<RegistryInner>,
}

/// A registry that is dropped with its last [`Registry`].
#[derive(Clone)]
pub(crate) struct WeakRegistry(Weak<RegistryInner>);

impl WeakRegistry {
    pub(crate) fn upgrade(&self) -> Option<Registry> {
        let inner = self.0.upgrade()?;
        Some(Registry { inner })
    }
}

struct RegistryInner {
    store: Arc<Store>,
    spare: Spare,
    pages: Arc<Pages>,
    idle_timeouts: IdleTimeouts,
    collectors: Collectors,
    constant_labels: Vec<(String, String)>,
    histogram_rules: HistogramRules,
    families: Families,
    counters: SeriesMap<RegistryCounter>,
    float_counters: SeriesMap<RegistryFloatCounter>,
    gauges: SeriesMap<RegistryGauge>,
    histograms: SeriesMap<RegistryHistogram>,
    in_progress: SeriesMap<RegistryInProgress>,
    state_sets: SeriesMap<RegistryStateSet>,
    infos: SeriesMap<()>,
    #[cfg(feature = "summary")]
    summaries: SeriesMap<RegistrySummary>,
    /// One leaked state per configuration of a layer or family. Building the same layer again reuses its state,
    /// so it leaks nothing more.
    layers: Mutex<Vec<&'static (dyn Any + Send + Sync)>>,
    /// The functions that return the definitions of the layers: the definitions themselves would take kilobytes each.
    layer_descriptions: Mutex<Vec<DescribeLayer>>,
    /// The rows that are cleared when the registry is dropped.
    row_sets: Mutex<Vec<&'static dyn RowSet>>,
    has_created_lines: bool,
}

impl Drop for RegistryInner {
    fn drop(&mut self) {
        for rows in lock(&self.row_sets).iter() {
            rows.clear();
        }
    }
}

/// Returns the definition of a layer. Gets the buckets of a histogram by its name.
pub(crate) type DescribeLayer =
    Box<dyn Fn(&dyn Fn(&str) -> Buckets) -> Result<LayerDescription, Error> + Send + Sync>;

/// Settings of the metrics page; both off by default.
#[derive(Clone, Copy, Debug, Default)]
struct PageSettings {
    /// Whether names of macros are kept for scrapers that accept UTF-8.
    utf8_names: bool,
    /// Whether pages in OpenMetrics have the times at which series were registered.
    created_lines: bool,
}

impl Registry {
    /// Creates a registry with the default configuration.
    ///
    /// It is not installed as the [global](Self::global) recorder: macros of the `metrics` crate record into it
    /// only within `metrics::with_local_recorder`. So each test can have its own registry.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a `Default` registry could be mistaken for the global one"
    )]
    pub fn new() -> Self {
        Self::with_rules(
            HistogramRules::default(),
            Vec::new(),
            Collectors::DEFAULT_MAX_SERIES,
            PageSettings::default(),
            IdleTimeouts::default(),
        )
    }

    /// Returns a builder, which sets constant labels and buckets and can install the registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    fn with_rules(
        histogram_rules: HistogramRules,
        constant_labels: Vec<(String, String)>,
        max_series_per_collector: usize,
        page: PageSettings,
        idle_timeouts: IdleTimeouts,
    ) -> Self {
        let constants = constant_labels.iter();
        let constants = constants.map(|(name, value)| (&**name, &**value));
        let sample_rules = SampleRules {
            constant_labels: label_text(constants).into(),
            max_series: max_series_per_collector,
        };
        Self {
            inner: Arc::new(RegistryInner {
                store: Arc::default(),
                spare: Spare::default(),
                pages: Arc::default(),
                idle_timeouts,
                collectors: Collectors::new(sample_rules),
                constant_labels,
                histogram_rules,
                families: Families::new(page.utf8_names),
                counters: SeriesMap::default(),
                float_counters: SeriesMap::default(),
                gauges: SeriesMap::default(),
                histograms: SeriesMap::default(),
                in_progress: SeriesMap::default(),
                state_sets: SeriesMap::default(),
                infos: SeriesMap::default(),
                #[cfg(feature = "summary")]
                summaries: SeriesMap::default(),
                layers: Mutex::default(),
                layer_descriptions: Mutex::default(),
                row_sets: Mutex::default(),
                has_created_lines: page.created_lines,
            }),
        }
    }

    /// Returns the definitions of the layers that were built with this registry, in the order in which they were built.
    ///
    /// A configuration that was built several times is listed once. Layers of registries that are collectors of this one
    /// are not included.
    #[must_use]
    pub fn layers(&self) -> Vec<LayerDescription> {
        let layers = lock(&self.inner.layer_descriptions);
        let buckets = |name: &str| self.buckets_of(name);
        // The layer was built with this configuration, so it has no errors.
        let layers = layers.iter();
        layers
            .filter_map(|describe| describe(&buckets).ok())
            .map(|layer| layer.map_families(|family| self.with_native_buckets(family)))
            .collect()
    }

    pub(crate) fn add_layer(&self, describe: DescribeLayer) {
        lock(&self.inner.layer_descriptions).push(describe);
    }

    pub(crate) fn downgrade(&self) -> WeakRegistry {
        WeakRegistry(Arc::downgrade(&self.inner))
    }

    /// Adds rows that are cleared when the registry is dropped.
    pub(crate) fn add_rows(&self, rows: &'static dyn RowSet) {
        lock(&self.inner.row_sets).push(rows);
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.inner.store)
    }

    /// Returns the shortest idle timeout; `None` if series never expire.
    pub(crate) fn shortest_idle_timeout(&self) -> Option<Duration> {
        self.inner.idle_timeouts.shortest()
    }

    pub(crate) fn constant_labels(&self) -> &[(String, String)] {
        &self.inner.constant_labels
    }

    pub(crate) fn collectors(&self) -> &Collectors {
        &self.inner.collectors
    }

    /// Registers a family. Must be called before its first series is registered.
    pub(crate) fn register_family(&self, spec: &FamilySpec) -> Result<(), Error> {
        let RegistryInner {
            families,
            histogram_rules,
            ..
        } = &*self.inner;
        families.register(spec, histogram_rules)
    }

    /// Returns the description of a metric with the native buckets that this registry gives it.
    ///
    /// Only histograms change: [`native`](FamilyDescription::native) is set if
    /// [`native_histograms`](RegistryBuilder::native_histograms) or one of its variants applies to the name, and
    /// [`buckets`](FamilyDescription::buckets) is then emptied if the setting is
    /// [`without_classic_buckets`](crate::NativeHistogram::without_classic_buckets). The metric need not be registered.
    ///
    /// ```
    /// use tower_prometheus::{NativeHistogram, Registry, model::{FamilyDescription, MetricKind}};
    ///
    /// let settings = NativeHistogram::new(1.1).without_classic_buckets();
    /// let registry = Registry::builder().native_histograms_for_suffix("_seconds", settings).build()?;
    /// let duration = FamilyDescription::new("order_seconds", MetricKind::Histogram).buckets([0.1, 1.0]);
    /// let duration = registry.with_native_buckets(duration);
    /// assert!(duration.native && duration.buckets.is_empty());
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    #[must_use]
    pub fn with_native_buckets(&self, mut family: FamilyDescription) -> FamilyDescription {
        let rules = &self.inner.histogram_rules;
        if family.kind != MetricKind::Histogram {
            return family;
        }
        if let Some(native) = rules.native(Instrument::Histogram, &family.name) {
            family.native = true;
            if !native.has_classic {
                family.buckets.clear();
            }
        }
        family
    }

    /// Returns the buckets of durations in seconds whose definition sets none.
    pub(crate) fn buckets_of(&self, family: &str) -> Buckets {
        let rules = &self.inner.histogram_rules;
        rules.buckets(family, Some(Unit::Seconds)).buckets
    }

    /// Returns the buckets of a registered histogram.
    pub(crate) fn registered_buckets(&self, family: &str) -> Buckets {
        let RegistryInner {
            families,
            histogram_rules,
            ..
        } = &*self.inner;
        let family = families.of(Instrument::Histogram, family, histogram_rules);
        family.classic_buckets().cloned().unwrap_or_default()
    }

    /// Returns an error if one of `labels` is a constant label of this registry. `owner` names the layer or
    /// the family of the labels, for the message.
    pub(crate) fn check_constant_label_conflicts<'a>(
        &self,
        owner: impl fmt::Display,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let is_constant = |label: &&str| {
            let constants = &self.inner.constant_labels;
            constants.iter().any(|(name, _)| name == label)
        };
        match labels.into_iter().find(is_constant) {
            None => Ok(()),
            Some(name) => Err(Error::new(format!(
                "label {name:?} is a constant label of the registry and a label of {owner}; rename one of them"
            ))),
        }
    }

    /// Returns the state that was leaked earlier for a configuration that is equal by `same`; otherwise calls
    /// `leak`, and keeps and returns its result.
    pub(crate) fn layer_state<T: Any + Send + Sync>(
        &self,
        same: impl Fn(&T) -> bool,
        leak: impl FnOnce() -> Result<&'static T, Error>,
    ) -> Result<&'static T, Error> {
        let mut layers = lock(&self.inner.layers);
        let mut known = layers
            .iter()
            .copied()
            .filter_map(<dyn Any + Send + Sync>::downcast_ref);
        if let Some(known) = known.find(|state| same(state)) {
            return Ok(known);
        }
        let state = leak()?;
        layers.push(state);
        Ok(state)
    }
}

/// Handles are equal if they are of the same registry.
impl PartialEq for Registry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Registry {}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegistryInner {
            store: _,
            spare: _,
            pages: _,
            idle_timeouts: _,
            collectors,
            constant_labels,
            histogram_rules: _,
            families,
            counters: _,
            float_counters: _,
            gauges: _,
            histograms: _,
            in_progress: _,
            state_sets: _,
            infos: _,
            #[cfg(feature = "summary")]
                summaries: _,
            layers: _,
            layer_descriptions: _,
            row_sets: _,
            has_created_lines: _,
        } = &*self.inner;
        f.debug_struct("Registry")
            .field("constant_labels", constant_labels)
            .field("families", &families.len())
            .field("collectors", collectors)
            .finish_non_exhaustive()
    }
}
