//! [`NativeCells`]: the cells of a native histogram.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::native::{BucketPosition, NativeSpec, Schema, ZERO_THRESHOLD, halved_index};
use crate::registry::cells::{Address, CellId, Store};
use crate::sync::lock;
use crate::sync::{AtomicU64, Mutex, OnceLock};

/// The cells of one series: a cell for each bucket, in blocks of adjacent buckets that are reserved when the first
/// value falls into them.
///
/// They are cells of the [`Store`], so each thread adds to its own copy. Only the reservation takes a lock.
pub(crate) struct NativeCells {
    schema: Schema,
    max_buckets: usize,
    zero: Address,
    store: Arc<Store>,
    positive: Directory,
    /// Allocated at the first negative value.
    negative: OnceLock<Box<Directory>>,
    /// How often the resolution of the exported buckets has been halved. It only rises.
    halvings: AtomicU64,
}

const SIGN: u64 = 1 << 63;

impl NativeCells {
    pub(crate) fn new(spec: NativeSpec, store: Arc<Store>) -> Self {
        Self {
            schema: spec.schema,
            max_buckets: spec.max_buckets,
            zero: Address::of(store.reserve_counts(1)),
            store,
            positive: Directory::default(),
            negative: OnceLock::new(),
            halvings: AtomicU64::new(0),
        }
    }

    /// The cell of the zero bucket, which identifies the series.
    pub(crate) fn zero(&self) -> CellId {
        self.zero.cell()
    }

    /// The cell of the bucket of a sample, which must not be NaN.
    #[inline]
    pub(crate) fn address(&self, sample: f64) -> Address {
        let bits = sample.to_bits();
        // The bits of positive floats are ordered as the floats are. Those of negative floats are above all of them.
        if bits <= ZERO_THRESHOLD.to_bits() || bits >= SIGN {
            return self.address_of_other(bits);
        }
        let BucketPosition { block, offset } = self.schema.position(bits);
        self.positive.first(block, self).plus(offset)
    }

    /// The cell of a sample that is near 0 or negative.
    #[cold]
    fn address_of_other(&self, bits: u64) -> Address {
        let magnitude = bits & !SIGN;
        if magnitude <= ZERO_THRESHOLD.to_bits() {
            return self.zero;
        }
        let BucketPosition { block, offset } = self.schema.position(magnitude);
        let negative = self.negative.get_or_init(Box::default);
        negative.first(block, self).plus(offset)
    }

    /// Calls `f` with each cell that is reserved.
    pub(crate) fn each_cell(&self, mut f: impl FnMut(CellId)) {
        f(self.zero());
        let directories = [
            Some(&self.positive),
            self.negative.get().map(|directory| &**directory),
        ];
        for (_, first) in directories
            .into_iter()
            .flatten()
            .flat_map(Directory::blocks)
        {
            (first..first + self.schema.block_len()).for_each(&mut f);
        }
    }

    /// Forgets how often the resolution was halved.
    pub(crate) fn reset(&self) {
        self.halvings.store(0, Ordering::Relaxed);
    }

    /// Reads the buckets from the counts of all cells, by cell.
    pub(crate) fn read(&self, counts: &[u64]) -> NativeBuckets {
        let mut buckets = NativeBuckets {
            schema: self.schema,
            zero_count: counts[self.zero() as usize],
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

/// The address of the first cell of each block, by the number of the block.
#[derive(Default)]
struct Directory {
    /// The blocks from [`FIRST_NEAR`], which few series leave: with a schema of 0 or more, the values from 2^-32 to
    /// 2^32.
    near: Near,
    /// All blocks from [`FIRST_FAR`]. Those that are near are not used. Allocated at first use.
    far: OnceLock<Box<[BlockAddress; FAR]>>,
    reserving: Mutex<()>,
}

struct Near([BlockAddress; NEAR]);

impl Default for Near {
    fn default() -> Self {
        Self(std::array::from_fn(|_| BlockAddress::default()))
    }
}

const NEAR: usize = if cfg!(loom) { 2 } else { 64 };
const FIRST_NEAR: i32 = -(NEAR as i32) / 2;
/// From the first block above the zero threshold to the block of infinity.
const FIRST_FAR: i32 = -129;
const FAR: usize = if cfg!(loom) { 1 } else { 1024 + 129 + 1 };

/// The address of the first cell of a block; 0 while it is not reserved.
#[derive(Default)]
struct BlockAddress(AtomicU64);

impl BlockAddress {
    #[inline]
    fn get(&self) -> Option<Address> {
        Address::from_bits(self.0.load(Ordering::Acquire))
    }
}

impl Directory {
    /// The address of the first cell of a block, reserved on first use.
    #[inline]
    fn first(&self, block: i32, cells: &NativeCells) -> Address {
        let near = self.near.0.get((block - FIRST_NEAR) as usize);
        match near.and_then(BlockAddress::get) {
            Some(first) => first,
            None => self.find_or_reserve(block, cells),
        }
    }

    #[cold]
    fn find_or_reserve(&self, block: i32, cells: &NativeCells) -> Address {
        let address = self.address(block);
        if let Some(first) = address.get() {
            return first;
        }
        let _reserving = lock(&self.reserving);
        address.get().unwrap_or_else(|| {
            let len = cells.schema.block_len() as usize;
            let first = Address::of(cells.store.reserve_counts(len));
            address.0.store(first.to_bits(), Ordering::Release);
            first
        })
    }

    fn address(&self, block: i32) -> &BlockAddress {
        let near = self.near.0.get((block - FIRST_NEAR) as usize);
        near.unwrap_or_else(|| {
            let new = || Box::new(std::array::from_fn(|_| BlockAddress::default()));
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
            let address = near.or_else(|| far?.get((block - FIRST_FAR) as usize))?;
            Some((block, address.get()?.cell()))
        })
    }

    /// The indexes and counts of the buckets with observations, by rising index.
    fn buckets(&self, schema: Schema, counts: &[u64]) -> Vec<(i32, u64)> {
        let mut buckets = Vec::new();
        for (block, first) in self.blocks() {
            // A block that was reserved after the counts were read has no counts.
            let cells = counts.get(first as usize..).unwrap_or_default();
            for (offset, count) in (0..schema.block_len())
                .zip(cells)
                .filter(|(_, count)| **count > 0)
            {
                buckets.push((schema.index(BucketPosition { block, offset }), *count));
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
