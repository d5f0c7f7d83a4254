//! [`NativeHistogram`]: the settings of native histograms. [`Schema`]: the buckets of a resolution.

use crate::error::Error;

/// The settings of a native histogram.
///
/// A native histogram has no fixed bounds. Each bound is the bound before it, multiplied by the growth factor, and only
/// buckets with observations are exported. So quantiles are right within the factor, and a histogram is one series in
/// Prometheus. A series with more than [`max_buckets`](Self::max_buckets) buckets, 160 by default, is exported with a larger
/// factor: raise the maximum with a finer factor.
///
/// ```
/// use tower_prometheus::{NativeHistogram, Registry};
///
/// let registry = Registry::builder()
///     .native_histograms(1.1)
///     .native_histograms_for("http_request_duration_seconds", NativeHistogram::new(1.05).max_buckets(320))
///     .build()?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// | value | bucket |
/// |---|---|
/// | from -2<sup>-128</sup> to 2<sup>-128</sup>, so also 0 | the zero bucket |
/// | greater, or negative | the bucket with the next higher bound, by absolute value; a bound belongs to its bucket |
/// | an infinity | the bucket after that of the largest float; it is not in the sum |
/// | NaN | none: it is ignored |
///
/// Only the protobuf format has native histograms. Prometheus asks for it if native histograms are enabled: with
/// `scrape_native_histograms: true` in its configuration from 3.8, with the flag `--enable-feature=native-histograms` before.
/// In the text formats, the histogram has its classic buckets; without them, only `+Inf`, `_sum` and `_count`.
///
/// # Memory
///
/// Once a series has an observation between two powers of two, it has a cell for each bucket between them: 8 cells of 8 bytes
/// with the factor 1.1, 2<sup>schema</sup> cells in general, 1 below schema 0. Each thread that records has its own copy. The
/// cells are kept as long as the registry, and [`max_buckets`](Self::max_buckets) does not limit them: the limit is the number
/// of powers of two, 1152 for each sign. Values from 1 ms to 10 s need 14. A table of the powers of two takes 0.5 KiB, and as
/// much again for negative values; 9 KiB are added if absolute values are below 2<sup>-32</sup> or above 2<sup>32</sup>.
///
/// The first observation of a series between two powers of two takes a lock, and the first one of each thread there can
/// allocate. Later ones do neither.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "the settings do nothing until a registry has them"]
pub struct NativeHistogram {
    factor: f64,
    max_buckets: usize,
    has_classic: bool,
}

impl NativeHistogram {
    const MAX_BUCKETS: usize = 160;

    /// Creates the settings with a growth factor, the largest ratio of two neighbouring bounds. It must be greater than
    /// 1.
    ///
    /// Prometheus knows 13 factors. The largest of them that is not above `factor` applies:
    ///
    /// | schema | factor | buckets from 1 ms to 10 s |
    /// |---|---|---|
    /// | 8 | 1.0027 | 3402 |
    /// | 5 | 1.022 | 426 |
    /// | 4 | 1.044 | 213 |
    /// | 3 | 1.09 | 107 |
    /// | 2 | 1.19 | 54 |
    /// | 1 | 1.41 | 27 |
    /// | 0 | 2 | 14 |
    /// | -4 | 65536 | 2 |
    ///
    /// 1.1 is customary. A factor below 1.0027 is treated like it.
    pub const fn new(factor: f64) -> Self {
        Self {
            factor,
            max_buckets: Self::MAX_BUCKETS,
            has_classic: true,
        }
    }

    /// Sets the maximum number of buckets that a series exports, 1 or more. The default is 160.
    ///
    /// A series that has more is exported from then on with half the resolution: two neighbouring buckets become one.
    /// Nothing is lost, and no count decreases. At the lowest resolution, schema -4, a series can have up to 146
    /// buckets whatever the limit.
    ///
    /// From schema 4 on, 160 buckets are less than the range from 1 ms to 10 s has: raise the limit with such a factor.
    ///
    /// The limit applies to the export. In memory, a series has up to 256 cells of 8 bytes per octave and thread,
    /// depending on the factor.
    pub const fn max_buckets(mut self, buckets: usize) -> Self {
        self.max_buckets = buckets;
        self
    }

    /// Leaves out the classic buckets.
    ///
    /// Scrapers that get the text format, as VictoriaMetrics and Prometheus without native histograms, then only see
    /// the sum and the number of observations.
    pub const fn without_classic_buckets(mut self) -> Self {
        self.has_classic = false;
        self
    }

    pub(crate) fn check(self) -> Result<NativeSpec, Error> {
        let schema = Schema::of_factor(self.factor).ok_or_else(|| {
            Error::new(format!(
                "growth factor {} of native histograms: it must be a number greater than 1, such as 1.1",
                self.factor
            ))
        })?;
        if self.max_buckets == 0 {
            return Err(Error::new(
                "max_buckets 0 of native histograms: at least 1 is needed, 160 are customary",
            ));
        }
        Ok(NativeSpec {
            schema,
            max_buckets: self.max_buckets,
            has_classic: self.has_classic,
        })
    }
}

