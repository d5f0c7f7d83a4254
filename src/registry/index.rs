//! [`SeriesIndex`]: the series of a family, sorted by prefix, the order of the metrics page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::vec;

use crate::budget::Budget;
use crate::registry::cells::SeriesCells;
use crate::sync::lock;

/// The series of a family: the index of the last scrape, and the series registered since then.
#[derive(Default)]
pub(crate) struct FamilySeries {
    /// Locked separately, so that registration never waits for a scrape that merges.
    unindexed: Mutex<Unindexed>,
    indexed: Mutex<Indexed>,
}

/// Series that are not in the index yet, in the order of registration.
#[derive(Default)]
struct Unindexed {
    series: Vec<(Box<str>, IndexedSeries)>,
    /// The total length of all prefixes, in bytes.
    len: usize,
    /// The prefixes of series to remove from the index.
    removed: BTreeSet<String>,
}

#[derive(Default)]
struct Indexed {
    index: Arc<SeriesIndex>,
    merge: Option<Merge>,
}

/// An indexed series, without its prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexedSeries {
    pub(crate) cells: SeriesCells,
    created: Created,
}

/// The time of registration, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Created(u64);

impl Created {
    fn now() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(now.unwrap_or_default().as_millis() as u64)
    }
}

impl IndexedSeries {
    pub(crate) fn created(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.created.0)
    }
}

impl FamilySeries {
    /// Adds series. A scrape includes all or none of them.
    pub(crate) fn add(&self, series: impl IntoIterator<Item = (String, SeriesCells)>) {
        let created = Created::now();
        let Unindexed {
            series: added, len, ..
        } = &mut *lock(&self.unindexed);
        for (prefix, cells) in series {
            *len += prefix.len();
            added.push((prefix.into_boxed_str(), IndexedSeries { cells, created }));
        }
    }

    /// Removes series. A scrape that starts later includes none of them. `is_shown`: a page has shown them.
    pub(crate) fn remove(&self, prefixes: impl IntoIterator<Item = String>, is_shown: bool) {
        let Unindexed {
            series,
            len,
            removed,
        } = &mut *lock(&self.unindexed);
        for prefix in prefixes {
            let unindexed = match is_shown {
                true => None,
                false => series.iter().rposition(|(added, _)| **added == *prefix),
            };
            match unindexed {
                Some(unindexed) => {
                    *len -= prefix.len();
                    series.remove(unindexed);
                }
                None => {
                    removed.insert(prefix);
                }
            }
        }
    }

    /// Returns the index; `None` if the budget is spent first.
    ///
    /// The caller initializes `merged` to `false`, and passes it again when it calls again after `None`. The
    /// index contains every series registered before the first of these calls.
    pub(crate) fn index(&self, merged: &mut bool, budget: &mut Budget) -> Option<Arc<SeriesIndex>> {
        let Indexed { index, merge } = &mut *lock(&self.indexed);
        loop {
            // Another scrape may have started the merge. Whichever scrape calls next continues it.
            if let Some(running) = merge {
                *index = running.advance(budget)?;
                *merge = None;
                continue;
            }
            let unindexed = match *merged {
                true => Unindexed::default(),
                false => std::mem::take(&mut *lock(&self.unindexed)),
            };
            if unindexed.series.is_empty() && unindexed.removed.is_empty() {
                return Some(Arc::clone(index));
            }
            *merged = true;
            *merge = Some(Merge::new(Arc::clone(index), unindexed));
        }
    }
}

/// The sorted series of a family. All prefixes are in one string, so that rendering follows no pointers.
#[derive(Default)]
pub(crate) struct SeriesIndex {
    prefixes: String,
    /// The end of each prefix in `prefixes`, with its series.
    entries: Vec<(usize, IndexedSeries)>,
}

impl SeriesIndex {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the prefix of series `i`, and its cells and registration time.
    pub(crate) fn get(&self, i: usize) -> (&str, &IndexedSeries) {
        let start = i.checked_sub(1).map_or(0, |before| self.entries[before].0);
        let (end, series) = &self.entries[i];
        (&self.prefixes[start..*end], series)
    }

