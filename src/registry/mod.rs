//! [`Registry`]: counters, gauges and histograms, aggregated where they are recorded.
//!
//! A registry is a `metrics::Recorder`, so the macros of the `metrics` crate write into it, and the
//! target of the layers of this crate. Every sample is added in place: memory does not grow with
//! samples, nothing is lost while a scrape runs, and no scrape shows a counter, a bucket or a count
//! going down.
//!
//! ```
//! use tower_prometheus::Registry;
//!
//! let registry = Registry::new();
//! metrics::with_local_recorder(&registry, || {
//!     metrics::counter!("orders_total", "kind" => "book").increment(3);
//! });
//! assert_eq!(registry.value("orders_total", &[("kind", "book")]), Some(3.0));
//! ```

mod buckets;
mod builder;
mod cells;
mod exemplars;
mod families;
mod family;
mod global;
mod handles;
pub(crate) mod names;
mod query;
mod recorder;
mod series;
mod snapshot;
mod thread_slot;
#[cfg(feature = "summary")]
mod window;

pub use self::builder::RegistryBuilder;
#[cfg(feature = "collect")]
pub(crate) use self::series::label_text;
pub(crate) use self::{
    buckets::Buckets,
    builder::check_constant_label,
    cells::{Store, Writer},
    exemplars::{Exemplar, Exemplars},
    families::{FamilySpec, Shape},
    family::{ALL_PARTS, About, Family, Index, Kind, Place},
    handles::{
        Counter, FractionalCounter, Gauge, Histogram, InProgress, InProgressCells, RequestCells,
    },
    names::{check_label_name, check_metric_name},
    snapshot::{Snapshot, Snapshotting},
};
#[cfg(feature = "summary")]
pub(crate) use self::{handles::Summary, window::QUANTILES};

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use self::{buckets::BucketRules, families::Families, series::SeriesMap, snapshot::Spare};
use crate::Error;
use crate::sync::lock;

/// A set of metrics and the page that shows them.
///
/// Clones are handles to the same registry. See the [module](self) for what it promises, and
/// [`RegistryBuilder`] for what can be set.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    spare: Spare,
    constant_labels: Vec<(String, String)>,
    bucket_rules: BucketRules,
    families: Families,
    counters: SeriesMap<Counter>,
    fractional_counters: SeriesMap<FractionalCounter>,
    gauges: SeriesMap<Gauge>,
    histograms: SeriesMap<Histogram>,
    in_progress: SeriesMap<InProgress>,
    infos: SeriesMap<()>,
    #[cfg(feature = "summary")]
    summaries: SeriesMap<Summary>,
    /// One leaked series table for each layer configuration, so that asking for the same layer
    /// again gives the same one and leaks nothing more.
    layers: Mutex<Vec<&'static (dyn Any + Send + Sync)>>,
}

impl Registry {
    /// An isolated registry with the default configuration: what a test wants.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default registry would look like the global one"
    )]
    pub fn new() -> Self {
        Self::with_rules(BucketRules::default(), Vec::new())
    }

    /// Configures a registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    fn with_rules(bucket_rules: BucketRules, constant_labels: Vec<(String, String)>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: Arc::default(),
                spare: Spare::default(),
                constant_labels,
                bucket_rules,
                families: Families::default(),
                counters: SeriesMap::default(),
                fractional_counters: SeriesMap::default(),
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

    /// Where this registry's numbers are.
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.inner.store)
    }

    pub(crate) fn constant_labels(&self) -> &[(String, String)] {
        &self.inner.constant_labels
    }

    /// Whether a family of this registry, on the page or not, has samples of that name.
    #[cfg(feature = "collect")]
    pub(crate) fn has_sample_name(&self, name: &str) -> bool {
        self.inner.families.has_sample_name(name)
    }

    pub(crate) fn declare(&self, spec: &FamilySpec) -> Result<(), Error> {
        let Inner {
            families,
            bucket_rules,
            ..
        } = &*self.inner;
        families.declare(spec, bucket_rules)
    }

    /// The bounds of a histogram that brings none of its own.
    pub(crate) fn buckets_of(&self, family: &str) -> Buckets {
        self.inner.bucket_rules.of(family)
    }

    /// The bounds of a histogram that is declared.
    pub(crate) fn declared_buckets(&self, family: &str) -> Buckets {
        let Inner {
            families,
            bucket_rules,
            ..
        } = &*self.inner;
        let family = families.of(Shape::Histogram, family, bucket_rules);
        self.buckets_in(&family)
    }

    fn buckets_in(&self, family: &Family) -> Buckets {
        match &family.kind {
            Kind::Histogram(bounds) => bounds.clone(),
            _ => self.inner.bucket_rules.of(&family.name),
        }
    }

    /// Refuses labels of a layer or of a family, which `whose` says, one of which is a constant one here.
    pub(crate) fn check_beside<'a>(
        &self,
        whose: impl fmt::Display,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let is_constant = |label: &&str| {
            let constants = &self.inner.constant_labels;
            constants.iter().any(|(name, _)| name == label)
        };
        match labels.into_iter().find(is_constant) {
            None => Ok(()),
            Some(name) => Err(Error::new(format!(
                "label {name:?} is a constant label of the registry and a label of {whose}"
            ))),
        }
    }

    /// What a layer of the same configuration leaked before, or what `leak` leaks now.
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
        let Inner {
            store: _,
            spare: _,
            constant_labels,
            bucket_rules: _,
            families,
            counters: _,
            fractional_counters: _,
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
            .finish_non_exhaustive()
    }
}
