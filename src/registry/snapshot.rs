//! [`Snapshot`]: what the page shows, read in turns.

use std::fmt;
use std::sync::Arc;

use super::cells::{CellId, Store};
use super::family::{Family, Index};
use super::{Inner, Registry};
use crate::budget::Budget;

/// The series of a registry and their numbers.
pub(crate) struct Snapshot {
    store: Arc<Store>,
    pub(crate) families: Vec<(Arc<Family>, Arc<Index>)>,
    counts: Vec<u64>,
    sums: Vec<f64>,
    shards: usize,
}

impl Snapshot {
    /// Reads a registry at once, for a caller that has nobody to make way for.
    pub(crate) fn now(registry: &Registry) -> Self {
        let mut snapshotting = Snapshotting::new(registry);
        loop {
            // In turns all the same, because other scrapes wait while an index is made.
            if let Some(snapshot) = snapshotting.advance(&mut Budget::turn()) {
                return snapshot;
            }
        }
    }

    pub(crate) fn count(&self, cell: CellId) -> u64 {
        self.counts[cell as usize]
    }

    /// The buckets of a histogram, each without those below it.
    pub(crate) fn buckets(&self, first: CellId, count: usize) -> &[u64] {
        &self.counts[first as usize..][..count]
    }

    pub(crate) fn sum(&self, cell: CellId) -> f64 {
        self.sums[cell as usize]
    }

    pub(crate) fn gauge(&self, cell: CellId) -> f64 {
        self.store.gauges.get(cell)
    }

    /// About what reading [`Snapshot::in_progress`] costs, in nanoseconds: it reads every shard twice.
    pub(crate) fn in_progress_work(&self) -> usize {
        10 * self.shards
    }

    /// What began and has not ended, see [`InProgress`](super::InProgress).
    pub(crate) fn in_progress(&self, began: CellId) -> u64 {
        let (ended, began) = self.store.count_pair(began + 1, began);
        began.saturating_sub(ended)
    }
}

/// A snapshot being taken: first which series there are, then their numbers.
pub(crate) struct Snapshotting {
    store: Arc<Store>,
    /// Families to come, the next one last.
    waiting: Vec<Arc<Family>>,
    /// Whether the newcomers of the next family are in its index, or on their way there.
    merged: bool,
    families: Vec<(Arc<Family>, Arc<Index>)>,
    counts: Vec<u64>,
    counted: CellId,
    sums: Vec<f64>,
    summed: CellId,
}

impl Snapshotting {
    pub(crate) fn new(registry: &Registry) -> Self {
        let Inner {
            store, families, ..
        } = &*registry.inner;
        let mut waiting = families.sorted();
        waiting.reverse();
        Self {
            store: Arc::clone(store),
            families: Vec::with_capacity(waiting.len()),
            waiting,
            merged: false,
            counts: Vec::new(),
            counted: 0,
            sums: Vec::new(),
            summed: 0,
        }
    }

    /// Works until the snapshot is whole or the budget spent.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> Option<Snapshot> {
        self.collect_series(budget)?;
        self.gather_numbers(budget)?;
        Some(Snapshot {
            store: Arc::clone(&self.store),
            families: std::mem::take(&mut self.families),
            counts: std::mem::take(&mut self.counts),
            sums: std::mem::take(&mut self.sums),
            shards: self.store.live_shards(),
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
                self.counts = vec![0; self.store.counts_end() as usize];
                self.sums = vec![0.0; self.store.sums_end() as usize];
            }
        }
        Some(())
    }

    fn gather_numbers(&mut self, budget: &mut Budget) -> Option<()> {
        let Self {
            store,
            counts,
            counted,
            sums,
            summed,
            ..
        } = self;
        let shards = store.live_shards();
        // Sums before buckets, which are written the other way round: a sum holds no sample that
        // its buckets do not.
        while (*summed as usize) < sums.len() {
            let range = next_range(*summed, sums.len(), shards, budget)?;
            store.gather_sums(range.clone(), &mut sums[range.start as usize..]);
            *summed = range.end;
        }
        while (*counted as usize) < counts.len() {
            let range = next_range(*counted, counts.len(), shards, budget)?;
            store.gather_counts(range.clone(), &mut counts[range.start as usize..]);
            *counted = range.end;
        }
        Some(())
    }
}

/// As many cells from `start` as the budget allows, which it pays for.
fn next_range(
    start: CellId,
    end: usize,
    shards: usize,
    budget: &mut Budget,
) -> Option<std::ops::Range<CellId>> {
    if budget.is_spent() {
        return None;
    }
    let affordable = (budget.left() / shards).max(1);
    let cells = affordable.min(end - start as usize);
    budget.spend(cells * shards);
    Some(start..start + cells as CellId)
}

impl Registry {
    /// Whether a page is longer than the packet that it would save: by its number of lines.
    pub(crate) fn is_worth_compressing(&self) -> bool {
        const LINES_IN_A_PACKET: CellId = 20;
        let store = &self.inner.store;
        store.counts_end() + store.sums_end() + store.gauges.end() > LINES_IN_A_PACKET
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
