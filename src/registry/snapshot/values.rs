//! [`RegistryValues`]: the series of a registry with their values, read in bounded slices.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::budget::Budget;
use crate::model::kind::SUFFIXES;
use crate::registry::cells::CellId;
use crate::registry::family::Family;
use crate::registry::index::SeriesIndex;
use crate::registry::{Registry, RegistryInner};
use crate::sync::lock;

/// The series of a registry and their values. Gauges are read from the registry when they are asked for.
pub(crate) struct RegistryValues {
    registry: Registry,
    pub(crate) families: Vec<(Arc<Family>, Arc<SeriesIndex>)>,
    numbers: Numbers,
    shards: usize,
}

/// The sums over all shards.
#[derive(Default)]
struct Numbers {
    counts: Vec<u64>,
    sums: Vec<f64>,
}

/// The memory of the last snapshot, reused by the next: getting it from the operating system and giving it
/// back takes longer than filling it.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Numbers>);

impl RegistryValues {
    /// Reads a registry without yielding.
    pub(crate) fn now(registry: &Registry) -> Self {
        let mut reader = ValueReader::new(registry);
        loop {
            // In slices all the same: other scrapes wait while an index is merged.
            if let Some(values) = reader.advance(&mut Budget::turn()) {
                return values;
            }
        }
    }

    pub(crate) fn count(&self, cell: CellId) -> u64 {
        self.numbers.counts[cell as usize]
    }

    /// The buckets of a histogram, each without those below it.
    pub(crate) fn buckets(&self, first: CellId, count: usize) -> &[u64] {
        &self.numbers.counts[first as usize..][..count]
    }

    pub(crate) fn sum(&self, cell: CellId) -> f64 {
        self.numbers.sums[cell as usize]
    }

    pub(crate) fn gauge(&self, cell: CellId) -> f64 {
        self.registry.inner.store.gauges.get(cell)
    }

    /// The cost of [`RegistryValues::in_progress`], in about nanoseconds: it reads every shard twice.
    pub(crate) fn in_progress_work(&self) -> usize {
        10 * self.shards
    }

    /// What began and has not ended, see [`RegistryInProgress`](crate::registry::handles::RegistryInProgress).
    pub(crate) fn in_progress(&self, began: CellId) -> u64 {
        let store = &self.registry.inner.store;
        let (ended, began) = store.count_pair(began + 1, began);
        began.saturating_sub(ended)
    }
}

impl RegistryValues {
    /// Whether a family, with series or without, has this name or a sample of this name.
    pub(crate) fn has_sample_name(&self, name: &str) -> bool {
        let family = |name: &str| {
            let families = &self.families;
            let found = families.binary_search_by(|(family, _)| family.name.as_str().cmp(name));
            found.ok().map(|i| &families[i].0)
        };
        let is_sample = |suffix: &&str| {
            let whole = name.strip_suffix(suffix).and_then(family);
            whole.is_some_and(|whole| whole.instrument.kind().suffixes().contains(suffix))
        };
        family(name).is_some() || SUFFIXES.iter().any(is_sample)
    }
}

impl Drop for RegistryValues {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        self.registry.inner.spare.keep(numbers);
    }
}

impl Spare {
    /// Nothing yet, but room for so many numbers.
    fn numbers(&self, counts: usize, sums: usize) -> Numbers {
        let Numbers { counts: c, sums: s } = std::mem::take(&mut *lock(&self.0));
        Numbers {
            counts: emptied(c, counts),
            sums: emptied(s, sums),
        }
    }

    /// Of two snapshots at the same time, the last one's is kept.
    fn keep(&self, numbers: Numbers) {
        let before = std::mem::replace(&mut *lock(&self.0), numbers);
        // Not under the lock.
        drop(before);
    }
}

