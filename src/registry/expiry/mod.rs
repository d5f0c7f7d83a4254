//! Series that expire: they leave the page after a time without a recording, and return when they are recorded again.
//!
//! Everything happens while a page is read. A series expires if
//!
//! - it was not recorded for its timeout, or it was removed,
//! - a complete page has shown its last value, and
//! - no other page is in progress, which could still show it.
//!
//! It stays in the map of handles with its cells. A later page checks whether they have changed: if so, the series
//! returns, and shows the difference. So an increment is never lost, however long the thread that adds it has slept,
//! and recording costs nothing more. If they have not changed and no handle exists, the cells are set to 0 and reused
//! by the next series of the family.
//!
//! The page that lets a series expire does not show it again, even if it is recorded meanwhile, and the series returns
//! only after a complete page without it. So a scraper sees that it was absent, and does not take the new value for the
//! old one.
//!
//! Locks are taken in this order: [`Pages`](pages::Pages), a shard of a [`SeriesMap`],
//! [`TrackedSeries`](crate::registry::tracked::TrackedSeries), the rows of a [`SeriesRow`].

pub(crate) mod pages;
#[cfg(test)]
mod tests;
pub(crate) mod timeouts;

use std::sync::Weak;

use metrics::Key;

use self::pages::{OpenPages, Page, Purpose};
use crate::budget::Budget;
use crate::clock::Instant;
use crate::model::kind::Instrument;
use crate::registry::cell_reading::{CellReading, RecordedTotal};
use crate::registry::cells::{SeriesCells, Store};
use crate::registry::family::Family;
use crate::registry::lifetime::{Lifetime, SeriesRow};
use crate::registry::series::SeriesMap;
use crate::registry::tracked::{Shown, SlotIndex, Tracked};
use crate::registry::{Registry, RegistryInner};

/// The approximate cost of a check, in nanoseconds.
const CHECK: usize = 20;
/// The approximate cost of a series that expires or returns, in nanoseconds.
const CHANGE: usize = 2_000;

