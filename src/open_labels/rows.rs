//! [`OpenRows`]: the rows of one metric or layer, and the values of its open labels.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::clock::Instant;
use crate::maps::MAX_NAME_LEN;
use crate::registry::lifetime::{Lifetime, RowSet, SeriesRow};
use crate::sink::overflow::OVERFLOW;

/// The maximum number of values of a row: those of the custom labels of a layer, and a gRPC method.
pub(crate) const MAX_VALUES: usize = 9;

/// The rows of one metric or layer. `R` is what a row consists of.
pub(crate) struct OpenRows<R: 'static> {
    /// Seeded, because values can come from clients, and differently for each `OpenRows`, because threads have one cache.
    hasher: RandomState,
    /// See [`sweep`](Self::sweep).
    unlisted_timeout: Duration,
    known: RwLock<Known<R>>,
}

/// The rows that are not forgotten, and their values.
struct Known<R: 'static> {
    labels: Box<[LabelValues]>,
    /// By the ids of their values.
    rows: HashMap<Box<[u64]>, Arc<Row<R>>, RandomState>,
    last_id: u64,
    /// See [`OpenRows::sweep`].
    swept: Instant,
}

/// The values of a label.
struct LabelValues {
    limit: usize,
    values: HashMap<Box<str>, KnownValue, RandomState>,
}

struct KnownValue {
    /// Ids are not reused.
    id: u64,
    /// The number of rows with this value.
    rows: usize,
}

const OVERFLOW_ID: u64 = 0;
const EMPTY_ID: u64 = 1;

/// The id of a value that does not count towards the limit: `overflow` and the empty string.
fn uncounted_id(value: &str) -> Option<u64> {
    match value {
        OVERFLOW => Some(OVERFLOW_ID),
        "" => Some(EMPTY_ID),
        _ => None,
    }
}

/// The series with one combination of open values.
pub(crate) struct Row<R: 'static> {
    rows: &'static OpenRows<R>,
    values: Arc<[Box<str>]>,
    hash: u64,
    /// Whether a value is `overflow`, so that several series share this one.
    is_overflow: bool,
    /// The number of its series that are on the page.
    listed: AtomicUsize,
    is_forgotten: AtomicBool,
    /// Whether it was used since the last sweep.
    is_used: AtomicBool,
    content: R,
}

/// The labels whose value is replaced by `overflow`, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overflowed(u16);

impl Overflowed {
    fn add(&mut self, label: usize) {
        self.0 |= 1 << label;
    }

    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }

    /// The indexes of the labels.
    pub(crate) fn labels(self) -> impl Iterator<Item = usize> {
        (0..MAX_VALUES).filter(move |label| self.0 & 1 << label != 0)
    }
}

