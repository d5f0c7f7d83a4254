//! [`Tree`]: a map from lists of strings.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::maps::branching::BranchingMap;

const ENTRIES: usize = 4;

/// A map from lists of strings to values that contain their key. It is small while it has few entries, as
/// for most open labels.
///
/// The hash is seeded, because the strings can come from clients.
pub(crate) struct Tree<V> {
    hasher: RandomState,
    map: BranchingMap<Box<V>, ENTRIES>,
}

/// A value of a [`Tree`].
pub(crate) trait Keyed {
    /// The key that the value is found by.
    fn key(&self) -> &[Box<str>];
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            map: BranchingMap::default(),
        }
    }
}

impl<V: Keyed> Tree<V> {
    #[inline]
    pub(crate) fn get(&self, key: &[&str]) -> Option<&V> {
        let hash = || self.hasher.hash_one(key);
        let value = self.map.get(hash, |value| has_key(&**value, key));
        value.map(|value| &**value)
    }

    /// Returns the value of a key, creating it on first use.
    #[cold]
    pub(crate) fn get_or_insert(&self, key: &[&str], make: impl Fn() -> V) -> &V {
        let hash = || self.hasher.hash_one(key);
        self.map
            .get_or_insert(hash, |value| has_key(&**value, key), || Box::new(make()))
    }
}

#[inline]
fn has_key(value: &impl Keyed, key: &[&str]) -> bool {
    let own = value.key();
    own.len() == key.len() && own.iter().zip(key).all(|(one, other)| **one == **other)
}

/// Returns a key that a value can store.
pub(crate) fn owned(key: &[&str]) -> Box<[Box<str>]> {
    key.iter().map(|text| (*text).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered(Box<[Box<str>]>, usize);

    impl Keyed for Numbered {
        fn key(&self) -> &[Box<str>] {
            &self.0
        }
    }

    #[test]
    fn all_threads_find_the_same_value_for_a_key() {
        let tree = Tree::default();
        let key = |i: usize| (i.to_string(), (i % 7).to_string());
        let keys: Vec<_> = (0..2000).map(key).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for (i, (one, other)) in keys.iter().enumerate() {
                        let key: &[&str] = &[one, other];
                        let made = tree.get_or_insert(key, || Numbered(owned(key), i));
                        assert_eq!(made.1, i);
                    }
                });
            }
        });
        for (i, (one, other)) in keys.iter().enumerate() {
            assert_eq!(tree.get(&[one, other]).map(|found| found.1), Some(i));
            assert!(tree.get(&[one]).is_none());
        }
        assert!(tree.get(&["0", "1"]).is_none());
    }
}
