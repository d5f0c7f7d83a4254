//! [`NativeCells`]: the cells of a native histogram.

use std::sync::atomic::Ordering;

use crate::model::native::{NativeSpec, Position, Schema, ZERO_THRESHOLD, halved_index};
use crate::registry::cells::{Address, CellId, Store};
use crate::sync::lock;
use crate::sync::{AtomicU32, AtomicU64, Mutex, OnceLock};

/// The cells of one series: a cell for each bucket, in blocks of adjacent buckets that are reserved when the first value
/// falls into them.
///
/// They are cells of the [`Store`], so each thread adds to its own copy. Only the reservation takes a lock.
pub(crate) struct NativeCells {
    schema: Schema,
    max_buckets: usize,
    zero: CellId,
    positive: Directory,
    /// Allocated at the first negative value.
    negative: OnceLock<Box<Directory>>,
    /// How often the resolution of the exported buckets has been halved. It only rises.
    halvings: AtomicU64,
}

const SIGN: u64 = 1 << 63;

impl NativeCells {
    pub(crate) fn new(spec: NativeSpec, store: &Store) -> Self {
        Self {
            schema: spec.schema,
            max_buckets: spec.max_buckets,
            zero: store.reserve_counts(1),
            positive: Directory::default(),
            negative: OnceLock::new(),
            halvings: AtomicU64::new(0),
        }
    }

    /// The cell of the zero bucket, which identifies the series.
    pub(crate) fn zero(&self) -> CellId {
        self.zero
    }

    /// The cell of the bucket of a sample, which must not be NaN.
    #[inline]
    pub(crate) fn address(&self, store: &Store, sample: f64) -> Address {
        let bits = sample.to_bits();
        // The bits of positive floats are ordered as the floats are. Those of negative floats are above all of them.
        if bits <= ZERO_THRESHOLD.to_bits() || bits >= SIGN {
            return self.address_of_other(store, bits);
        }
        let Position { block, offset } = self.schema.position(bits);
        let first = self.positive.first_cell(block, self.schema, store);
        Address::of(first + offset)
    }

    /// The cell of a sample that is near 0 or negative.
    #[cold]
    fn address_of_other(&self, store: &Store, bits: u64) -> Address {
        let magnitude = bits & !SIGN;
        if magnitude <= ZERO_THRESHOLD.to_bits() {
            return Address::of(self.zero);
        }
        let Position { block, offset } = self.schema.position(magnitude);
        let negative = self.negative.get_or_init(Box::default);
        let first = negative.first_cell(block, self.schema, store);
        Address::of(first + offset)
    }

    /// Reads the buckets from the counts of all cells, by cell.
    pub(crate) fn read(&self, counts: &[u64]) -> NativeBuckets {
        let mut buckets = NativeBuckets {
            schema: self.schema,
            zero_count: counts[self.zero as usize],
            positive: self.positive.buckets(self.schema, counts),
            negative: match self.negative.get() {
                Some(negative) => negative.buckets(self.schema, counts),
                None => Vec::new(),
            },
        };
        let halvings = self.halvings.load(Ordering::Relaxed);
        for _ in 0..halvings {
            buckets.halve();
        }
        let mut more = 0;
        while buckets.len() > self.max_buckets && buckets.halve() {
            more += 1;
        }
        if more > 0 {
            // Concurrent readers may halve twice as often as needed. Both results are right.
            self.halvings.fetch_max(halvings + more, Ordering::Relaxed);
        }
        buckets
    }
}

/// The first cell of each block, by the number of the block.
#[derive(Default)]
struct Directory {
    /// The blocks from [`FIRST_NEAR`], which few series leave: with a schema of 0 or more, the values from 2^-64 to 2^64.
    near: Near,
    /// All blocks from [`FIRST_FAR`]. Those that are near are not used. Allocated at first use.
    far: OnceLock<Box<[BlockCell; FAR]>>,
    reserving: Mutex<()>,
}

struct Near([BlockCell; NEAR]);

impl Default for Near {
    fn default() -> Self {
        Self(std::array::from_fn(|_| BlockCell::default()))
    }
}

const NEAR: usize = if cfg!(loom) { 2 } else { 128 };
const FIRST_NEAR: i32 = -(NEAR as i32) / 2;
/// From the first block above the zero threshold to the block of infinity.
const FIRST_FAR: i32 = -129;
const FAR: usize = if cfg!(loom) { 1 } else { 1024 + 129 + 1 };

/// The first cell of a block, plus 1; 0 while it is not reserved.
#[derive(Default)]
struct BlockCell(AtomicU32);

impl BlockCell {
    #[inline]
    fn get(&self) -> Option<CellId> {
        self.0.load(Ordering::Acquire).checked_sub(1)
    }
}

impl Directory {
    /// The first cell of a block, reserved on first use.
    #[inline]
    fn first_cell(&self, block: i32, schema: Schema, store: &Store) -> CellId {
        let near = self.near.0.get((block - FIRST_NEAR) as usize);
        match near.and_then(BlockCell::get) {
            Some(first) => first,
            None => self.find_or_reserve(block, schema, store),
        }
    }

