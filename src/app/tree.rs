//! [`Tree`]: a map from texts that only grows, read without a lock.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

const ENTRIES: usize = 4;
const BRANCHES: usize = 8;

/// A map from some texts to a value, which starts small: most open labels have few values.
///
/// The first keys that came, and so likely the most frequent, are looked at first; further ones are in
/// branches by their hash. The hash is seeded, because values can come from outside.
pub(super) struct Tree<V> {
    hasher: RandomState,
    root: Branch<V>,
}

struct Branch<V> {
    entries: [OnceLock<Entry<V>>; ENTRIES],
    branches: [OnceLock<Box<Self>>; BRANCHES],
}

struct Entry<V> {
    key: Box<[Box<str>]>,
    value: V,
}

impl<V> Entry<V> {
    #[inline]
    fn has(&self, key: &[&str]) -> bool {
        self.key.len() == key.len()
            && self
                .key
                .iter()
                .zip(key)
                .all(|(one, other)| **one == **other)
    }
}

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self {
            entries: [const { OnceLock::new() }; ENTRIES],
            branches: [const { OnceLock::new() }; BRANCHES],
        }
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            root: Branch::default(),
        }
    }
}

impl<V> Tree<V> {
    /// The value of a key, if it has one: an entry that is free ends the search.
    #[inline]
    pub(super) fn get(&self, key: &[&str]) -> Option<&V> {
        let mut branch = &self.root;
        let mut hash = None;
        loop {
            for entry in &branch.entries {
                let entry = entry.get()?;
                if entry.has(key) {
                    return Some(&entry.value);
                }
            }
            branch = branch.branches[self.next(&mut hash, key)].get()?;
        }
    }

    /// The value of a key, made on first use.
    #[cold]
    pub(super) fn get_or_insert(&self, key: &[&str], make: impl Fn() -> V) -> &V {
        let mut branch = &self.root;
        let mut hash = None;
        loop {
            for entry in &branch.entries {
                // An entry that another thread fills meanwhile may have another key: look on.
                let entry = entry.get_or_init(|| Entry {
                    key: key.iter().map(|text| (*text).into()).collect(),
                    value: make(),
                });
                if entry.has(key) {
                    return &entry.value;
                }
            }
            let next = &branch.branches[self.next(&mut hash, key)];
            branch = next.get_or_init(Box::default);
        }
    }

    /// The branch of a key one level further down, from bits of its hash that were not used yet.
    fn next(&self, hash: &mut Option<u64>, key: &[&str]) -> usize {
        let bits = hash.unwrap_or_else(|| self.hasher.hash_one(key));
        *hash = Some(bits.rotate_left(3));
        (bits >> 61) as usize % BRANCHES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_found_again_by_all_threads() {
        let tree = Tree::default();
        let keys: Vec<_> = (0..2000)
            .map(|i| (i.to_string(), (i % 7).to_string()))
            .collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for (i, (one, other)) in keys.iter().enumerate() {
                        assert_eq!(*tree.get_or_insert(&[one, other], || i), i);
                    }
                });
            }
        });
        for (i, (one, other)) in keys.iter().enumerate() {
            assert_eq!(tree.get(&[one, other]), Some(&i));
            assert_eq!(tree.get(&[one]), None);
        }
        assert_eq!(tree.get(&["0", "1"]), None);
    }
}
