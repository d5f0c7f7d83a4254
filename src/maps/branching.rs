//! [`BranchingMap`]: the trie behind [`slots`](super::slots).

use crate::sync::OnceLock;

const BRANCHES: usize = if cfg!(loom) { 1 } else { 8 };

/// A hash trie whose entries are set once, never move and are read without a lock.
///
/// The first entries added are compared first, because they are probably the most frequent ones. Further entries
/// are in branches by the bits of their hash, so that a search stays short with many entries.
#[repr(C)]
pub(crate) struct BranchingMap<T, const ENTRIES: usize> {
    entries: [OnceLock<T>; ENTRIES],
    /// Allocated once the entries are full, because most maps are small.
    branches: OnceLock<Box<Branches<T, ENTRIES>>>,
}

type Branches<T, const ENTRIES: usize> = [OnceLock<BranchingMap<T, ENTRIES>>; BRANCHES];

impl<T, const ENTRIES: usize> Default for BranchingMap<T, ENTRIES> {
    fn default() -> Self {
        Self {
            entries: std::array::from_fn(|_| OnceLock::new()),
            branches: OnceLock::new(),
        }
    }
}

impl<T, const ENTRIES: usize> BranchingMap<T, ENTRIES> {
    /// Returns the entry for which `is` is true. A free entry ends the search. The high bits of `hash`
    /// select branches, so they must be well mixed.
    #[inline]
    pub(crate) fn get(&self, hash: impl FnOnce() -> u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        for entry in &self.entries {
            let entry = entry.get()?;
            if is(entry) {
                return Some(entry);
            }
        }
        self.get_below(hash, is)
    }

    #[inline(never)]
    fn get_below(&self, hash: impl FnOnce() -> u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        let mut node = self;
        let mut bits = None;
        let mut hash = Some(hash);
        loop {
            let branches = node.branches.get()?;
            node = branches[next_branch(&mut bits, &mut hash)].get()?;
            for entry in &node.entries {
                let entry = entry.get()?;
                if is(entry) {
                    return Some(entry);
                }
            }
        }
    }

    /// Returns the entry for which `is` is true, creating it on first use.
    #[cold]
    pub(crate) fn get_or_insert(
        &self,
        hash: impl FnOnce() -> u64,
        is: impl Fn(&T) -> bool,
        make: impl Fn() -> T,
    ) -> &T {
        let mut node = self;
        let mut bits = None;
        let mut hash = Some(hash);
        loop {
            for entry in &node.entries {
                // Another thread may fill this entry first, with another key. Then the search continues.
                let entry = entry.get_or_init(&make);
                if is(entry) {
                    return entry;
                }
            }
            let new = || Box::new(std::array::from_fn(|_| OnceLock::new()));
            let branches = node.branches.get_or_init(new);
            node = branches[next_branch(&mut bits, &mut hash)].get_or_init(Self::default);
        }
    }
}

/// Returns the branch on the next level, by the next three bits of the hash.
fn next_branch(bits: &mut Option<u64>, hash: &mut Option<impl FnOnce() -> u64>) -> usize {
    let now = bits.unwrap_or_else(|| hash.take().map_or(0, |hash| hash()));
    *bits = Some(now.rotate_left(3));
    (now >> 61) as usize % BRANCHES
}
