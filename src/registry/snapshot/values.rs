//! [`RegistryValues`]: the series of a registry with their values, read in bounded slices.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::budget::Budget;
use crate::model::kind::has_sample_name;
use crate::registry::cells::{CellId, SeriesCells};
use crate::registry::expiry::pages::{Page, Purpose};
use crate::registry::family::Family;
use crate::registry::index::SeriesIndex;
use crate::registry::native::NativeBuckets;
use crate::registry::{Registry, RegistryInner};
use crate::sync::lock;

/// The series of a registry and their values. Gauges are not copied; they are read from the registry on access. States
/// are copied, so that exactly one state of a state set is the current one.
pub(crate) struct RegistryValues {
    registry: Registry,
    pub(crate) families: Vec<(Arc<Family>, Arc<SeriesIndex>)>,
    numbers: Numbers,
    shards: usize,
    page: Page,
}

/// The sums over all shards, and the states.
#[derive(Default)]
struct Numbers {
    counts: Vec<u64>,
    sums: Vec<f64>,
    /// The index of the current state of each state set.
    states: Vec<f64>,
}

/// The memory of the last snapshot, reused by the next one. Allocating it from the operating system and freeing
/// it would take longer than filling it.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Numbers>);

impl RegistryValues {
    /// Reads a registry without yielding.
    pub(crate) fn now(registry: &Registry, purpose: Purpose) -> Self {
        let mut reader = ValueReader::new(registry, purpose);
        loop {
            // Reads in slices, because other scrapes wait for the lock of an index while it is merged.
            if let Some(values) = reader.advance(&mut Budget::until_yield()) {
                return values;
            }
        }
    }

    /// Marks the page as complete: the scraper has all values.
    pub(crate) fn complete(&self) {
        self.page.complete();
    }

    pub(crate) fn count(&self, cell: CellId) -> u64 {
        self.numbers.counts[cell as usize]
    }

    /// Returns the counts of a histogram by bucket, not cumulative.
    pub(crate) fn buckets(&self, first: CellId, count: usize) -> &[u64] {
        &self.numbers.counts[first as usize..][..count]
    }

    /// Returns the native buckets of the histogram with this first cell; `None` if it has only classic ones.
    pub(crate) fn native(&self, family: &Family, first: CellId) -> Option<NativeBuckets> {
        let cells = family.native_cells(first)?;
        Some(cells.read(&self.numbers.counts))
    }

    pub(crate) fn sum(&self, cell: CellId) -> f64 {
        self.numbers.sums[cell as usize]
    }

    pub(crate) fn gauge(&self, cell: CellId) -> f64 {
        self.registry.inner.store.gauges.get(cell)
    }

    /// Whether a state of a state set is the current one.
    pub(crate) fn is_current_state(&self, cells: SeriesCells) -> bool {
        self.numbers.states[cells.cell as usize] == f64::from(cells.sum)
    }

    /// Returns the approximate cost of [`RegistryValues::in_progress`] in nanoseconds, which reads every shard
    /// twice.
    pub(crate) fn in_progress_work(&self) -> usize {
        10 * self.shards
    }

    /// Returns starts minus ends, see [`RegistryInProgress`](crate::registry::handles::RegistryInProgress).
    pub(crate) fn in_progress(&self, started: CellId) -> u64 {
        let store = &self.registry.inner.store;
        let (ended, started) = store.count_pair(started + 1, started);
        started.saturating_sub(ended)
    }
}

impl RegistryValues {
    /// Whether pages in OpenMetrics have the times at which series were registered.
    pub(crate) fn has_created_lines(&self) -> bool {
        self.registry.inner.has_created_lines
    }

    /// Whether a family, with or without series, has this name or a sample of this name.
    pub(crate) fn has_sample_name(&self, name: &str) -> bool {
        let family = |name: &str| {
            let families = &self.families;
            let found = families.binary_search_by(|(family, _)| family.name.as_str().cmp(name));
            found.ok().map(|i| &families[i].0)
        };
        has_sample_name(name, |name| {
            family(name).map(|family| family.instrument.kind())
        })
    }
}

impl Drop for RegistryValues {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        self.registry.inner.spare.keep(numbers);
    }
}

impl Spare {
    /// Returns empty vectors with capacity for these numbers.
    fn numbers(&self, counts: usize, sums: usize, states: usize) -> Numbers {
        let spare = std::mem::take(&mut *lock(&self.0));
        Numbers {
            counts: emptied(spare.counts, counts),
            sums: emptied(spare.sums, sums),
            states: emptied(spare.states, states),
        }
    }

    /// Keeps the memory of a dropped snapshot. If several snapshots exist, the memory of the one that is dropped
    /// last is kept.
    fn keep(&self, numbers: Numbers) {
        let before = std::mem::replace(&mut *lock(&self.0), numbers);
        // Freed outside the lock.
        drop(before);
    }
}

/// Returns an empty vector with capacity for at least `room` elements, reusing `vec` if it is large enough.
fn emptied<T>(mut vec: Vec<T>, room: usize) -> Vec<T> {
    vec.clear();
    if vec.capacity() < room {
        // A new allocation: growing the old vector could copy its memory.
        drop(vec);
        vec = Vec::with_capacity(room);
    }
    vec
}