/// A vector without elements that has room for so many.
fn emptied<T>(mut vec: Vec<T>, room: usize) -> Vec<T> {
    vec.clear();
    if vec.capacity() < room {
        // A new one: to grow the old one would copy what it had.
        drop(vec);
        vec = Vec::with_capacity(room);
    }
    vec
}

/// Reads a registry: first the series, then their values.
pub(crate) struct ValueReader {
    registry: Registry,
    /// Families to read, the next one last.
    waiting: Vec<Arc<Family>>,
    /// Whether the newcomers of the next family are in its index, or being merged.
    merged: bool,
    families: Vec<(Arc<Family>, Arc<SeriesIndex>)>,
    /// The cells read so far. Memory for all of them is reserved, but not touched before.
    numbers: Numbers,
    counts_end: usize,
    sums_end: usize,
}

impl ValueReader {
    pub(crate) fn new(registry: &Registry) -> Self {
        let mut waiting = registry.inner.families.sorted();
        waiting.reverse();
        Self {
            registry: registry.clone(),
            families: Vec::with_capacity(waiting.len()),
            waiting,
            merged: false,
            numbers: Numbers::default(),
            counts_end: 0,
            sums_end: 0,
        }
    }

    /// Works until everything is read or the budget is spent.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> Option<RegistryValues> {
        self.collect_series(budget)?;
        self.gather_numbers(budget)?;
        Some(RegistryValues {
            shards: self.registry.inner.store.live_shards(),
            registry: self.registry.clone(),
            families: std::mem::take(&mut self.families),
            numbers: std::mem::take(&mut self.numbers),
        })
    }

    fn collect_series(&mut self, budget: &mut Budget) -> Option<()> {
        while let Some(family) = self.waiting.last() {
            if budget.is_spent() {
                return None;
            }
            let index = family.index(&mut self.merged, budget)?;
            self.families
                .extend(self.waiting.pop().map(|family| (family, index)));
            self.merged = false;
            if self.waiting.is_empty() {
                // Every indexed series has its cells by now.
                let RegistryInner { store, spare, .. } = &*self.registry.inner;
                self.counts_end = store.counts_end() as usize;
                self.sums_end = store.sums_end() as usize;
                self.numbers = spare.numbers(self.counts_end, self.sums_end);
            }
        }
        Some(())
    }

    fn gather_numbers(&mut self, budget: &mut Budget) -> Option<()> {
        let Self {
            registry,
            numbers: Numbers { counts, sums },
            counts_end,
            sums_end,
            ..
        } = self;
        let store = &registry.inner.store;
        let shards = store.live_shards();
        // Sums before buckets, which are written the other way round: a sum holds no sample that
        // its buckets do not.
        while sums.len() < *sums_end {
            let start = sums.len();
            let end = start + affordable(*sums_end - start, shards, budget)?;
            sums.resize(end, 0.0);
            store.gather_sums(start as CellId..end as CellId, &mut sums[start..]);
        }
        while counts.len() < *counts_end {
            let start = counts.len();
            let end = start + affordable(*counts_end - start, shards, budget)?;
            counts.resize(end, 0);
            store.gather_counts(start as CellId..end as CellId, &mut counts[start..]);
        }
        Some(())
    }
}

/// How many of so many cells the budget allows, which it pays for.
fn affordable(cells: usize, shards: usize, budget: &mut Budget) -> Option<usize> {
    if budget.is_spent() {
        return None;
    }
    let affordable = (budget.left() / shards).clamp(1, cells);
    budget.spend(affordable * shards);
    Some(affordable)
}

impl Registry {
    /// Whether compression saves at least a packet, estimated by the number of lines.
    pub(crate) fn is_worth_compressing(&self) -> bool {
        const LINES_IN_A_PACKET: CellId = 20;
        let store = &self.inner.store;
        store.counts_end() + store.sums_end() + store.gauges.end() > LINES_IN_A_PACKET
    }
}

impl fmt::Debug for RegistryValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryValues").finish_non_exhaustive()
    }
}