    fn push(&mut self, prefix: &str, series: IndexedSeries) {
        self.prefixes.push_str(prefix);
        self.entries.push((self.prefixes.len(), series));
    }
}

/// A merge of an index with the unindexed series into a new index, a slice at a time.
struct Merge {
    /// In the order of registration.
    unsorted: vec::IntoIter<(Box<str>, IndexedSeries)>,
    sorted: BTreeMap<Box<str>, IndexedSeries>,
    old: Arc<SeriesIndex>,
    next_old: usize,
    /// The prefixes in `old` that are left out.
    removed: BTreeSet<String>,
    merged: SeriesIndex,
}

impl Merge {
    fn new(old: Arc<SeriesIndex>, unindexed: Unindexed) -> Self {
        let Unindexed {
            series,
            len,
            removed,
        } = unindexed;
        // Reserve all capacity now: growing later would copy all entries within one slice.
        let merged = SeriesIndex {
            prefixes: String::with_capacity(old.prefixes.len() + len),
            entries: Vec::with_capacity(old.len() + series.len()),
        };
        Self {
            unsorted: series.into_iter(),
            sorted: BTreeMap::new(),
            old,
            next_old: 0,
            removed,
            merged,
        }
    }

    fn advance(&mut self, budget: &mut Budget) -> Option<Arc<SeriesIndex>> {
        self.sort(budget)?;
        self.merge(budget)
    }

    fn sort(&mut self, budget: &mut Budget) -> Option<()> {
        /// The approximate cost of a step in nanoseconds.
        const STEP: usize = 1500;
        while !budget.is_spent() {
            let Some((prefix, series)) = self.unsorted.next() else {
                return Some(());
            };
            self.sorted.insert(prefix, series);
            budget.spend(STEP);
        }
        None
    }

    fn merge(&mut self, budget: &mut Budget) -> Option<Arc<SeriesIndex>> {
        /// The approximate cost of a step in nanoseconds.
        const STEP: usize = 30;
        while !budget.is_spent() {
            budget.spend(STEP);
            let old = (self.next_old < self.old.len()).then(|| self.old.get(self.next_old));
            if let Some((prefix, _)) = old
                && !self.removed.is_empty()
                && self.removed.remove(prefix)
            {
                self.next_old += 1;
                continue;
            }
            let new = self.sorted.first_entry();
            match (new, old) {
                (Some(new), old) if old.is_none_or(|(prefix, _)| **new.key() < *prefix) => {
                    let (prefix, series) = new.remove_entry();
                    self.merged.push(&prefix, series);
                }
                (_, Some((prefix, series))) => {
                    self.merged.push(prefix, *series);
                    self.next_old += 1;
                }
                (_, None) => return Some(Arc::new(std::mem::take(&mut self.merged))),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(series: &FamilySeries, i: &str) {
        let prefix = format!("i=\"{i}\"");
        series.add([(prefix, SeriesCells { cell: 0, sum: 0 })]);
    }

    #[test]
    fn index_has_every_series_added_before_it_was_requested() {
        let series = FamilySeries::default();
        for i in 0..10 {
            add(&series, &i.to_string());
        }
        let (mut first, mut second) = (false, false);
        assert!(series.index(&mut first, &mut Budget::of(1)).is_none());
        add(&series, "late");
        let index = |merged: &mut bool| series.index(merged, &mut Budget::unlimited()).unwrap();
        assert_eq!(index(&mut first).len(), 10);
        assert_eq!(index(&mut second).len(), 11);

        let series = FamilySeries::default();
        add(&series, "1");
        add(&series, "2");
        assert!(series.index(&mut false, &mut Budget::of(1)).is_none());
        add(&series, "late");
        let index = series.index(&mut false, &mut Budget::unlimited());
        assert_eq!(index.unwrap().len(), 3);
    }
}
