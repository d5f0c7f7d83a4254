//! [`TrackedSeries`]: the series of a family that can expire.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use metrics::Key;

use crate::clock::Instant;
use crate::registry::cell_reading::{CellReading, RecordedTotal};
use crate::registry::cells::SeriesCells;
use crate::sync::lock;

/// The series of a family that can expire or are being removed.
#[derive(Default)]
pub(crate) struct TrackedSeries {
    /// Allocated by the first series: most families have none.
    slots: OnceLock<Box<Mutex<TrackedSlots>>>,
}

/// Entries keep their slot, so that a scrape can visit them in slices.
#[derive(Default)]
pub(crate) struct TrackedSlots {
    entries: Vec<Option<Tracked>>,
    free: Vec<SlotIndex>,
    /// The cells of series that have expired, all 0.
    unused: Vec<SeriesCells>,
}

/// The slot of a series in [`TrackedSeries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotIndex(NonZeroU32);

impl SlotIndex {
    pub(crate) fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A series that can expire or is being removed.
pub(crate) struct Tracked {
    pub(crate) key: Key,
    pub(crate) cells: SeriesCells,
    /// `None` if the series is only removed.
    pub(crate) timeout: Option<Duration>,
    pub(crate) is_removed: bool,
    /// Whether it is in the index. One that expired while a handle exists stays here, to return when it is recorded.
    pub(crate) is_listed: bool,
    /// Whether it returns although nothing was recorded, because it was registered again after it expired.
    pub(crate) is_requested: bool,
    /// Pages with a higher number contain the series.
    pub(crate) added: u64,
    /// The page that let the series expire.
    pub(crate) unlisted_by: u64,
    /// The value on the pages, and since when they have it.
    pub(crate) shown: Option<Shown>,
    /// What the cells had when the series last expired. Pages show the difference.
    pub(crate) base: Option<Box<CellReading>>,
}

/// The value of a series on the pages since it last changed.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) total: RecordedTotal,
    /// The first page that has shown it.
    pub(crate) page: u64,
    pub(crate) at: Instant,
}

impl TrackedSeries {
    /// Locks the series; `None` if there has not been one.
    pub(crate) fn get(&self) -> Option<MutexGuard<'_, TrackedSlots>> {
        self.slots.get().map(|slots| lock(slots))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TrackedSlots> {
        lock(self.slots.get_or_init(Box::default))
    }
}

impl Tracked {
    /// Creates a series that is in the index. Pages with a higher number than `added` contain it.
    pub(crate) fn new(
        key: &Key,
        cells: SeriesCells,
        timeout: Option<Duration>,
        added: u64,
    ) -> Self {
        Self {
            key: key.clone(),
            cells,
            timeout,
            is_removed: false,
            is_listed: true,
            is_requested: false,
            added,
            unlisted_by: 0,
            shown: None,
            base: None,
        }
    }

    /// Whether the series has been shown for long enough. It may have been recorded since then.
    pub(crate) fn is_due(&self, now: Instant, completed: u64) -> bool {
        let Some(shown) = self.shown else {
            return false;
        };
        let is_idle = |timeout| now.since(shown.at) >= timeout;
        completed >= shown.page && (self.is_removed || self.timeout.is_some_and(is_idle))
    }
}

impl TrackedSlots {
    /// Adds a series and returns its slot.
    pub(crate) fn add(&mut self, tracked: Tracked) -> SlotIndex {
        match self.free.pop() {
            Some(slot) => {
                self.entries[slot.index()] = Some(tracked);
                slot
            }
            None => {
                self.entries.push(Some(tracked));
                SlotIndex::of(self.entries.len() - 1)
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: SlotIndex) {
        let entry = self.entries.get_mut(slot.index());
        if entry.and_then(Option::take).is_some() {
            self.free.push(slot);
        }
    }

    pub(crate) fn get_mut(&mut self, slot: SlotIndex) -> Option<&mut Tracked> {
        self.entries.get_mut(slot.index())?.as_mut()
    }

    /// Takes the cells of a series that has expired.
    pub(crate) fn reuse(&mut self) -> Option<SeriesCells> {
        self.unused.pop()
    }

    /// Keeps the cells of a series that has expired for the next one. They must be 0.
    pub(crate) fn recycle(&mut self, cells: SeriesCells) {
        self.unused.push(cells);
    }

    /// The number of places, of which some may be free.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
