//! [`Table`]: a hash table with open addressing, whose slots are set once and never move.

use std::hash::BuildHasher;
use std::sync::atomic::Ordering;

#[cfg(loom)]
use foldhash::fast::FixedState as RandomState;
#[cfg(not(loom))]
use foldhash::fast::RandomState;

use super::MAX_NAME_LEN;
use crate::sync::lock;
use crate::sync::{AtomicUsize, Mutex, OnceLock};

/// A map from at most `cap` names to leaked values, read without a lock.
///
/// Names are compared by content, because a router may return the same template at different addresses. The
/// hash is seeded, because names can come from clients.
pub(crate) struct Table<V: 'static> {
    slots: Box<[OnceLock<&'static Entry<V>>]>,
    hasher: RandomState,
    cap: usize,
    len: AtomicUsize,
    /// Held while a name is added.
    adding: Mutex<()>,
}

/// Fields are in the order in which a look-up reads them: the name, then the start of the value.
#[repr(C, align(64))]
struct Entry<V> {
    start: NameStart,
    value: V,
    name: &'static str,
}

/// The start of a name. A short name fits completely, so that comparing it needs no further cache line.
struct NameStart {
    len: u16,
    bytes: [u8; Self::LEN],
}

impl NameStart {
    /// Makes a `NameStart` 40 bytes large.
    const LEN: usize = 38;

    fn of(name: &str) -> Self {
        let mut bytes = [0; Self::LEN];
        let start = name.len().min(Self::LEN);
        bytes[..start].copy_from_slice(&name.as_bytes()[..start]);
        Self {
            len: name.len() as u16,
            bytes,
        }
    }
}

impl<V> Entry<V> {
    #[inline]
    fn is_of(&self, name: &str) -> bool {
        if name.len() != usize::from(self.start.len) {
            return false;
        }
        match self.start.bytes.get(..name.len()) {
            Some(bytes) => bytes == name.as_bytes(),
            None => self.name == name,
        }
    }
}

impl<V> Table<V> {
    pub(crate) fn new(cap: usize) -> Self {
        // At least half of the slots stay free, so that searches are short.
        let slots = (cap * 2).next_power_of_two();
        Self {
            slots: std::iter::repeat_with(OnceLock::new).take(slots).collect(),
            hasher: RandomState::default(),
            cap,
            len: AtomicUsize::new(0),
            adding: Mutex::new(()),
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&'static V> {
        self.search(name).ok()
    }

    /// Returns the value of a name, calling `make` with the leaked name on first use. `None` if the table
    /// is full or the name longer than [`MAX_NAME_LEN`].
    pub(crate) fn get_or_insert(
        &self,
        name: &str,
        make: impl FnOnce(&'static str) -> V,
    ) -> Option<&'static V> {
        if let Ok(value) = self.search(name) {
            return Some(value);
        }
        if self.is_full() {
            // Another thread may have added this name after the search, as the last one.
            return self.get(name);
        }
        if name.len() > MAX_NAME_LEN {
            return None;
        }
        let _adding = lock(&self.adding);
        let free = match self.search(name) {
            Ok(value) => return Some(value),
            Err(free) => free,
        };
        if self.is_full() {
            return None;
        }
        let name: &'static str = Box::leak(name.into());
        let value = make(name);
        let start = NameStart::of(name);
        let entry: &'static Entry<V> = Box::leak(Box::new(Entry { start, value, name }));
        let known = &free.get_or_init(|| entry).value;
        // Incremented after the entry is set: a thread that finds the table full also finds all its names.
        self.len.fetch_add(1, Ordering::Release);
        Some(known)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len.load(Ordering::Acquire) == self.cap
    }

    /// Returns the value of a name, or the free slot for it.
    #[inline(always)]
    fn search(&self, name: &str) -> Result<&'static V, &OnceLock<&'static Entry<V>>> {
        let mask = self.slots.len() - 1;
        let mut i = self.hasher.hash_one(name) as usize & mask;
        loop {
            let slot = &self.slots[i];
            match slot.get() {
                Some(entry) if entry.is_of(name) => return Ok(&entry.value),
                Some(_) => i = (i + 1) & mask,
                None => return Err(slot),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_inserts_do_not_exceed_the_limit() {
        let table = Table::new(1);
        let making = std::sync::Barrier::new(2);
        let slow = |_| {
            making.wait();
            1
        };
        std::thread::scope(|scope| {
            let one = scope.spawn(|| table.get_or_insert("one", slow).copied());
            making.wait();
            assert_eq!(table.get_or_insert("two", |_| 2).copied(), None);
            assert_eq!(one.join().unwrap(), Some(1));
        });
    }
}
