//! [`Store`]: the records, in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The collections of the user. The names are also label values, so clients cannot choose them.
pub struct Store([Collection; 3]);

impl Store {
    pub fn new() -> Self {
        Self(["bookmarks", "history", "tabs"].map(|name| Collection {
            name,
            records: Mutex::default(),
        }))
    }

    /// Returns a collection, or `None` if it does not exist.
    pub fn collection(&self, name: &str) -> Option<&Collection> {
        self.0.iter().find(|collection| collection.name == name)
    }
}

/// A list of records.
pub struct Collection {
    pub name: &'static str,
    records: Mutex<Vec<Bytes>>,
}

impl Collection {
    pub fn lock(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
