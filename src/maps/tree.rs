//! [`Tree`]: values found by texts, which only grow in number, read without a lock.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

const ENTRIES: usize = 4;
const BRANCHES: usize = 8;

/// Values with texts of their own to be found by; small while there are few, as most open labels have.
///
/// The first that came, and so likely the most frequent, are looked at first; further ones are in branches
/// by their hash. The hash is seeded, because values can come from outside.
pub(crate) struct Tree<V> {
    hasher: RandomState,
    root: Branch<V>,
}

/// What can be found in a [`Tree`].
pub(crate) trait Keyed {
    /// The texts to find it by.
    fn key(&self) -> &[Box<str>];
}

struct Branch<V> {
    entries: [OnceLock<Box<V>>; ENTRIES],
    branches: OnceLock<Box<[Self; BRANCHES]>>,
}

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self {
            entries: [const { OnceLock::new() }; ENTRIES],
            branches: OnceLock::new(),
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

impl<V: Keyed> Tree<V> {
    /// The value of a key, if it is there: an entry that is free ends the search.
    #[inline]
    pub(crate) fn get(&self, key: &[&str]) -> Option<&V> {
        let mut branch = &self.root;
        let mut hash = None;
        loop {
            for entry in &branch.entries {
                let entry = entry.get()?;
                if has_key(&**entry, key) {
                    return Some(entry);
                }
            }
            branch = &branch.branches.get()?[self.next(&mut hash, key)];
        }
    }

    /// The value of a key, made on first use.
    #[cold]
    pub(crate) fn get_or_insert(&self, key: &[&str], make: impl Fn() -> V) -> &V {
        let mut branch = &self.root;
        let mut hash = None;
        loop {
            for entry in &branch.entries {
                // An entry that another thread fills meanwhile may have another key: look on.
                let entry = entry.get_or_init(|| Box::new(make()));
                if has_key(&**entry, key) {
                    return entry;
                }
            }
            let branches = branch.branches.get_or_init(Box::default);
            branch = &branches[self.next(&mut hash, key)];
        }
    }

    /// The branch of a key one level further down, from bits of its hash that were not used yet.
    fn next(&self, hash: &mut Option<u64>, key: &[&str]) -> usize {
        let bits = hash.unwrap_or_else(|| self.hasher.hash_one(key));
        *hash = Some(bits.rotate_left(3));
        (bits >> 61) as usize % BRANCHES
    }
}

#[inline]
fn has_key(value: &impl Keyed, key: &[&str]) -> bool {
    let own = value.key();
    own.len() == key.len() && own.iter().zip(key).all(|(one, other)| **one == **other)
}

/// Texts as the key of a value that is kept.
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
    fn many_keys_are_found_again_by_all_threads() {
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