impl<R> OpenRows<R> {
    /// Creates an empty set of rows. `limits` are the maximum numbers of values of the labels.
    ///
    /// A row without series on the page is forgotten if it was not used for `unlisted_timeout`. Such a row is that of
    /// requests whose response adds another value, or that are not counted.
    pub(crate) fn new(limits: impl IntoIterator<Item = usize>, unlisted_timeout: Duration) -> Self {
        let labels = limits.into_iter().map(|limit| LabelValues {
            limit,
            values: HashMap::default(),
        });
        Self {
            hasher: RandomState::default(),
            unlisted_timeout,
            known: RwLock::new(Known {
                labels: labels.collect(),
                rows: HashMap::default(),
                last_id: EMPTY_ID,
                swept: Instant::now(),
            }),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known<R>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known<R>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hash of the values that is not 0.
    #[inline]
    pub(super) fn hash(&self, values: &[&str]) -> u64 {
        self.hasher.hash_one(values) | 1 << 63
    }

    /// Returns a known row with these values, and the labels whose value is replaced by `overflow`.
    pub(crate) fn lookup(&self, values: &[&str]) -> Option<(Arc<Row<R>>, Overflowed)> {
        match self.known(values) {
            Some((_, overflowed)) if overflowed.any() && self.sweep() => self.known(values),
            known => known,
        }
    }

    fn known(&self, values: &[&str]) -> Option<(Arc<Row<R>>, Overflowed)> {
        let known = self.read();
        let (row, overflowed) = known.row(values)?;
        row.note_use();
        Some((Arc::clone(row), overflowed))
    }

    /// Returns the row with these values, and the labels whose value is replaced by `overflow`. A new row gets the content
    /// that `make` returns. `make` must not record, because the rows are locked.
    pub(crate) fn admit(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> (Arc<Row<R>>, Overflowed) {
        if let Some(known) = self.lookup(values) {
            return known;
        }
        let mut known = self.write();
        known.admit(values);
        if let Some((row, overflowed)) = known.row(values) {
            return (Arc::clone(row), overflowed);
        }
        let (ids, overflowed) = known.ids(values).unwrap_or_default();
        let ids = &ids[..values.len()];
        let texts = ids.iter().zip(values).map(|(id, value)| match *id {
            OVERFLOW_ID => OVERFLOW,
            _ => value,
        });
        let row = Arc::new(self.new_row(texts, make()));
        known.add(ids.into(), Arc::clone(&row));
        (row, overflowed)
    }

    /// Returns the row with exactly these values like [`admit`](Self::admit). `None` if one of them is beyond its limit.
    pub(crate) fn admit_all(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> Option<Arc<Row<R>>> {
        let (row, overflowed) = self.admit(values, make);
        (!overflowed.any()).then_some(row)
    }

    /// Returns a row with exactly these values that is forgotten from the start: for a request that has outlived its row,
    /// while other values have the places.
    #[cold]
    pub(crate) fn detached(&'static self, values: &[&str], content: R) -> Arc<Row<R>> {
        let row = self.new_row(values.iter().copied(), content);
        row.is_forgotten.store(true, Ordering::Relaxed);
        Arc::new(row)
    }

    fn new_row<'a>(&'static self, values: impl Iterator<Item = &'a str>, content: R) -> Row<R> {
        let values: Vec<_> = values.collect();
        Row {
            rows: self,
            hash: self.hash(&values),
            is_overflow: values.contains(&OVERFLOW),
            values: values.into_iter().map(Into::into).collect(),
            listed: AtomicUsize::new(0),
            is_forgotten: AtomicBool::new(false),
            is_used: AtomicBool::new(true),
            content,
        }
    }

    /// Makes a value known until the process ends.
    pub(crate) fn keep_value(&self, label: usize, value: &str) {
        let mut known = self.write();
        known.last_id += 1;
        let id = known.last_id;
        if let Some(label) = known.labels.get_mut(label) {
            let rows = 1;
            label.values.insert(value.into(), KnownValue { id, rows });
        }
    }

    /// Whether a label has a value.
    pub(crate) fn has_value(&self, label: usize, value: &str) -> bool {
        let known = self.read();
        let label = known.labels.get(label);
        label.is_some_and(|label| label.values.contains_key(value))
    }

    /// Whether a label has its maximum number of values.
    pub(crate) fn is_full(&self, label: usize) -> bool {
        let known = self.read();
        let values = known.labels.get(label);
        values.is_some_and(|values| values.values.len() >= values.limit)
    }

    /// Forgets a row whose series have left the page. Values that no other row has no longer count.
    fn forget(&self, row: &Row<R>) {
        let mut known = self.write();
        // Another series of the row may have been registered meanwhile.
        if !row.is_listed() && !row.is_forgotten.swap(true, Ordering::Relaxed) {
            known.remove(row);
        }
    }

    /// Forgets the rows without series on the page that were not used since the last sweep. Called when a label is full,
    /// and has an effect once per timeout. Returns whether a row was forgotten.
    #[cold]
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let is_early = |known: &Known<R>| now.since(known.swept) < self.unlisted_timeout;
        if is_early(&self.read()) {
            return false;
        }
        let mut known = self.write();
        if is_early(&known) {
            return false;
        }
        known.swept = now;
        let rows = known.rows.values();
        let is_unused = |row: &&Arc<Row<R>>| {
            let was_used = row.is_used.swap(false, Ordering::Relaxed);
            !was_used && !row.is_listed()
        };
        let unused: Vec<_> = rows.filter(is_unused).cloned().collect();
        for row in &unused {
            row.is_forgotten.store(true, Ordering::Relaxed);
            known.remove(row);
        }
        !unused.is_empty()
    }
}

impl<R: Send + Sync> RowSet for OpenRows<R> {
    fn clear(&self) {
        let mut known = self.write();
        let rows = std::mem::take(&mut known.rows);
        for row in rows.values() {
            row.is_forgotten.store(true, Ordering::Relaxed);
        }
        for label in &mut known.labels {
            label.values = HashMap::default();
        }
        // The rows are dropped after the lock is released.
        drop(known);
    }
}

impl<R> Known<R> {
    /// The row with these values, and those of them that are replaced by `overflow`.
    fn row(&self, values: &[&str]) -> Option<(&Arc<Row<R>>, Overflowed)> {
        let (ids, overflowed) = self.ids(values)?;
        let row = self.rows.get(&ids[..values.len()])?;
        Some((row, overflowed))
    }

    /// The ids of the values; `None` if one of them is new and within the limit.
    fn ids(&self, values: &[&str]) -> Option<([u64; MAX_VALUES], Overflowed)> {
        let (mut ids, mut overflowed) = ([OVERFLOW_ID; MAX_VALUES], Overflowed::default());
        for (i, (label, value)) in self.labels.iter().zip(values).enumerate() {
            match label.id(value) {
                Some(id) => ids[i] = id,
                None if label.accepts(value) => return None,
                None => overflowed.add(i),
            }
        }
        Some((ids, overflowed))
    }

    /// Gives an id to each new value within the limit.
    fn admit(&mut self, values: &[&str]) {
        for (label, value) in self.labels.iter_mut().zip(values) {
            if label.id(value).is_none() && label.accepts(value) {
                self.last_id += 1;
                let id = self.last_id;
                let new = KnownValue { id, rows: 0 };
                label.values.insert((*value).into(), new);
            }
        }
    }

    fn add(&mut self, ids: Box<[u64]>, row: Arc<Row<R>>) {
        for (label, value) in self.labels.iter_mut().zip(&*row.values) {
            if let Some(known) = label.values.get_mut(value) {
                known.rows += 1;
            }
        }
        self.rows.insert(ids, row);
    }

    fn remove(&mut self, row: &Row<R>) {
        let values: Vec<_> = row.values().collect();
        if let Some((ids, _)) = self.ids(&values) {
            self.rows.remove(&ids[..values.len()]);
        }
        for (label, value) in self.labels.iter_mut().zip(&*row.values) {
            let Some(known) = label.values.get_mut(value) else {
                continue;
            };
            known.rows -= 1;
            if known.rows == 0 {
                label.values.remove(value);
            }
        }
    }
}

impl LabelValues {
    fn id(&self, value: &str) -> Option<u64> {
        uncounted_id(value).or_else(|| Some(self.values.get(value)?.id))
    }

    fn accepts(&self, value: &str) -> bool {
        self.values.len() < self.limit && value.len() <= MAX_NAME_LEN
    }
}

impl<R> Row<R> {
    /// The values of the open labels, with `overflow` for those beyond the limit.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> + Clone {
        self.values.iter().map(|value| &**value)
    }

    pub(crate) fn shared_values(&self) -> &Arc<[Box<str>]> {
        &self.values
    }

    /// Whether a value is `overflow`.
    #[inline]
    pub(crate) fn is_overflow(&self) -> bool {
        self.is_overflow
    }

    #[inline]
    pub(crate) fn content(&self) -> &R {
        &self.content
    }

    /// Whether a series of it is on the page.
    fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed) > 0
    }

    /// Notes that it is used. Mostly only reads, because other threads read the same cache line.
    #[inline]
    pub(super) fn note_use(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// The [`OpenRows::hash`] of the values.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    #[inline]
    pub(crate) fn is_forgotten(&self) -> bool {
        self.is_forgotten.load(Ordering::Relaxed)
    }

    /// Whether this is the row of `rows` with these values.
    #[inline]
    pub(super) fn is(&self, rows: &OpenRows<R>, values: &[&str]) -> bool {
        let mut own = self.values.iter().zip(values);
        std::ptr::eq(self.rows, rows) && own.all(|(own, value)| are_equal(own, value))
    }
}

/// Compares short texts without a call of the C library's `memcmp`, which takes longer than the rest of a look-up: 8 of
/// 40 ns for two letters (Intel Xeon model 207).
#[inline]
fn are_equal(one: &str, other: &str) -> bool {
    match one.len() {
        len if len != other.len() => false,
        0..=16 => std::iter::zip(one.bytes(), other.bytes()).all(|(one, other)| one == other),
        _ => one == other,
    }
}

impl<R: Send + Sync> Row<R> {
    /// The lifetime of the series of a row.
    pub(crate) fn lifetime(row: &Arc<Self>) -> Lifetime {
        let row: Weak<Self> = Arc::downgrade(row);
        Lifetime::OfRow(row)
    }
}

impl<R: Send + Sync> SeriesRow for Row<R> {
    fn series_listed(&self) {
        self.listed.fetch_add(1, Ordering::Relaxed);
    }

    fn series_unlisted(&self) {
        if self.listed.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.rows.forget(self);
        }
    }
}
