//! [`HistogramSample`]: the observations of one series of a histogram.

use std::sync::Arc;

use crate::model::bounds::{BoundsProblem, bounds_problem};

/// The observations of one series of a histogram: buckets, count and sum.
///
/// ```
/// use tower_prometheus::collect::HistogramSample;
///
/// // 3 observations up to 0.1, 8 up to 1, and 9 in all.
/// let waits = HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5);
/// // A bucket for +Inf is optional.
/// let same = HistogramSample::cumulative([(0.1, 3), (1.0, 8), (f64::INFINITY, 9)], 9, 4.5);
/// ```
///
/// The collector fails if:
///
/// - the upper bounds are not in increasing order, or one is NaN or `-Inf`
/// - a bucket has fewer observations than the one before it, or more than `count`
/// - the bucket of `+Inf` has not `count` observations
/// - the sum is NaN
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    buckets: Vec<(f64, u64)>,
    count: u64,
    sum: f64,
}

/// A validated [`HistogramSample`].
#[derive(Debug)]
pub(crate) struct CheckedHistogram {
    /// Without `+Inf`. Series of a family with the same bounds share them.
    pub(crate) bounds: Arc<[f64]>,
    /// One per bucket, `+Inf` included; not cumulative.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl HistogramSample {
    /// Creates a sample from cumulative buckets: each upper bound with the number of observations up to it,
    /// including those of lower buckets.
    ///
    /// `count` and `sum` are the number and the sum of all observations. The bucket of `+Inf` has `count`
    /// observations; it may be left out of `buckets`.
    pub fn cumulative(buckets: impl IntoIterator<Item = (f64, u64)>, count: u64, sum: f64) -> Self {
        let buckets = buckets.into_iter().collect();
        Self {
            buckets,
            count,
            sum,
        }
    }

    /// Validates the sample. `bounds` are those of another series of the family.
    pub(crate) fn check(mut self, bounds: Option<&Arc<[f64]>>) -> Result<CheckedHistogram, String> {
        let Self { count, sum, .. } = self;
        if let Some((bound, last)) = self.buckets.last()
            && *bound == f64::INFINITY
        {
            if *last != count {
                return Err(format!(
                    "the bucket of +Inf has {last} observations and the count is {count}; they must be equal"
                ));
            }
            self.buckets.pop();
        }
        if sum.is_nan() {
            return Err("the sum is NaN; leave out observations that are NaN".to_owned());
        }
        let bounds = shared_bounds(&self.buckets, bounds)?;
        let counts = bucket_counts(&self.buckets, count)?;
        Ok(CheckedHistogram {
            bounds,
            counts,
            sum,
        })
    }
}

/// Returns the bounds; those of another series if they are equal.
fn shared_bounds(buckets: &[(f64, u64)], other: Option<&Arc<[f64]>>) -> Result<Arc<[f64]>, String> {
    // Adding 0.0 turns -0.0 into 0.0, so that `le="-0"` is never exported.
    let bounds = buckets.iter().map(|(bound, _)| bound + 0.0);
    if let Some(other) = other
        && bounds.clone().eq(other.iter().copied())
    {
        return Ok(Arc::clone(other));
    }
    let bounds: Arc<[f64]> = bounds.collect();
    match bounds_problem(&bounds) {
        // With `+Inf` only, the histogram is a count and a sum.
        None | Some(BoundsProblem::Empty) => Ok(bounds),
        Some(BoundsProblem::NotFinite(bound)) => Err(format!(
            "bucket bound {bound} is not finite; only the last bound may be +Inf"
        )),
        Some(BoundsProblem::NotIncreasing(first, second)) => Err(format!(
            "bucket bound {second} follows {first}; bounds must be in increasing order"
        )),
    }
}

/// Returns the number of observations of each bucket, `+Inf` included, from cumulative ones.
fn bucket_counts(buckets: &[(f64, u64)], count: u64) -> Result<Vec<u64>, String> {
    let mut counts = Vec::with_capacity(buckets.len() + 1);
    let mut before = 0;
    for (bound, cumulative) in buckets {
        let Some(own) = cumulative.checked_sub(before) else {
            return Err(format!(
                "bucket {bound} has {cumulative} observations and the bucket before it {before}; counts must be \
                 cumulative"
            ));
        };
        counts.push(own);
        before = *cumulative;
    }
    let Some(above) = count.checked_sub(before) else {
        return Err(format!(
            "the last bucket has {before} observations and the count is {count}; counts must be cumulative"
        ));
    };
    counts.push(above);
    Ok(counts)
}
