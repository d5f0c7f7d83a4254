//! The metrics of a registry as data: [`Snapshot`].
//!
//! [`Registry::gather`](crate::Registry::gather) runs the collectors and returns a snapshot. It contains families,
//! a family contains series, and a series has labels and a [`Value`].
//!
//! ```
//! use tower_prometheus::Registry;
//! use tower_prometheus::snapshot::Value;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let metrics = Registry::new();
//! metrics.gauge("queue_length", "Number of jobs in the queue.", || 3_u64)?;
//!
//! let snapshot = metrics.gather().await;
//! for family in snapshot.families() {
//!     for series in family.series() {
//!         let labels: Vec<_> = series.labels().collect();
//!         if let Value::Gauge(value) = series.value() {
//!             println!("{} {labels:?} {}", family.name(), value.as_f64());
//!         }
//!     }
//! }
//! # Ok::<(), tower_prometheus::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gather;
mod nested;
pub(crate) mod values;
mod view;

pub use self::view::{
    Bucket, Exemplar, FamilySnapshot, HistogramValue, SeriesSnapshot, SummaryValue, Value,
};
pub(crate) use self::view::{FamilySource, RegistryFamily};
pub use crate::registry::native::{NativeBucket, NativeBuckets};

use std::fmt;
use std::sync::Arc;

use self::values::RegistryValues;
use crate::collect::checked::CheckedFamily;
use crate::model::kind::has_sample_name;

/// All metrics of a [`Registry`](crate::Registry) at one point in time, including those of its collectors.
///
/// Not all values are as of that time:
///
/// | metric | value |
/// |---|---|
/// | counter, histogram, state set; count and sum of a summary | as of the snapshot |
/// | gauge of the registry; quantiles; exemplars | read when [`SeriesSnapshot::value`] is called |
/// | metric of a collector | as returned by the collector |
///
/// [`Registry::gather`](crate::Registry::gather) returns a snapshot. It is a view over the index of the registry:
/// names and labels are not copied, and clones share it. Metrics pages are rendered from such a snapshot.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) values: Arc<RegistryValues>,
    pub(crate) collected: Arc<[Arc<CheckedFamily>]>,
    /// The families of the registry and of its collectors, sorted by name.
    pub(crate) order: Arc<[Position]>,
}

/// The position of a family: an index into the families of the registry or into those of the collectors.
#[derive(Clone, Copy)]
pub(crate) enum Position {
    Registry(usize),
    Collected(usize),
}

impl Snapshot {
    /// `collected` must be sorted by name and share no name with the registry.
    pub(crate) fn new(values: Arc<RegistryValues>, collected: Vec<Arc<CheckedFamily>>) -> Self {
        let mut order = Vec::with_capacity(values.families.len() + collected.len());
        let mut next = 0;
        for (i, (family, _)) in values.families.iter().enumerate() {
            while collected
                .get(next)
                .is_some_and(|collected| collected.name < family.name)
            {
                order.push(Position::Collected(next));
                next += 1;
            }
            order.push(Position::Registry(i));
        }
        order.extend((next..collected.len()).map(Position::Collected));
        Self {
            values,
            collected: collected.into(),
            order: order.into(),
        }
    }

    /// Returns the families that have series, sorted by name.
    pub fn families(&self) -> impl Iterator<Item = FamilySnapshot<'_>> {
        let families = self.order.iter().map(|position| self.at(*position));
        families.filter(|family| !family.is_empty())
    }

    /// Returns the family with this name, if it has series.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<FamilySnapshot<'_>> {
        let name_of = |position: &Position| self.at(*position).name();
        let found = self
            .order
            .binary_search_by(|known| name_of(known).cmp(name));
        let family = self.at(self.order[found.ok()?]);
        (!family.is_empty()).then_some(family)
    }

    pub(crate) fn at(&self, position: Position) -> FamilySnapshot<'_> {
        match position {
            Position::Registry(i) => FamilySnapshot::of_registry(&self.values, i),
            Position::Collected(i) => FamilySnapshot::of_collector(&self.collected[i]),
        }
    }

    /// Whether a family, with or without series, has this name or a sample of this name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        let collected = |name: &str| {
            let families = &self.collected;
            let found = families.binary_search_by(|family| family.name.as_str().cmp(name));
            found.ok().map(|i| families[i].kind)
        };
        self.values.has_sample_name(name) || has_sample_name(name, collected)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.families()).finish()
    }
}
