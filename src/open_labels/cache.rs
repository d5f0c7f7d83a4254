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
        row.note_use();
        Some(RowRef::new(row, index))
    }

    /// Returns the row with these values, which stays in the cache.
    #[inline]
    fn get(&self, hash: u64, rows: &OpenRows<R>, values: &[&str]) -> Option<&Arc<Row<R>>> {
        let row = self.entries[self.find(hash)?].row.as_ref()?;
        (row.is(rows, values) && !row.is_forgotten()).then_some(row)
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

    /// Makes an entry for a row that stays in the cache.
    fn set(&mut self, row: Arc<Row<R>>) {
        let index = self.vacate(row.hash());
        self.entries[index].row = Some(row);
    }

    /// Drops the entries of forgotten rows, and those whose row did not come back. At least half of the table is then
    /// vacant, so that it is swept again only after as many new rows.
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
        let hash = row.hash();
        let index = cache_row(overflowed, |cache: &mut RowCache<R>| cache.vacate(hash));
        (RowRef::new(row, index.unwrap_or(NO_ENTRY)), overflowed)
    }

    /// Calls `then` with the row with these values, if the calling thread has it in its cache. Unlike that of
    /// [`cached`](Self::cached), the row stays there, because several requests of a thread use it at the same time. `then`
    /// must not record.
    #[inline]
    pub(crate) fn with_cached<T>(
        &self,
        values: &[&str],
        then: impl FnOnce(&Arc<Row<R>>) -> T,
    ) -> Option<T> {
        let hash = self.hash(values);
        with_cache(|cache: &mut RowCache<R>| {
            let row = cache.get(hash, self, values)?;
            row.note_use();
            Some(then(row))
        })?
    }

    /// Returns a known row with these values like [`lookup`](OpenRows::lookup), and caches it.
    #[cold]
    pub(crate) fn lookup_shared(&self, values: &[&str]) -> Option<Arc<Row<R>>> {
        let (row, overflowed) = self.lookup(values)?;
        cache_row(overflowed, |cache| cache.set(Arc::clone(&row)));
        Some(row)
    }

    /// Returns the row with these values like [`admit`](OpenRows::admit), and caches it.
    #[cold]
    pub(crate) fn admit_shared(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> Arc<Row<R>> {
        let (row, overflowed) = self.admit(values, make);
        cache_row(overflowed, |cache| cache.set(Arc::clone(&row)));
        row
    }
}

/// Calls a function that caches a row, unless a value is beyond its limit: there can be any number of such values.
fn cache_row<R: Cached, T>(
    overflowed: Overflowed,
    then: impl FnOnce(&mut RowCache<R>) -> T,
) -> Option<T> {
    (!overflowed.any()).then(|| with_cache(then))?
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The content of rows of these tests.
    struct Content;

    thread_local! {
        static CACHE: RefCell<RowCache<Content>> = const { RefCell::new(RowCache::new()) };
    }

    impl Cached for Content {
        fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T> {
            CACHE.try_with(then).ok()
        }
    }

    fn rows(limit: usize) -> &'static OpenRows<Content> {
        Box::leak(Box::new(OpenRows::new([limit], Duration::MAX)))
    }

    #[test]
    fn row_with_the_hash_of_other_values_is_not_found() {
        let rows = rows(10);
        let (row, _) = rows.admit(&["a"], || Content);
        let mut cache = RowCache::new();
        cache.set(Arc::clone(&row));
        let get = |values: [&str; 1]| cache.get(row.hash(), rows, &values).is_some();
        assert!(get(["a"]));
        assert!(!get(["b"]) && !get(["ab"]) && !get([""]));
        let long = "long enough for the other comparison";
        let (row, _) = rows.admit(&[long], || Content);
        cache.set(Arc::clone(&row));
        assert!(cache.get(row.hash(), rows, &[long]).is_some());
        assert!(
            cache
                .get(row.hash(), rows, &[&long.replace('e', "f")])
                .is_none()
        );
    }

    #[test]
    fn cache_finds_all_rows_and_drops_forgotten_ones() {
        let rows = rows(1000);
        let values: Vec<_> = (0..1000).map(|i| format!("value{i}")).collect();
        let found = || {
            values
                .iter()
                .filter(|value| rows.cached(&[value]).is_some())
                .count()
        };
        for value in &values {
            drop(rows.admit_cached(&[value], || Content));
        }
        assert_eq!(found(), 1000);
        let first = Arc::downgrade(&rows.admit(&[&values[0]], || Content).0);
        crate::registry::lifetime::RowSet::clear(rows);
        assert_eq!(found(), 0);
        assert!(first.upgrade().is_some(), "it is in the cache");
        for value in values.iter().cycle().take(2000) {
            drop(rows.admit_cached(&[value], || Content));
        }
        assert_eq!(found(), 1000);
        assert!(first.upgrade().is_none(), "the cache has grown");
    }

    #[test]
    fn row_that_is_used_twice_at_a_time_stays_in_the_cache() {
        let rows = rows(10);
        let (first, _) = rows.admit_cached(&["a"], || Content);
        assert!(rows.cached(&["a"]).is_none(), "it is in use");
        let (second, _) = rows.admit_cached(&["a"], || Content);
        drop((first, second));
        assert!(rows.cached(&["a"]).is_some());
    }
}
