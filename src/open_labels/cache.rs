//! [`RowCache`]: the rows that a thread has used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::thread::LocalKey;

use crate::open_labels::rows::{OpenRows, Overflowed, Row};

/// The rows that a thread has used, by [`OpenRows::hash`]. `None` while a [`RowRef`] has the row.
pub(crate) struct RowCache<R: 'static> {
    rows: HashMap<u64, Option<Arc<Row<R>>>, BuildHasherDefault<NoHash>>,
    /// The number of entries at which those that are no longer used are dropped.
    sweep_at: usize,
}

/// What a row consists of, with the cache of the calling thread for such rows.
pub(crate) trait Cached: Sized + Send + Sync + 'static {
    fn cache() -> &'static LocalKey<RefCell<RowCache<Self>>>;
}

/// A row that is in use. It is taken from the cache of a thread, and dropping it puts it back, so that using a row
/// changes no reference count: other threads use the same count.
pub(crate) struct RowRef<R: Cached> {
    /// `None` only while it is dropped.
    row: Option<Arc<Row<R>>>,
    hash: u64,
}

impl<R> RowCache<R> {
    /// The smallest number of entries at which the cache is swept.
    const MIN_SWEEP: usize = 64;

    pub(crate) const fn new() -> Self {
        Self {
            rows: HashMap::with_hasher(BuildHasherDefault::new()),
            sweep_at: Self::MIN_SWEEP,
        }
    }

    #[inline]
    fn take(&mut self, hash: u64, rows: &OpenRows<R>, values: &[&str]) -> Option<Arc<Row<R>>> {
        let entry = self.rows.get_mut(&hash)?;
        let is_current = |row: &mut Arc<Row<R>>| row.is(rows, values) && !row.is_forgotten();
        entry.take_if(is_current)
    }

    /// Returns the row with these values, which stays in the cache.
    #[inline]
    fn get(&self, hash: u64, rows: &OpenRows<R>, values: &[&str]) -> Option<&Arc<Row<R>>> {
        let row = self.rows.get(&hash)?.as_ref()?;
        (row.is(rows, values) && !row.is_forgotten()).then_some(row)
    }

    /// Makes an entry for a row; `None` if it is in use. From time to time, entries of forgotten rows are dropped, and those whose
    /// row does not come back.
    fn make_entry(&mut self, hash: u64, row: Option<Arc<Row<R>>>) {
        if self.rows.len() >= self.sweep_at {
            let is_used = |row: &Arc<Row<R>>| !row.is_forgotten();
            self.rows.retain(|_, row| row.as_ref().is_some_and(is_used));
            self.sweep_at = Self::MIN_SWEEP.max(2 * self.rows.len());
        }
        self.rows.insert(hash, row);
    }

    #[inline]
    fn put_back(&mut self, hash: u64, row: Arc<Row<R>>) {
        if let Some(entry @ None) = self.rows.get_mut(&hash) {
            *entry = Some(row);
        }
    }
}

impl<R: Cached> OpenRows<R> {
    /// Returns the row with these values, if the calling thread has it in its cache.
    #[inline]
    pub(crate) fn cached(&self, values: &[&str]) -> Option<RowRef<R>> {
        let hash = self.hash(values);
        let row = with_cache(|cache| cache.take(hash, self, values))?;
        row.is_some().then_some(RowRef { row, hash })
    }

    /// Returns the row with these values like [`admit`](OpenRows::admit), and caches it.
    #[cold]
    pub(crate) fn admit_cached(
        &'static self,
        values: &[&str],
        make: impl FnOnce() -> R,
    ) -> (RowRef<R>, Overflowed) {
        let (row, overflowed) = self.admit(values, make);
        let hash = self.hash(values);
        // Values beyond the limit are not cached, because there can be any number of them.
        if !overflowed.any() {
            with_cache::<R, _>(|cache| cache.make_entry(hash, None));
        }
        let row = Some(row);
        (RowRef { row, hash }, overflowed)
    }

    /// Calls `then` with the row with these values, if there is one. Like [`cached`](Self::cached), but the row stays in the
    /// cache, for rows that several requests of a thread use at the same time. `then` must not record.
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

    /// Returns the row with these values if there is one, and caches it.
    #[cold]
    pub(crate) fn lookup_shared(&self, values: &[&str]) -> Option<Arc<Row<R>>> {
        let (row, overflowed) = self.lookup(values)?;
        self.cache_shared(values, &row, overflowed);
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
        self.cache_shared(values, &row, overflowed);
        row
    }

    fn cache_shared(&self, values: &[&str], row: &Arc<Row<R>>, overflowed: Overflowed) {
        // Values beyond the limit are not cached, because there can be any number of them.
        if !overflowed.any() {
            let hash = self.hash(values);
            with_cache(|cache: &mut RowCache<R>| cache.make_entry(hash, Some(Arc::clone(row))));
        }
    }
}

/// Calls a function with the cache of the calling thread. `None` if the thread ends, or if a recorder of another crate
/// records while the cache is used.
#[inline]
fn with_cache<R: Cached, T>(then: impl FnOnce(&mut RowCache<R>) -> T) -> Option<T> {
    let then = |cache: &RefCell<RowCache<R>>| Some(then(&mut *cache.try_borrow_mut().ok()?));
    R::cache().try_with(then).ok()?
}

impl<R: Cached> RowRef<R> {
    /// Returns a reference to a row that is not cached.
    pub(crate) fn uncached(row: Arc<Row<R>>) -> Self {
        let (row, hash) = (Some(row), 0);
        Self { row, hash }
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
            hash: self.hash,
        }
    }
}

impl<R: Cached> Drop for RowRef<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(row) = self.row.take() {
            with_cache(|cache| cache.put_back(self.hash, row));
        }
    }
}

/// A hasher for keys that are hashes.
#[derive(Default)]
pub(crate) struct NoHash(u64);

impl Hasher for NoHash {
    fn write(&mut self, _: &[u8]) {}

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
