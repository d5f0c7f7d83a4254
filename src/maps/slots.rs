//! [`Slots`]: a small map that only grows, read without a lock.

use crate::sync::OnceLock;

const BLOCK: usize = 2;
const BRANCHES: usize = if cfg!(loom) { 1 } else { 8 };

/// A map for few keys, such as the statuses of an endpoint.
///
/// The first keys that came, and so likely the most frequent, are looked at first; further ones are in
/// a tree that branches by their hash, so that many keys are no long search.
#[repr(C)]
pub(crate) struct Slots<K, V> {
    block: [OnceLock<(K, V)>; BLOCK],
    /// Made when the block is full: most maps have one key or two.
    branches: OnceLock<Box<Branches<K, V>>>,
}

type Branches<K, V> = [OnceLock<Slots<K, V>>; BRANCHES];

/// What [`Slots`] can be found by.
pub(crate) trait SlotKey: Copy + PartialEq {
    /// A number that differs for most different keys.
    fn bits(self) -> u64;
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self {
            block: std::array::from_fn(|_| OnceLock::new()),
            branches: OnceLock::new(),
        }
    }
}

impl<K: SlotKey, V> Slots<K, V> {
    /// The value of a key, if it has one: a slot that is free ends the search.
    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        for slot in &self.block {
            let (known, value) = slot.get()?;
            if *known == key {
                return Some(value);
            }
        }
        self.get_below(key)
    }

    #[inline(never)]
    fn get_below(&self, key: K) -> Option<&V> {
        let mut node = self;
        let mut hash = None;
        loop {
            node = node.branches.get()?[next_branch(&mut hash, key)].get()?;
            for slot in &node.block {
                let (known, value) = slot.get()?;
                if *known == key {
                    return Some(value);
                }
            }
        }
    }

    /// The value of a key, made on first use.
    #[inline]
    pub(crate) fn get_or_insert(&self, key: K, make: impl Fn() -> V) -> &V {
        match self.get(key) {
            Some(value) => value,
            None => self.insert(key, make),
        }
    }

    #[cold]
    fn insert(&self, key: K, make: impl Fn() -> V) -> &V {
        let mut node = self;
        let mut hash = None;
        loop {
            for slot in &node.block {
                // A slot that another thread fills meanwhile may hold another key: look on.
                let (known, value) = slot.get_or_init(|| (key, make()));
                if *known == key {
                    return value;
                }
            }
            let new = || Box::new(std::array::from_fn(|_| OnceLock::new()));
            let branch = &node.branches.get_or_init(new)[next_branch(&mut hash, key)];
            node = branch.get_or_init(Self::default);
        }
    }
}

/// The branch of a key one level further down, from bits of its hash that were not used yet.
fn next_branch(hash: &mut Option<u64>, key: impl SlotKey) -> usize {
    // Fibonacci hashing: the high bits are the mixed ones.
    let bits = hash.unwrap_or_else(|| key.bits().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    *hash = Some(bits.rotate_left(3));
    (bits >> 61) as usize % BRANCHES
}

impl SlotKey for &'static str {
    fn bits(self) -> u64 {
        let mix = |bits: u64, byte: u8| bits.wrapping_mul(31).wrapping_add(u64::from(byte));
        self.bytes().fold(0, mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SlotKey for u32 {
        fn bits(self) -> u64 {
            u64::from(self)
        }
    }

    #[test]
    fn many_keys_are_found_again_by_all_threads() {
        let slots = Slots::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in 0..2000_u32 {
                        assert_eq!(*slots.get_or_insert(key, || key * 2), key * 2);
                    }
                });
            }
        });
        assert!((0..2000).all(|key| slots.get(key) == Some(&(key * 2))));
        assert_eq!(slots.get(2000), None);
    }

    /// Keys with equal bits still differ.
    #[test]
    fn keys_that_collide_are_kept_apart() {
        #[derive(Clone, Copy, PartialEq)]
        struct Colliding(u32);
        impl SlotKey for Colliding {
            fn bits(self) -> u64 {
                7
            }
        }
        let slots = Slots::default();
        for key in 0..100 {
            slots.get_or_insert(Colliding(key), || key);
        }
        assert!((0..100).all(|key| slots.get(Colliding(key)) == Some(&key)));
    }
}
