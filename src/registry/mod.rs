//! [`Registry`]: counters, gauges and histograms, aggregated where they are recorded.

pub(crate) mod bucket_rules;
pub(crate) mod builder;
pub(crate) mod cells;
pub(crate) mod collectors;
pub(crate) mod exemplars;
pub(crate) mod families;
pub(crate) mod family;
pub(crate) mod global;
pub(crate) mod handles;
pub(crate) mod hooks;
pub(crate) mod index;
pub(crate) mod native;
mod recorder;
pub(crate) mod series;
pub mod snapshot;
mod sum;
pub(crate) mod thread_slot;
#[cfg(feature = "summary")]
pub(crate) mod window;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use self::bucket_rules::BucketRules;
use self::builder::RegistryBuilder;
use self::cells::Store;
use self::collectors::Collectors;
use self::families::Families;
#[cfg(feature = "summary")]
use self::handles::RegistrySummary;
use self::handles::{
    RegistryCounter, RegistryFloatCounter, RegistryGauge, RegistryHistogram, RegistryInProgress,
};
use self::series::SeriesMap;
use self::snapshot::values::Spare;
use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::spec::FamilySpec;
use crate::sync::lock;

pub use self::collectors::CollectorHandle;

/// A metrics registry: stores metrics and exports them to Prometheus.
///
/// Labels of the macros of the `metrics` crate have no limit, and series are never removed. A label value such
/// as a user id or a raw path makes the registry grow without bound. Layers and
/// [catalogues](crate::catalogue!) limit the cardinality of their labels.
///
/// A registry is a [`Sink`](crate::Sink) for layers and catalogues, and a `metrics::Recorder` for the macros
/// of the `metrics` crate. Clones are handles to the same registry.
///
/// Every observation is aggregated in place:
///
/// - Memory grows with the number of series, not with the number of observations.
/// - Observations recorded during a scrape are not lost.
/// - Counters, buckets and counts never decrease between scrapes.
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
#[derive(Clone)]
pub struct Registry {
    inner: Arc<RegistryInner>,
}

struct RegistryInner {
    store: Arc<Store>,
    spare: Spare,
    collectors: Collectors,
    constant_labels: Vec<(String, String)>,
    bucket_rules: BucketRules,
    families: Families,
    counters: SeriesMap<RegistryCounter>,
    float_counters: SeriesMap<RegistryFloatCounter>,
    gauges: SeriesMap<RegistryGauge>,
    histograms: SeriesMap<RegistryHistogram>,
    in_progress: SeriesMap<RegistryInProgress>,
    infos: SeriesMap<()>,
    #[cfg(feature = "summary")]
    summaries: SeriesMap<RegistrySummary>,
    /// One leaked state per configuration of a layer or family. Building the same layer again reuses its state,
    /// so it leaks nothing more.
    layers: Mutex<Vec<&'static (dyn Any + Send + Sync)>>,
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
        Self::with_rules(BucketRules::default(), Vec::new())
    }

    /// Returns a builder, which sets constant labels and buckets and can install the registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    fn with_rules(bucket_rules: BucketRules, constant_labels: Vec<(String, String)>) -> Self {
        Self {
            inner: Arc::new(RegistryInner {
                store: Arc::default(),
                spare: Spare::default(),
                collectors: Collectors::new(&constant_labels),
                constant_labels,
                bucket_rules,
                families: Families::default(),
                counters: SeriesMap::default(),
                float_counters: SeriesMap::default(),
                gauges: SeriesMap::default(),
                histograms: SeriesMap::default(),
                in_progress: SeriesMap::default(),
                infos: SeriesMap::default(),
                #[cfg(feature = "summary")]
                summaries: SeriesMap::default(),
                layers: Mutex::default(),
            }),
        }
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.inner.store)
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
            bucket_rules,
            ..
        } = &*self.inner;
        families.register(spec, bucket_rules)
    }

    /// Returns the buckets of a histogram whose definition sets none.
    pub(crate) fn buckets_of(&self, family: &str) -> Buckets {
        self.inner.bucket_rules.of(Instrument::Histogram, family)
    }

    /// Returns the buckets of a registered histogram.
    pub(crate) fn registered_buckets(&self, family: &str) -> Buckets {
        let RegistryInner {
            families,
            bucket_rules,
            ..
        } = &*self.inner;
        let family = families.of(Instrument::Histogram, family, bucket_rules);
        family.buckets.clone()
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

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegistryInner {
            store: _,
            spare: _,
            collectors,
            constant_labels,
            bucket_rules: _,
            families,
            counters: _,
            float_counters: _,
            gauges: _,
            histograms: _,
            in_progress: _,
            infos: _,
            #[cfg(feature = "summary")]
                summaries: _,
            layers: _,
        } = &*self.inner;
        f.debug_struct("Registry")
            .field("constant_labels", constant_labels)
            .field("families", &families.len())
            .field("collectors", collectors)
            .finish_non_exhaustive()
    }
}