/// Calls a function with the map of the handles of an instrument.
macro_rules! with_map {
    ($inner:expr, $instrument:expr, |$map:ident| $body:expr) => {
        with_map!(@ $instrument, |$map| $body,
            Counter => &$inner.counters,
            FloatCounter => &$inner.float_counters,
            Gauge => &$inner.gauges,
            Histogram => &$inner.histograms,
            InProgress => &$inner.in_progress,
            StateSet => &$inner.state_sets,
            Info => &$inner.infos,
            #[cfg(feature = "summary")]
            Summary => &$inner.summaries,
        )
    };
    (@ $instrument:expr, |$map:ident| $body:expr, $($(#[$feature:meta])? $name:ident => $of:expr,)+) => {
        match $instrument {
            $($(#[$feature])? Instrument::$name => {
                let $map = $of;
                $body
            })+
        }
    };
}

impl Registry {
    /// Starts to track a new series if it can expire. Returns its slot.
    pub(crate) fn track(
        &self,
        family: &Family,
        key: &Key,
        cells: SeriesCells,
        lifetime: &Lifetime,
    ) -> Option<SlotIndex> {
        let names = key.labels().map(metrics::Label::key);
        let timeout = match lifetime.is_permanent() {
            true => None,
            false => self.inner.idle_timeouts.of(key.name(), names),
        };
        timeout?;
        Some(family.tracked.lock().add(Tracked::new(
            key,
            cells,
            timeout,
            self.inner.pages.started(),
        )))
    }

    /// Lets series of a family expire and return. `None` if the budget is spent first; then `next` is where to
    /// continue.
    pub(crate) fn settle(
        &self,
        family: &Family,
        next: &mut usize,
        page: &Page,
        budget: &mut Budget,
    ) -> Option<()> {
        // Fast path: no series of the family can expire.
        if family.tracked.get().is_none() {
            return Some(());
        }
        let now = Instant::now();
        loop {
            if budget.is_spent() {
                return None;
            }
            // No page starts while this is locked.
            let pages = self.inner.pages.lock();
            let may_expire = pages.may_expire(Some(page));
            let Some((slot, key)) =
                next_due(family, next, now, pages.completed(), may_expire, budget)
            else {
                return (!budget.is_spent()).then_some(());
            };
            with_map!(self.inner, family.instrument, |map| {
                self.settle_series(map, family, slot, &key, (&*pages, Some(page)));
            });
            budget.spend(CHANGE);
        }
    }

    /// Lets one series expire or return.
    fn settle_series<H>(
        &self,
        map: &SeriesMap<H>,
        family: &Family,
        slot: SlotIndex,
        key: &Key,
        (pages, page): (&OpenPages, Option<&Page>),
    ) {
        let mut handles = map.write(key);
        let Some(known) = handles
            .get_mut(key)
            .filter(|known| known.slot == Some(slot))
        else {
            return;
        };
        let is_permanent = known.is_permanent();
        // Before the cells are read: what was recorded through a handle that is dropped is then visible.
        let is_unheld = known.is_unheld();
        let mut slots = family.tracked.lock();
        let Some(series) = slots.get_mut(slot) else {
            return;
        };
        let store = &self.inner.store;
        let reading = family.reading(store, series.cells);
        if series.is_listed {
            if is_permanent {
                // A layer or a catalogue has it now, too.
                series.timeout = None;
                series.is_removed = false;
            } else if pages.may_expire(page) && series.may_expire(store, family, &reading) {
                family.unlist(&self.prefix_of(family, key), series.shown.is_some());
                series.unlist(store, family, reading, is_unheld);
                series.unlisted_by = page.map_or(0, |page| page.number);
                known.rows.unlisted();
            }
            return;
        }
        let base = series.base.as_deref();
        let is_recorded = base.is_some_and(|base| reading.differs_from(base))
            || family.is_recorded(store, series.cells);
        if is_permanent || is_recorded || series.is_requested {
            if pages.may_return(series.unlisted_by) {
                series.is_listed = true;
                series.is_requested = false;
                family.add(self.prefix_of(family, key), series.cells);
                series.added = self.inner.pages.started();
                known.rows.listed();
            }
        } else if is_unheld && pages.may_expire(page) {
            let cells = series.cells;
            slots.remove(slot);
            drop(slots);
            family.unclaim(key);
            handles.remove(key);
            reading.clear(store);
            family.recycle(store, cells);
        }
    }

    /// Makes a series part of a row. If it has expired, it returns to the page, like a new series of the row.
    pub(crate) fn join_row<H>(
        &self,
        map: &SeriesMap<H>,
        instrument: Instrument,
        key: &Key,
        row: &Weak<dyn SeriesRow>,
    ) {
        let RegistryInner {
            families,
            histogram_rules,
            ..
        } = &*self.inner;
        let family = families.of(instrument, key.name(), histogram_rules);
        let mut handles = map.write(key);
        let Some(known) = handles.get_mut(key) else {
            return;
        };
        let mut slots = family.tracked.get();
        let series = known.slot.zip(slots.as_mut());
        let series = series.and_then(|(slot, slots)| slots.get_mut(slot));
        let is_new = known.rows.add(row);
        if let Some(series) = series.filter(|series| !series.is_listed) {
            series.is_requested = true;
            family.restart_gauge(&self.inner.store, series.cells);
        } else if is_new && let Some(row) = row.upgrade() {
            row.series_listed();
        }
    }

    /// Subtracts what series had recorded before they returned from the numbers of a page, and remembers what the page
    /// shows. `None` if the budget is spent first; then `next` is where to continue.
    pub(crate) fn note_shown(
        &self,
        family: &Family,
        next: &mut usize,
        page: &Page,
        (counts, sums): (&mut [u64], &mut [f64]),
        budget: &mut Budget,
    ) -> Option<()> {
        let Some(mut slots) = family.tracked.get() else {
            return Some(());
        };
        let at = Instant::now();
        let store = &self.inner.store;
        while *next < slots.len() {
            if budget.is_spent() {
                return None;
            }
            budget.spend(CHECK + family.check_work());
            let slot = SlotIndex::of(*next);
            *next += 1;
            let Some(series) = slots.get_mut(slot) else {
                continue;
            };
            if let Some(base) = &series.base {
                base.subtract_from(counts, sums);
            }
            let is_shown = series.is_listed && page.number > series.added;
            if page.purpose != Purpose::Page || !is_shown {
                continue;
            }
            let total = family.total(series.cells, counts, sums);
            let is_recorded = family.take_recorded(store, series.cells);
            if is_recorded || series.shown.is_none_or(|shown| shown.total != total) {
                let page = page.number;
                series.shown = Some(Shown { total, page, at });
            }
        }
        Some(())
    }

    /// Removes the series of a metric that have these labels, and returns how many.
    ///
    /// A series may have labels besides `labels`. Use it when a tenant, a job or a peer is gone:
    ///
    /// ```
    /// # let registry = tower_prometheus::Registry::new();
    /// # metrics::with_local_recorder(&registry, || {
    /// metrics::gauge!("queue_length", "tenant" => "acme").set(3.0);
    /// # });
    /// assert_eq!(registry.remove("queue_length", &[("tenant", "acme")]), 1);
    /// assert_eq!(registry.sum("queue_length", &[]), None);
    /// ```
    ///
    /// | series | leaves the page |
    /// |---|---|
    /// | gauge, state set | at once; if a page is being read, with the next one |
    /// | counter, histogram, summary | after a complete page has shown its last value, so that no increment is lost. With several scrapers, that is the page of any of them: call it one scrape interval after the last recording |
    /// | gauge of operations in progress | like a counter, once nothing is in progress |
    ///
    /// Handles stay valid: a series that is recorded again returns. Counters, histograms and summaries then count from
    /// 0; a gauge keeps its value while a handle exists, but `with` of a catalogue returns it as 0.
    ///
    /// Series with closed labels or without labels of layers and catalogues stay, and are not counted in the result. In a
    /// registry without an idle timeout, the values of labels of layers keep their places under the limit.
    /// Catalogues also have [`remove`](crate::Counter::remove) and
    /// [`remove_on_drop`](crate::Counter::remove_on_drop).
    ///
    /// The call looks at all series of the type of the metric.
    pub fn remove(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        let Some((family, sources)) = self.inner.families.named(name) else {
            return 0;
        };
        let has = |key: &Key, (name, value): (&str, &str)| {
            let constants = self.constant_labels().iter();
            let mut constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
            let mut own = key.labels().map(|label| (label.key(), label.value()));
            own.any(|label| label == (name, value)) || constants.any(|label| label == (name, value))
        };
        let matches = |key: &Key| {
            sources.iter().any(|source| source == key.name())
                && labels.iter().all(|label| has(key, *label))
        };
        with_map!(self.inner, family.instrument, |map| {
            let keys = map.removable(&matches);
            keys.iter()
                .filter(|key| self.remove_from(map, &family, key))
                .count()
        })
    }

    /// Removes one series, see [`remove`](Self::remove). Returns whether it was on the page.
    pub(crate) fn remove_series(&self, instrument: Instrument, key: &Key) -> bool {
        let RegistryInner {
            families,
            histogram_rules,
            ..
        } = &*self.inner;
        let family = families.of(instrument, key.name(), histogram_rules);
        with_map!(self.inner, instrument, |map| self
            .remove_from(map, &family, key))
    }

    /// Marks a series as removed. Returns `false` if it is not on the page.
    fn remove_from<H>(&self, map: &SeriesMap<H>, family: &Family, key: &Key) -> bool {
        let pages = self.inner.pages.lock();
        let mut handles = map.write(key);
        let Some(known) = handles.get_mut(key).filter(|known| !known.is_permanent()) else {
            return false;
        };
        let mut slots = family.tracked.lock();
        let slot = *known.slot.get_or_insert_with(|| {
            slots.add(Tracked::new(
                key,
                known.cells,
                None,
                self.inner.pages.started(),
            ))
        });
        let Some(series) = slots.get_mut(slot).filter(|series| series.is_listed) else {
            return false;
        };
        series.is_removed = true;
        family.take_recorded(&self.inner.store, series.cells);
        drop((slots, handles));
        if family.has_no_sum() {
            self.settle_series(map, family, slot, key, (&*pages, None));
        }
        true
    }
}

/// Finds the next series from `next` on that may have to expire or return.
fn next_due(
    family: &Family,
    next: &mut usize,
    now: Instant,
    completed: u64,
    may_expire: bool,
    budget: &mut Budget,
) -> Option<(SlotIndex, Key)> {
    let mut slots = family.tracked.get()?;
    while *next < slots.len() && !budget.is_spent() {
        budget.spend(CHECK);
        let slot = SlotIndex::of(*next);
        *next += 1;
        let Some(series) = slots.get_mut(slot) else {
            continue;
        };
        let is_removed_gauge = series.is_removed && family.has_no_sum();
        let is_due =
            !series.is_listed || may_expire && (is_removed_gauge || series.is_due(now, completed));
        if is_due {
            return Some((slot, series.key.clone()));
        }
    }
    None
}

impl Tracked {
    /// Whether nothing was recorded since what the last page has shown, and nothing is in progress.
    fn may_expire(&mut self, store: &Store, family: &Family, reading: &CellReading) -> bool {
        if family.has_no_sum() {
            if family.is_recorded(store, self.cells) {
                // Recorded after it was removed.
                self.is_removed = false;
                return false;
            }
            return self.is_removed || !family.is_counting(store, self.cells);
        }
        if family.instrument == Instrument::InProgress && !reading.is_balanced() {
            return false;
        }
        let zero = CellReading::default();
        let total = reading.total_since(self.base.as_deref().unwrap_or(&zero));
        self.shown.is_some_and(|shown| shown.total == total)
    }

    /// Marks the series as expired. Pages show what is recorded after `reading` when it returns.
    fn unlist(&mut self, store: &Store, family: &Family, reading: CellReading, is_unheld: bool) {
        family.clear_recent(self.cells);
        if is_unheld {
            family.clear_gauge(store, self.cells);
        }
        self.is_listed = false;
        self.is_removed = false;
        self.shown = None;
        self.base = Some(Box::new(reading));
    }
}

impl Family {
    /// Returns the total that a series has recorded, from the sums over all shards.
    fn total(&self, cells: SeriesCells, counts: &[u64], sums: &[f64]) -> RecordedTotal {
        let mut count = 0_u64;
        self.each_count(cells, |cell| {
            let value = counts.get(cell as usize).copied().unwrap_or_default();
            count = count.wrapping_add(value);
        });
        let sum = self
            .sum_cell(cells)
            .and_then(|cell| sums.get(cell as usize));
        let sum = sum.copied().unwrap_or_default().to_bits();
        RecordedTotal { count, sum }
    }
}
