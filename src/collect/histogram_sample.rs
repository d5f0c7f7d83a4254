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
///
/// The sum can be NaN, as it is in other libraries once an observation was NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    buckets: Vec<(f64, u64)>,
    count: u64,
    sum: f64,
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

    /// Validates the sample. Adds its counts, not cumulative, and its finite bounds, if they are not the last of
    /// `bounds` already. Returns the sum.
    pub(crate) fn add_to(
        self,
        bounds: &mut Vec<Arc<[f64]>>,
        counts: &mut Vec<u64>,
    ) -> Result<f64, String> {
        let Self {
            mut buckets,
            count,
            sum,
        } = self;
        if let Some((bound, last)) = buckets.last()
            && *bound == f64::INFINITY
        {
            if *last != count {
                return Err(format!(
                    "the bucket of +Inf has {last} observations and the count is {count}; they must be equal"
                ));
            }
            buckets.pop();
        }
        add_bounds(&buckets, bounds)?;
        add_counts(&buckets, count, counts)?;
        Ok(sum)
    }
}

/// Adds the bounds, if they are not the last already.
fn add_bounds(buckets: &[(f64, u64)], known: &mut Vec<Arc<[f64]>>) -> Result<(), String> {
    // Adding 0.0 turns -0.0 into 0.0, so that `le="-0"` is never exported.
    let bounds = buckets.iter().map(|(bound, _)| bound + 0.0);
    if let Some(last) = known.last()
        && bounds.clone().eq(last.iter().copied())
    {
        return Ok(());
    }
    let bounds: Arc<[f64]> = bounds.collect();
    match bounds_problem(&bounds) {
        // With `+Inf` only, the histogram is a count and a sum.
        None | Some(BoundsProblem::Empty) => {
            known.push(bounds);
            Ok(())
        }
        Some(BoundsProblem::NotFinite(bound)) => Err(format!(
            "bucket bound {bound} is not finite; only the last bound may be +Inf"
        )),
        Some(BoundsProblem::NotIncreasing(first, second)) => Err(format!(
            "bucket bound {second} follows {first}; bounds must be in increasing order"
        )),
    }
}

/// Adds the number of observations of each bucket, `+Inf` included, from cumulative ones.
fn add_counts(buckets: &[(f64, u64)], count: u64, counts: &mut Vec<u64>) -> Result<(), String> {
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
    Ok(())
}
