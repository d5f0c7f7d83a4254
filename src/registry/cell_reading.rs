//! [`CellReading`]: the cells of one series at one time, for series that expire.
//!
//! The cells of a series may be reused once no handle refers to it: then no thread can add to them. While a handle
//! exists, the cells stay with the series. What is added after its last page is the difference to the [`CellReading`] that
//! was made when it expired.

use crate::registry::cells::{CellId, Store};
use crate::sync::Arc;

/// The cells of one series at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct CellReading {
    counts: Vec<(CellId, u64)>,
    sum: Option<(CellId, f64)>,
}

/// What a series has recorded, as two numbers that change with every recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordedTotal {
    pub(crate) count: u64,
    /// The bits of the floating-point sum.
    pub(crate) sum: u64,
}

impl CellReading {
    /// Reads cells. The sum is read first: each observation in it is also in its bucket.
    pub(crate) fn of(
        store: &Store,
        counts: impl IntoIterator<Item = CellId>,
        sum: Option<CellId>,
    ) -> Self {
        let sum = sum.map(|cell| (cell, store.sum(cell)));
        let counts = counts.into_iter().map(|cell| (cell, store.count(cell)));
        Self {
            counts: counts.collect(),
            sum,
        }
    }

    fn total(&self) -> RecordedTotal {
        self.total_since(&Self::default())
    }

    /// What was recorded since `base`.
    pub(crate) fn total_since(&self, base: &Self) -> RecordedTotal {
        let count = |reading: &Self| {
            let counts = reading.counts.iter().map(|(_, count)| *count);
            counts.fold(0, u64::wrapping_add)
        };
        let sum = |reading: &Self| reading.sum.map_or(0.0, |(_, sum)| sum);
        RecordedTotal {
            count: count(self).wrapping_sub(count(base)),
            sum: (sum(self) - sum(base)).to_bits(),
        }
    }

    /// Whether anything was recorded since `base`.
    pub(crate) fn differs_from(&self, base: &Self) -> bool {
        self.total() != base.total()
    }

    /// Whether the first two counts are equal: as many ends as starts of a gauge of operations in progress.
    pub(crate) fn is_balanced(&self) -> bool {
        matches!(&self.counts[..], [(_, started), (_, ended)] if started == ended)
    }

    /// Subtracts this reading from sums over all shards, by cell.
    pub(crate) fn subtract_from(&self, counts: &mut [u64], sums: &mut [f64]) {
        for (cell, before) in &self.counts {
            if let Some(count) = counts.get_mut(*cell as usize) {
                *count = count.saturating_sub(*before);
            }
        }
        if let Some((cell, before)) = self.sum
            && let Some(sum) = sums.get_mut(cell as usize)
        {
            *sum -= before;
        }
    }

    /// Sets the cells to 0. No thread may add to them meanwhile.
    pub(crate) fn clear(&self, store: &Store) {
        for (cell, _) in &self.counts {
            store.clear_count(*cell);
        }
        if let Some((cell, _)) = self.sum {
            store.clear_sum(cell);
        }
    }
}

/// Whether this is the only reference to a handle. If so, all that was recorded through others is visible to the
/// calling thread, which must hold the lock that others need to get a reference.
pub(crate) fn is_unheld<H>(handle: &mut Arc<H>) -> bool {
    // Not `strong_count`, which orders nothing.
    Arc::get_mut(handle).is_some()
}
