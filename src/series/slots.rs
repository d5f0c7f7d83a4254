//! [`Slots`]: a short list that only grows, read without a lock.

use std::sync::OnceLock;

const BLOCK: usize = 4;

/// A map for few keys, such as the statuses of an endpoint: looked through from the front, where the
/// first that came, and so likely the most frequent, is.
pub(crate) struct Slots<K, V> {
    block: [OnceLock<(K, V)>; BLOCK],
    next: OnceLock<Box<Self>>,
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self {
            block: [const { OnceLock::new() }; BLOCK],
            next: OnceLock::new(),
        }
    }
}

impl<K: Copy + PartialEq, V> Slots<K, V> {
    /// The value of a key, made on first use.
    #[inline]
    pub(crate) fn get_or_insert(&self, key: K, make: impl Fn() -> V) -> &V {
        let mut list = self;
        loop {
            for slot in &list.block {
                // A slot that another thread fills meanwhile may hold another key: look on.
                let (known, value) = slot.get_or_init(|| (key, make()));
                if *known == key {
                    return value;
                }
            }
            list = list.next.get_or_init(Box::default);
        }
    }
}
