//! [`NativeCells`]: the cells of a native histogram.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::native::{
    BucketPosition, EXPONENT_BIAS, NativeSpec, OctaveBuckets, Schema, ZERO_THRESHOLD,
    biased_octave, halved_index,
};
use crate::registry::cells::{Address, CellId, Store};
use crate::sync::lock;
use crate::sync::{AtomicU64, Mutex, OnceLock};

/// The cells of one series: a cell for each bucket. Those of an octave are reserved when the first value falls into it.
///
/// They are cells of the [`Store`], so each thread adds to its own copy. Only the reservation takes a lock.
pub(crate) struct NativeCells {
    buckets: OctaveBuckets,
    max_buckets: usize,
    zero: Address,
    store: Arc<Store>,
    positive: Directory,
    /// Allocated at the first negative value.
    negative: OnceLock<Box<Directory>>,
    /// How often the resolution of the exported buckets has been halved. It only rises.
    halvings: AtomicU64,
}

impl NativeCells {
    pub(crate) fn new(spec: NativeSpec, store: Arc<Store>) -> Self {
        let (buckets, halvings) = spec.schema.octave_buckets();
        Self {
            buckets,
            max_buckets: spec.max_buckets,
            zero: Address::of(store.reserve_counts(1)),
            store,
            positive: Directory::default(),
            negative: OnceLock::new(),
            halvings: AtomicU64::new(halvings),
        }
    }

    /// The cell of the zero bucket, which identifies the series.
    pub(crate) fn zero(&self) -> CellId {
        self.zero.cell()
    }

    /// The cell of the bucket of a sample, which must not be NaN.
    #[inline]
    pub(crate) fn address(&self, sample: f64) -> Address {
        // 0, negative values and infinities become octaves that are not near.
        let below = sample.to_bits().wrapping_sub(1);
        match self.positive.known_near(biased_octave(below)) {
            Some(first) => first.plus(self.buckets.offset(below)),
            None => self.find_or_reserve(sample),
        }
    }

    #[cold]
    fn find_or_reserve(&self, sample: f64) -> Address {
        let magnitude = sample.abs();
        if magnitude <= ZERO_THRESHOLD {
            return self.zero;
        }
        let directory = match sample > 0.0 {
            true => &self.positive,
            false => self.negative.get_or_init(Box::default),
        };
        let BucketPosition { octave, offset } = self.buckets.position(magnitude);
        directory.find_or_reserve(octave, self).plus(offset)
    }

    /// Calls `f` with each cell that is reserved.
    pub(crate) fn each_cell(&self, mut f: impl FnMut(CellId)) {
        f(self.zero());
        let directories = [
            Some(&self.positive),
            self.negative.get().map(|directory| &**directory),
        ];
        let octaves = directories.into_iter().flatten();
        for (_, first) in octaves.flat_map(Directory::octaves) {
            (first..first + self.buckets.len()).for_each(&mut f);
        }
    }

    /// Forgets how often the resolution was halved.
    pub(crate) fn reset(&self) {
        self.halvings.store(0, Ordering::Relaxed);
    }

    /// Reads the buckets from the counts of all cells, by cell.
    pub(crate) fn read(&self, counts: &[u64]) -> NativeBuckets {
        let mut buckets = NativeBuckets {
            schema: self.buckets.schema(),
            zero_count: counts[self.zero() as usize],
            positive: self.positive.buckets(self.buckets, counts),
            negative: match self.negative.get() {
                Some(negative) => negative.buckets(self.buckets, counts),
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
            // Concurrent readers with different counts can export different resolutions. Both results are right.
            self.halvings.fetch_max(halvings + more, Ordering::Relaxed);
        }
        buckets
    }
}

/// The address of the first cell of each octave.
#[derive(Default)]
struct Directory {
    /// The octaves from [`FIRST_NEAR`], which few series leave: the values from 2^-32 to 2^32.
    near: Near,
    /// All octaves from [`FIRST_FAR`]. Those that are near are not used. Allocated at first use.
    far: OnceLock<Box<[OctaveAddress; FAR]>>,
    reserving: Mutex<()>,
}

struct Near([OctaveAddress; NEAR]);

impl Default for Near {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OctaveAddress::default()))
    }
}

const NEAR: usize = if cfg!(loom) { 2 } else { 64 };
const FIRST_NEAR: i32 = -(NEAR as i32) / 2;
/// From the first octave above the zero threshold to that of infinity.
const FIRST_FAR: i32 = -128;
const FAR: usize = if cfg!(loom) { 1 } else { 128 + 1024 + 1 };

/// The address of the first cell of an octave; 0 while it is not reserved.
#[derive(Default)]
struct OctaveAddress(AtomicU64);

impl OctaveAddress {
    #[inline]
    fn get(&self) -> Option<Address> {
        Address::from_bits(self.0.load(Ordering::Acquire))
    }
}

impl Directory {
    /// The address of the first cell of an octave, if it is near and reserved.
    #[inline]
    fn known_near(&self, biased_octave: u64) -> Option<Address> {
        const FIRST: u64 = (EXPONENT_BIAS + FIRST_NEAR) as u64;
        let near = biased_octave.wrapping_sub(FIRST);
        self.near.0.get(near as usize)?.get()
    }

    fn find_or_reserve(&self, octave: i32, cells: &NativeCells) -> Address {
        let address = self.address(octave);
        if let Some(first) = address.get() {
            return first;
        }
        let _reserving = lock(&self.reserving);
        address.get().unwrap_or_else(|| {
            let len = cells.buckets.len() as usize;
            let first = Address::of(cells.store.reserve_counts(len));
            address.0.store(first.to_bits(), Ordering::Release);
            first
        })
    }

    fn address(&self, octave: i32) -> &OctaveAddress {
        let near = self.near.0.get((octave - FIRST_NEAR) as usize);
        near.unwrap_or_else(|| {
            let new = || Box::new(std::array::from_fn(|_| OctaveAddress::default()));
            let last = FAR - 1;
            &self.far.get_or_init(new)[((octave - FIRST_FAR) as usize).min(last)]
        })
    }

    /// The octaves that are reserved, by rising number, with their first cells.
    fn octaves(&self) -> impl Iterator<Item = (i32, CellId)> {
        let far = self.far.get();
        let numbers = match far {
            Some(_) => FIRST_FAR..FIRST_FAR + FAR as i32,
            None => FIRST_NEAR..FIRST_NEAR + NEAR as i32,
        };
        numbers.filter_map(move |octave| {
            let near = self.near.0.get((octave - FIRST_NEAR) as usize);
            let address = near.or_else(|| far?.get((octave - FIRST_FAR) as usize))?;
            Some((octave, address.get()?.cell()))
        })
    }

    /// The indexes and counts of the buckets with observations, by rising index.
    fn buckets(&self, octave_buckets: OctaveBuckets, counts: &[u64]) -> Vec<(i32, u64)> {
        let mut buckets = Vec::new();
        for (octave, first) in self.octaves() {
            // An octave that was reserved after the counts were read has no counts.
            let cells = counts.get(first as usize..).unwrap_or_default();
            for (offset, count) in (0..octave_buckets.len())
                .zip(cells)
                .filter(|(_, count)| **count > 0)
            {
                let index = octave_buckets.index(BucketPosition { octave, offset });
                buckets.push((index, *count));
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