/// A growth factor.
impl From<f64> for NativeHistogram {
    fn from(factor: f64) -> Self {
        Self::new(factor)
    }
}

/// The checked settings of a native histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NativeSpec {
    pub(crate) schema: Schema,
    pub(crate) max_buckets: usize,
    pub(crate) has_classic: bool,
}

/// A resolution of native histograms: bounds are the powers of 2^(2^-schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schema(i8);

/// Values up to this one are in the zero bucket: 2^-128.
pub(crate) const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << MANTISSA_BITS);

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

/// A bucket of [`OctaveBuckets`]: the number of its octave, and its offset in the octave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BucketPosition {
    pub(crate) octave: i32,
    pub(crate) offset: u32,
}

/// The buckets of each octave: the values above 2^octave, up to 2^(octave + 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OctaveBuckets {
    /// Removes the bits below those of the offset, see [`OFFSETS`].
    shift: u32,
}

impl OctaveBuckets {
    /// The buckets of a schema of 0 or more.
    fn of(schema: Schema) -> Self {
        let finer = Schema::MAX - schema.0;
        Self {
            shift: MANTISSA_BITS + finer as u32,
        }
    }

    /// The number of buckets of an octave.
    pub(crate) fn len(self) -> u32 {
        1 << self.schema().0
    }

    pub(crate) fn schema(self) -> Schema {
        Schema(Schema::MAX - (self.shift - MANTISSA_BITS) as i8)
    }

    /// The offset of the bucket of a sample in its octave.
    ///
    /// `below` has the bits of the next smaller float. So a sample that is a bound is in the bucket below the bound, and
    /// a power of two is in the octave below it.
    #[inline]
    pub(crate) fn offset(self, below: u64) -> u32 {
        let mantissa = below & MANTISSA;
        let part = (mantissa >> (MANTISSA_BITS - PART_BITS)) as usize;
        ((mantissa + OFFSETS[part]) >> self.shift) as u32
    }

    /// The position of a positive sample above the zero threshold.
    pub(crate) fn position(self, sample: f64) -> BucketPosition {
        if sample == f64::INFINITY {
            return BucketPosition {
                octave: 1024,
                offset: 0,
            };
        }
        let below = sample.to_bits() - 1;
        BucketPosition {
            octave: biased_octave(below) as i32 - EXPONENT_BIAS,
            offset: self.offset(below),
        }
    }

    /// The index of a bucket as Prometheus counts: the bucket with the upper bound 1 is 0.
    pub(crate) fn index(self, BucketPosition { octave, offset }: BucketPosition) -> i32 {
        octave * self.len() as i32 + offset as i32 + 1
    }
}

pub(crate) const EXPONENT_BIAS: i32 = 1023;

/// The number of the octave of a sample, plus [`EXPONENT_BIAS`]. `below` has the bits of the next smaller float.
#[inline]
pub(crate) fn biased_octave(below: u64) -> u64 {
    below >> MANTISSA_BITS
}

impl Schema {
    pub(crate) const MIN: i8 = -4;
    pub(crate) const MAX: i8 = 8;

    #[cfg(test)]
    pub(crate) fn new(schema: i8) -> Self {
        Self(schema.clamp(Self::MIN, Self::MAX))
    }

    /// The lowest schema that does not grow faster than `factor`.
    fn of_factor(factor: f64) -> Option<Self> {
        if !(factor.is_finite() && factor > 1.0) {
            return None;
        }
        let exact = -factor.log2().log2().floor();
        Some(Self(exact.clamp(Self::MIN.into(), Self::MAX.into()) as i8))
    }

    pub(crate) fn number(self) -> i8 {
        self.0
    }

    /// The schema with half the resolution; `None` for the lowest one.
    pub(crate) fn halved(self) -> Option<Self> {
        (self.0 > Self::MIN).then(|| Self(self.0 - 1))
    }

    /// The buckets to count in, and how often to halve their resolution. Buckets that are wider than an octave are
    /// joined when they are read.
    pub(crate) fn octave_buckets(self) -> (OctaveBuckets, u64) {
        let buckets = OctaveBuckets::of(Self(self.0.max(0)));
        (buckets, self.0.min(0).unsigned_abs().into())
    }

    /// The upper bound of the bucket with this index.
    pub(crate) fn bound(self, index: i32) -> f64 {
        (f64::from(index) * f64::from(-self.0).exp2()).exp2()
    }
}

/// The index of the bucket, with half the resolution, that includes the bucket `index`.
pub(crate) fn halved_index(index: i32) -> i32 {
    (index + 1) >> 1
}