/// A reader that reads a registry in slices: first the series, then their values.
pub(crate) struct ValueReader {
    registry: Registry,
    /// The families whose series are not read yet, in reverse order.
    unread: Vec<Arc<Family>>,
    /// Whether the unindexed series of the next family are in its index or being merged into it.
    merged: bool,
    families: Vec<(Arc<Family>, Arc<SeriesIndex>)>,
    /// The cells read so far. Memory for all of them is reserved up front, but touched only as they are
    /// read.
    numbers: Numbers,
    counts_end: usize,
    sums_end: usize,
    states_end: usize,
    /// Taken when everything is read.
    page: Option<Page>,
    /// The next series to check, of the current family.
    next_series: usize,
    /// The number of families whose shown values are noted.
    noted: usize,
}

impl ValueReader {
    pub(crate) fn new(registry: &Registry, purpose: Purpose) -> Self {
        // Before the families are read, so that nothing of them expires.
        let page = registry.inner.pages.start(purpose);
        let mut unread = registry.inner.families.sorted();
        unread.reverse();
        Self {
            registry: registry.clone(),
            families: Vec::with_capacity(unread.len()),
            unread,
            merged: false,
            numbers: Numbers::default(),
            counts_end: 0,
            sums_end: 0,
            states_end: 0,
            page: Some(page),
            next_series: 0,
            noted: 0,
        }
    }

    /// Continues reading. Returns the values when everything is read, `None` if the budget is spent first.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> Option<RegistryValues> {
        self.collect_series(budget)?;
        self.gather_numbers(budget)?;
        self.note_shown(budget)?;
        Some(RegistryValues {
            page: self.page.take()?,
            shards: self.registry.inner.store.live_shards(),
            registry: self.registry.clone(),
            families: std::mem::take(&mut self.families),
            numbers: std::mem::take(&mut self.numbers),
        })
    }

    fn collect_series(&mut self, budget: &mut Budget) -> Option<()> {
        while let Some(family) = self.unread.last() {
            if budget.is_spent() {
                return None;
            }
            if let Some(page) = &self.page {
                self.registry
                    .settle(family, &mut self.next_series, page, budget)?;
            }
            let index = family.index(&mut self.merged, budget)?;
            self.next_series = 0;
            self.families
                .extend(self.unread.pop().map(|family| (family, index)));
            self.merged = false;
            if self.unread.is_empty() {
                if let Some(page) = &mut self.page {
                    page.has_collected();
                }
                // Read after all indexes, so that the cells of all indexed series are included.
                let RegistryInner { store, spare, .. } = &*self.registry.inner;
                self.counts_end = store.counts_end() as usize;
                self.sums_end = store.sums_end() as usize;
                self.states_end = store.states.end() as usize;
                self.numbers = spare.numbers(self.counts_end, self.sums_end, self.states_end);
            }
        }
        Some(())
    }

    fn gather_numbers(&mut self, budget: &mut Budget) -> Option<()> {
        let Self {
            registry,
            numbers:
                Numbers {
                    counts,
                    sums,
                    states,
                },
            counts_end,
            sums_end,
            states_end,
            ..
        } = self;
        let store = &registry.inner.store;
        let shards = store.live_shards();
        // Sums are read before buckets, and written after them. So each observation in a sum is also in the
        // buckets.
        while sums.len() < *sums_end {
            let start = sums.len();
            let end = start + affordable(*sums_end - start, shards, budget)?;
            sums.resize(end, 0.0);
            store.gather_sums(start as CellId..end as CellId, &mut sums[start..]);
        }
        if counts.is_empty() {
            // Native histograms reserve cells while they are recorded. Read after the sums, so that each observation in
            // a sum is in the buckets.
            *counts_end = store.counts_end() as usize;
            counts.reserve(*counts_end);
        }
        while counts.len() < *counts_end {
            let start = counts.len();
            let end = start + affordable(*counts_end - start, shards, budget)?;
            counts.resize(end, 0);
            store.gather_counts(start as CellId..end as CellId, &mut counts[start..]);
        }
        while states.len() < *states_end {
            let start = states.len();
            let end = start + affordable(*states_end - start, 1, budget)?;
            states.extend((start..end).map(|cell| store.states.get(cell as CellId)));
        }
        Some(())
    }
}

impl ValueReader {
    fn note_shown(&mut self, budget: &mut Budget) -> Option<()> {
        let Self {
            registry,
            families,
            numbers: Numbers { counts, sums, .. },
            page: Some(page),
            next_series,
            noted,
            ..
        } = self
        else {
            return None;
        };
        while let Some((family, _)) = families.get(*noted) {
            registry.note_shown(family, next_series, page, (counts, sums), budget)?;
            *noted += 1;
            *next_series = 0;
        }
        Some(())
    }
}

/// Returns how many of `cells` the budget allows, at least 1, and spends that budget; `None` if it is
/// already spent.
fn affordable(cells: usize, shards: usize, budget: &mut Budget) -> Option<usize> {
    if budget.is_spent() {
        return None;
    }
    let affordable = (budget.left() / shards).clamp(1, cells);
    budget.spend(affordable * shards);
    Some(affordable)
}

impl Registry {
    /// Whether compression saves at least one packet, estimated by the number of lines.
    pub(crate) fn is_worth_compressing(&self) -> bool {
        const LINES_IN_A_PACKET: CellId = 20;
        let store = &self.inner.store;
        store.counts_end() + store.sums_end() + store.gauges.end() + store.states.end()
            > LINES_IN_A_PACKET
    }
}

impl fmt::Debug for RegistryValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryValues").finish_non_exhaustive()
    }
}
