//! [`RowCache`]: the rows that a thread has used.

use std::cell::RefCell;
use std::sync::Arc;

use crate::open_labels::rows::{OpenRows, Overflowed, Row};

/// The rows that a thread has used: a hash table with open addressing.
#[expect(
    missing_debug_implementations,
    reason = "public only as part of a bound; it cannot be named outside of the crate"
)]
pub struct RowCache<R: 'static> {
    /// A power of two, or empty. At least a quarter is vacant, so that searches end.
    entries: Vec<Entry<R>>,
    used: usize,
}

struct Entry<R: 'static> {
    /// The [`OpenRows::hash`] of the row; 0 if the entry is vacant.
    hash: u64,
    /// `None` while a [`RowRef`] has the row.
    row: Option<Arc<Row<R>>>,
}

/// What a row consists of, with the cache of the calling thread for such rows.
pub(crate) trait Cached: Sized + Send + Sync + 'static {
    /// Calls a function with the cache; `None` while the thread ends.
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T>;
}

/// A row that is in use. It is taken from the cache of a thread, and dropping it puts it back, so that using a row
/// changes no reference count: other threads use the same count.
pub(crate) struct RowRef<R: Cached> {
    row: Option<Arc<Row<R>>>,
    /// The index of its entry in the cache.
    entry: u32,
}

impl<R> RowCache<R> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            used: 0,
        }
    }

    /// Takes the row with these values, if it is here and not forgotten.
    #[inline]
    fn take(&mut self, hash: u64, rows: &OpenRows<R>, values: &[&str]) -> Option<RowRef<R>>
    where
        R: Cached,
    {
        let index = self.find(hash)?;
        let is_current = |row: &mut Arc<Row<R>>| row.is(rows, values) && !row.is_forgotten();
        let row = self.entries[index].row.take_if(is_current)?;
        Some(RowRef::new(row, index))
    }

    /// Returns the entry with this hash.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        let mask = self.entries.len().checked_sub(1)?;
        let mut index = hash as usize & mask;
        loop {
            match self.entries[index].hash {
                0 => return None,
                found if found == hash => return Some(index),
                _ => index = (index + 1) & mask,
            }
        }
    }

    /// Returns the entry with this hash, without a row: the row is in use.
    fn vacate(&mut self, hash: u64) -> usize {
        if let Some(index) = self.find(hash) {
            self.entries[index].row = None;
            return index;
        }
        if (self.used + 1) * 4 > self.entries.len() * 3 {
            self.sweep();
        }
        self.insert(Entry { hash, row: None })
    }

    /// Drops the entries of forgotten rows, and those whose row did not come back. At least half of the table is then vacant,
    /// so that it is swept again only after as many new rows.
    fn sweep(&mut self) {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let is_used = |entry: &Entry<R>| entry.row.as_ref().is_some_and(|row| !row.is_forgotten());
        let used: Vec<_> = entries.filter(is_used).collect();
        let len = (2 * used.len() + 2).next_power_of_two().max(8);
        let vacant = || Entry { hash: 0, row: None };
        self.entries.resize_with(len, vacant);
        self.used = 0;
        for entry in used {
            self.insert(entry);
        }
    }

    /// Inserts an entry whose hash is not here. There must be a vacant one.
    fn insert(&mut self, entry: Entry<R>) -> usize {
        let mask = self.entries.len() - 1;
        let mut index = entry.hash as usize & mask;
        while self.entries[index].hash != 0 {
            index = (index + 1) & mask;
        }
        self.entries[index] = entry;
        self.used += 1;
        index
    }

    #[inline]
    fn put_back(&mut self, index: u32, row: Arc<Row<R>>) {
        if let Some(entry) = self.entries.get_mut(index as usize)
            && entry.hash == row.hash()
            && entry.row.is_none()
        {
            entry.row = Some(row);
        }
    }
}

impl<R: Cached> OpenRows<R> {
    /// Returns the row with these values, if the calling thread has it in its cache.
    #[inline]
    pub(crate) fn cached(&self, values: &[&str]) -> Option<RowRef<R>> {
        let hash = self.hash(values);
        with_cache(|cache| cache.take(hash, self, values))?
    }

    /// Returns the row with these values like [`admit`](OpenRows::admit), and caches it.
    #[cold]
    pub(crate) fn admit_cached(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> (RowRef<R>, Overflowed) {
        let (row, overflowed) = self.admit(values, make);
        // Values beyond the limit are not cached, because there can be any number of them.
        let index = match overflowed == Overflowed::default() {
            true => with_cache::<R, _>(|cache| cache.vacate(row.hash())),
            false => None,
        };
        (RowRef::new(row, index.unwrap_or(NO_ENTRY)), overflowed)
    }
}

/// Calls a function with the cache of the calling thread. `None` if the thread ends, or if a recorder of another crate
/// records while the cache is used.
#[inline]
fn with_cache<R: Cached, T>(then: impl FnOnce(&mut RowCache<R>) -> T) -> Option<T> {
    R::with_cache(|cache| Some(then(&mut *cache.try_borrow_mut().ok()?)))?
}

/// The entry of a row that is not cached.
const NO_ENTRY: usize = u32::MAX as usize;

impl<R: Cached> RowRef<R> {
    #[inline]
    fn new(row: Arc<Row<R>>, entry: usize) -> Self {
        Self {
            row: Some(row),
            entry: entry as u32,
        }
    }

    /// Returns a reference to no row.
    pub(crate) fn none() -> Self {
        Self {
            row: None,
            entry: 0,
        }
    }

    /// Returns a reference to a row that is not cached.
    pub(crate) fn uncached(row: Arc<Row<R>>) -> Self {
        Self::new(row, NO_ENTRY)
    }

    #[inline]
    pub(crate) fn row(&self) -> Option<&Arc<Row<R>>> {
        self.row.as_ref()
    }
}

impl<R: Cached> Clone for RowRef<R> {
    fn clone(&self) -> Self {
        Self {
            row: self.row.clone(),
            entry: self.entry,
        }
    }
}

impl<R: Cached> Drop for RowRef<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            with_cache(|cache| cache.put_back(self.entry, row));
        }
    }
}