/// An octave has 512 parts of the same length. Each holds at most one bound of the highest resolution.
const PART_BITS: u32 = 9;
const PARTS: usize = 1 << PART_BITS;

/// For each part of an octave, what to add to a mantissa so that the bits above it are the number of bounds up to this
/// mantissa, at the highest resolution. At a lower one, every second bound is left out, so it has one bit less.
static OFFSETS: [u64; PARTS] = offsets();

/// The mantissas of the bounds 2^(1/256) to 2^(255/256), and one above all mantissas.
const fn bounds() -> [u64; 256] {
    /// 2^(1/2) to 2^(1/256). The first is one unit in the last place too small: with it, the products are bit for bit
    /// the bounds that Prometheus has in a table.
    const FACTORS: [f64; 8] = [
        std::f64::consts::SQRT_2.next_down(),
        1.189_207_115_002_721,
        1.090_507_732_665_257_7,
        1.044_273_782_427_413_8,
        1.021_897_148_654_116_6,
        1.010_889_286_051_700_5,
        1.005_429_901_112_802_7,
        1.002_711_275_050_202_5,
    ];
    let mut bounds = [MANTISSA + 1; 256];
    let mut i = 1;
    while i < 256 {
        let (mut bound, mut bit) = (1.0, 0);
        while bit < 8 {
            if i >> (7 - bit) & 1 == 1 {
                bound *= FACTORS[bit];
            }
            bit += 1;
        }
        bounds[i - 1] = bound.to_bits() & MANTISSA;
        i += 1;
    }
    bounds
}

const fn offsets() -> [u64; PARTS] {
    let bounds = bounds();
    let mut offsets = [0; PARTS];
    let mut part = 0;
    while part < PARTS {
        let start = (part as u64) << (MANTISSA_BITS - PART_BITS);
        let mut below = 0;
        while bounds[below] < start {
            below += 1;
        }
        // A mantissa from the next bound on carries into the bits above it.
        let carry = MANTISSA + 1 - bounds[below];
        offsets[part] = ((below as u64) << MANTISSA_BITS) + carry;
        part += 1;
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(schema: i8, x: f64) -> i32 {
        let (buckets, halvings) = Schema::new(schema).octave_buckets();
        let index = buckets.index(buckets.position(x));
        (0..halvings).fold(index, |index, _| halved_index(index))
    }

    #[test]
    fn bound_belongs_to_the_bucket_below_it() {
        for schema in Schema::MIN..=Schema::MAX {
            for power in [-127, -64, -3, 0, 5, 1000] {
                let bound = 2_f64.powi(power);
                let per_octave = 2_f64.powi(schema.into());
                assert_eq!(
                    index(schema, bound),
                    (f64::from(power) * per_octave).ceil() as i32
                );
                assert!(index(schema, bound) <= index(schema, bound.next_up()));
                if schema >= 0 {
                    assert_eq!(index(schema, bound.next_up()), index(schema, bound) + 1);
                    assert_eq!(index(schema, bound.next_down()), index(schema, bound));
                }
            }
        }
    }

    #[test]
    fn bucket_has_the_bounds_of_its_schema() {
        for schema in 0..=Schema::MAX {
            let growth = 2_f64.powf(2_f64.powi((-schema).into()));
            for i in 0..100_000 {
                let x = 1e-30 * 1.0021_f64.powi(i);
                let index = f64::from(index(schema, x));
                assert!(growth.powf(index) >= x * (1.0 - 1e-9), "{schema} {x}");
                assert!(growth.powf(index - 1.0) <= x * (1.0 + 1e-9), "{schema} {x}");
            }
        }
    }

    #[test]
    fn infinity_is_in_the_bucket_after_the_largest_float() {
        for schema in Schema::MIN..=Schema::MAX {
            assert_eq!(index(schema, f64::INFINITY), index(schema, f64::MAX) + 1);
        }
        assert_eq!(index(0, f64::INFINITY), 1025);
        assert_eq!(index(3, f64::INFINITY), 8193);
    }

    #[test]
    fn halving_joins_the_buckets_of_the_lower_schema() {
        for schema in Schema::MIN + 1..=Schema::MAX {
            for i in 0..20_000 {
                let x = 1e-20 * 1.01_f64.powi(i % 9000);
                assert_eq!(
                    halved_index(index(schema, x)),
                    index(schema - 1, x),
                    "{schema} {x}"
                );
            }
        }
    }

    #[test]
    fn schema_does_not_grow_faster_than_the_factor() {
        let number = |factor| Schema::of_factor(factor).map(Schema::number);
        for (factor, schema) in [
            (1.000_1, 8),
            (1.05, 4),
            (1.1, 3),
            (1.3, 2),
            (1.5, 1),
            (2.0, 0),
            (4.0, -1),
            (1e10, -4),
        ] {
            assert_eq!(number(factor), Some(schema), "{factor}");
        }
        for factor in [1.0, 0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(number(factor), None, "{factor}");
        }
    }
}
