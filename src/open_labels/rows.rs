//! [`OpenRows`]: the rows of one metric or layer, and the values of its open labels.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use foldhash::fast::RandomState;

use crate::maps::MAX_NAME_LEN;
use crate::registry::lifetime::{Lifetime, SeriesRow};
use crate::sink::overflow::OVERFLOW;

/// The maximum number of open labels: the custom labels of a layer, and its endpoint or gRPC method.
const MAX_OPEN: usize = 9;

/// The rows of one metric or layer. `R` is what a row consists of.
pub(crate) struct OpenRows<R: 'static> {
    /// Seeded, because values can come from clients, and differently for each `OpenRows`, because threads have one cache.
    hasher: RandomState,
    known: RwLock<Known<R>>,
}

/// The rows that are not forgotten, and their values.
struct Known<R: 'static> {
    labels: Box<[LabelValues]>,
    rows: HashMap<RowKey, Arc<Row<R>>, RandomState>,
    last_id: u64,
}

/// The values of a label.
struct LabelValues {
    limit: usize,
    values: HashMap<Box<str>, KnownValue, RandomState>,
}

struct KnownValue {
    id: u64,
    /// The number of rows with this value.
    rows: usize,
}

/// The ids of the values of a row. Ids are not reused.
type RowKey = [u64; MAX_OPEN];

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
    key: RowKey,
    values: Box<[Box<str>]>,
    /// Whether a value is `overflow`, so that several series share this one.
    is_overflow: bool,
    /// The number of its series that are on the page.
    listed: AtomicUsize,
    is_forgotten: AtomicBool,
    content: R,
}

/// The labels whose value is replaced by `overflow`, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overflowed(u16);

impl Overflowed {
    fn add(&mut self, label: usize) {
        self.0 |= 1 << label;
    }

    /// The indexes of the labels.
    pub(crate) fn labels(self) -> impl Iterator<Item = usize> {
        (0..MAX_OPEN).filter(move |label| self.0 & 1 << label != 0)
    }
}

impl<R> OpenRows<R> {
    /// Creates an empty set of rows. `limits` are the maximum numbers of values of the labels.
    pub(crate) fn new(limits: impl IntoIterator<Item = usize>) -> Self {
        let labels = limits.into_iter().map(|limit| LabelValues {
            limit,
            values: HashMap::default(),
        });
        Self {
            hasher: RandomState::default(),
            known: RwLock::new(Known {
                labels: labels.collect(),
                rows: HashMap::default(),
                last_id: EMPTY_ID,
            }),
        }
    }

    #[inline]
    pub(super) fn hash(&self, values: &[&str]) -> u64 {
        self.hasher.hash_one(values)
    }

    /// Returns the row with these values, if there is one and none of the values is replaced by `overflow`.
    pub(crate) fn find(&self, values: &[&str]) -> Option<Arc<Row<R>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (key, overflowed) = known.key(values)?;
        let row = known.rows.get(&key)?;
        (overflowed == Overflowed::default()).then(|| Arc::clone(row))
    }

    /// Returns the row with these values, and the labels whose value is replaced by `overflow`. A new row gets the content
    /// that `make` returns. `make` must not record, because the rows are locked.
    pub(crate) fn admit(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> (Arc<Row<R>>, Overflowed) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, overflowed)) = known.key(values)
            && let Some(row) = known.rows.get(&key)
        {
            return (Arc::clone(row), overflowed);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (key, overflowed) = known.admit(values);
        if let Some(row) = known.rows.get(&key) {
            return (Arc::clone(row), overflowed);
        }
        let ids = key.iter().zip(values);
        let texts = ids.map(|(id, value)| match *id {
            OVERFLOW_ID => OVERFLOW,
            _ => value,
        });
        let row = Arc::new(Row {
            rows: self,
            key,
            is_overflow: key[..values.len()].contains(&OVERFLOW_ID),
            values: texts.map(Into::into).collect(),
            listed: AtomicUsize::new(0),
            is_forgotten: AtomicBool::new(false),
            content: make(),
        });
        known.add(Arc::clone(&row));
        (row, overflowed)
    }

    /// Forgets a row whose series have left the page. Values that no other row has no longer count.
    fn forget(&self, row: &Row<R>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !row.is_forgotten.swap(true, Ordering::Relaxed) {
            known.remove(row);
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (_, row) in known.rows.drain() {
            row.is_forgotten.store(true, Ordering::Relaxed);
        }
        for label in &mut known.labels {
            label.values.clear();
        }
    }
}

impl<R> Known<R> {
    /// The ids of the values; `None` if one of them is new and within the limit.
    fn key(&self, values: &[&str]) -> Option<(RowKey, Overflowed)> {
        let (mut key, mut overflowed) = (RowKey::default(), Overflowed::default());
        for (i, (label, value)) in self.labels.iter().zip(values).enumerate() {
            match label.id(value) {
                Some(id) => key[i] = id,
                None if label.accepts(value) => return None,
                None => overflowed.add(i),
            }
        }
        Some((key, overflowed))
    }

    /// The ids of the values. New values within the limit get an id.
    fn admit(&mut self, values: &[&str]) -> (RowKey, Overflowed) {
        for (label, value) in self.labels.iter_mut().zip(values) {
            if label.id(value).is_none() && label.accepts(value) {
                self.last_id += 1;
                let id = self.last_id;
                let new = KnownValue { id, rows: 0 };
                label.values.insert((*value).into(), new);
            }
        }
        self.key(values).unwrap_or_default()
    }

    fn add(&mut self, row: Arc<Row<R>>) {
        for (label, value) in self.labels.iter_mut().zip(&row.values) {
            if let Some(known) = label.values.get_mut(value) {
                known.rows += 1;
            }
        }
        self.rows.insert(row.key, row);
    }

    fn remove(&mut self, row: &Row<R>) {
        self.rows.remove(&row.key);
        for (label, value) in self.labels.iter_mut().zip(&row.values) {
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

    /// Whether a value is `overflow`.
    #[inline]
    pub(crate) fn is_overflow(&self) -> bool {
        self.is_overflow
    }

    #[inline]
    pub(crate) fn content(&self) -> &R {
        &self.content
    }

    #[inline]
    pub(super) fn is_forgotten(&self) -> bool {
        self.is_forgotten.load(Ordering::Relaxed)
    }

    /// Whether this is the row of `rows` with these values.
    #[inline]
    pub(super) fn is(&self, rows: &OpenRows<R>, values: &[&str]) -> bool {
        let mut own = self.values.iter().zip(values);
        std::ptr::eq(self.rows, rows) && own.all(|(own, value)| **own == **value)
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
