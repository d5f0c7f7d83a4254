//! [`Slots`]: a map for a few small keys.

use crate::maps::branching::BranchingMap;

const ENTRIES: usize = 2;

/// A map for few keys, such as the statuses of the requests to an endpoint.
#[repr(C)]
pub(crate) struct Slots<K, V> {
    map: BranchingMap<(K, V), ENTRIES>,
}

/// A key of [`Slots`].
pub(crate) trait SlotKey: Copy + PartialEq {
    /// A number that differs for most different keys.
    fn bits(self) -> u64;
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self {
            map: BranchingMap::default(),
        }
    }
}

impl<K: SlotKey, V> Slots<K, V> {
    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        let entry = self.map.get(|| hash(key), |(known, _)| *known == key);
        entry.map(|(_, value)| value)
    }

    /// Returns the value of a key, creating it on first use.
    #[inline]
    pub(crate) fn get_or_insert(&self, key: K, make: impl Fn() -> V) -> &V {
        match self.get(key) {
            Some(value) => value,
            None => self.insert(key, make),
        }
    }

    #[cold]
    fn insert(&self, key: K, make: impl Fn() -> V) -> &V {
        let is = |(known, _): &(K, V)| *known == key;
        let (_, value) = self.map.get_or_insert(|| hash(key), is, || (key, make()));
        value
    }
}

/// Fibonacci hashing, which mixes the high bits.
fn hash(key: impl SlotKey) -> u64 {
    key.bits().wrapping_mul(0x9E37_79B9_7F4A_7C15)
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
    fn all_threads_find_the_same_value_for_a_key() {
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

    #[test]
    fn keys_with_equal_bits_are_distinct() {
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