    #[cold]
    fn find_or_reserve(&self, block: i32, schema: Schema, store: &Store) -> CellId {
        let cell = self.cell(block);
        if let Some(first) = cell.get() {
            return first;
        }
        let _reserving = lock(&self.reserving);
        cell.get().unwrap_or_else(|| {
            let first = store.reserve_counts(schema.block_len() as usize);
            cell.0.store(first + 1, Ordering::Release);
            first
        })
    }

    fn cell(&self, block: i32) -> &BlockCell {
        let near = self.near.0.get((block - FIRST_NEAR) as usize);
        near.unwrap_or_else(|| {
            let new = || Box::new(std::array::from_fn(|_| BlockCell::default()));
            let last = FAR - 1;
            &self.far.get_or_init(new)[((block - FIRST_FAR) as usize).min(last)]
        })
    }

    /// The blocks that are reserved, by rising number, with their first cells.
    fn blocks(&self) -> impl Iterator<Item = (i32, CellId)> {
        let far = self.far.get();
        let numbers = match far {
            Some(_) => FIRST_FAR..FIRST_FAR + FAR as i32,
            None => FIRST_NEAR..FIRST_NEAR + NEAR as i32,
        };
        numbers.filter_map(move |block| {
            let near = self.near.0.get((block - FIRST_NEAR) as usize);
            let cell = near.or_else(|| far?.get((block - FIRST_FAR) as usize))?;
            Some((block, cell.get()?))
        })
    }

    /// The indexes and counts of the buckets with observations, by rising index.
    fn buckets(&self, schema: Schema, counts: &[u64]) -> Vec<(i32, u64)> {
        let mut buckets = Vec::new();
        for (block, first) in self.blocks() {
            // A block that was reserved after the counts were read has none.
            let cells = counts.get(first as usize..).unwrap_or_default();
            for (offset, count) in (0..schema.block_len())
                .zip(cells)
                .filter(|(_, count)| **count > 0)
            {
                buckets.push((schema.index(Position { block, offset }), *count));
            }
        }
        buckets
    }
}

/// The native buckets of a histogram that have observations.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeBuckets {
    pub(crate) schema: Schema,
    pub(crate) zero_count: u64,
    /// The indexes and counts, by rising index.
    pub(crate) positive: Vec<(i32, u64)>,
    pub(crate) negative: Vec<(i32, u64)>,
}

/// A bucket of [`NativeBuckets`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NativeBucket {
    /// The number of the bucket: its bound is 2<sup>2<sup>-schema</sup></sup> to the power of the index.
    pub index: i32,
    /// The bound that is further from 0, and belongs to the bucket; negative for negative observations.
    pub bound: f64,
    /// The number of observations, not cumulative.
    pub count: u64,
}

impl NativeBuckets {
    /// Returns the resolution, from -4 to 8: bounds are powers of 2<sup>2<sup>-schema</sup></sup>.
    #[must_use]
    pub fn schema(&self) -> i8 {
        self.schema.number()
    }

    /// Returns the largest absolute value in the zero bucket.
    #[must_use]
    pub fn zero_threshold(&self) -> f64 {
        ZERO_THRESHOLD
    }

    /// Returns the number of observations that are 0, or so close to it that they are in the zero bucket.
    #[must_use]
    pub fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// Returns the buckets of positive observations, by rising bound.
    pub fn positive(&self) -> impl Iterator<Item = NativeBucket> {
        self.buckets(&self.positive, 1.0)
    }

    /// Returns the buckets of negative observations, by falling bound: those near 0 first.
    pub fn negative(&self) -> impl Iterator<Item = NativeBucket> {
        self.buckets(&self.negative, -1.0)
    }

    fn buckets(&self, buckets: &[(i32, u64)], sign: f64) -> impl Iterator<Item = NativeBucket> {
        buckets.iter().map(move |(index, count)| NativeBucket {
            index: *index,
            bound: sign * self.schema.bound(*index),
            count: *count,
        })
    }

    /// The number of observations.
    pub(crate) fn count(&self) -> u64 {
        let counts = self
            .positive
            .iter()
            .chain(&self.negative)
            .map(|(_, count)| *count);
        counts.fold(self.zero_count, u64::saturating_add)
    }

    pub(crate) fn len(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    /// Joins neighbouring buckets. Returns `false` at the lowest resolution.
    fn halve(&mut self) -> bool {
        let Some(schema) = self.schema.halved() else {
            return false;
        };
        self.schema = schema;
        for buckets in [&mut self.positive, &mut self.negative] {
            for (index, _) in &mut *buckets {
                *index = halved_index(*index);
            }
            buckets.dedup_by(|(index, count), (kept, sum)| {
                let is_same = index == kept;
                if is_same {
                    *sum = sum.saturating_add(*count);
                }
                is_same
            });
        }
        true
    }
}
