//! [`TrackedSeries`]: the series of a family that can expire.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use metrics::Key;

use crate::clock::Instant;
use crate::registry::cells::SeriesCells;
use crate::registry::life::{Reading, Total};
use crate::sync::lock;

/// The series of a family that can expire or are being removed.
#[derive(Default)]
pub(crate) struct TrackedSeries {
    slots: Mutex<Slots>,
}

/// Entries keep their place, so that a scrape can visit them in slices.
#[derive(Default)]
pub(crate) struct Slots {
    entries: Vec<Option<Tracked>>,
    free: Vec<usize>,
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
    /// Pages with a higher number contain the series.
    pub(crate) added: u64,
    /// The page that let the series expire.
    pub(crate) unlisted_by: u64,
    /// What the pages show, since it last changed.
    pub(crate) shown: Option<Shown>,
    /// What the cells had when the series last expired. Pages show the difference.
    pub(crate) base: Option<Box<Reading>>,
}

/// What the pages show of a series, since it last changed.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) total: Total,
    /// The first page that has shown it.
    pub(crate) page: u64,
    pub(crate) at: Instant,
}

impl TrackedSeries {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Tracked {
    /// Whether the series has been shown for long enough. It may have been recorded since then.
    pub(crate) fn is_due(&self, now: Instant, completed: u64) -> bool {
        let Some(shown) = self.shown else {
            return false;
        };
        let is_idle = |timeout| now.since(shown.at) >= timeout;
        completed >= shown.page && (self.is_removed || self.timeout.is_some_and(is_idle))
    }
}

impl Slots {
    /// Adds a series and returns its place.
    pub(crate) fn add(&mut self, tracked: Tracked) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.entries[slot] = Some(tracked);
                slot
            }
            None => {
                self.entries.push(Some(tracked));
                self.entries.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        if self.entries.get_mut(slot).and_then(Option::take).is_some() {
            self.free.push(slot);
        }
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Tracked> {
        self.entries.get_mut(slot)?.as_mut()
    }

    /// The number of places, of which some may be free.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
