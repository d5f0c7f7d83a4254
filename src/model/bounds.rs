//! [`Buckets`]: the upper bounds of a histogram, checked once.

use std::sync::Arc;

use crate::buckets;
use crate::error::Error;

/// Finite, increasing upper bounds. The `+Inf` bucket comes after the last bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets(Arc<[f64]>);

/// What is wrong with a list of bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BoundsProblem {
    Empty,
    NotFinite(f64),
    NotIncreasing(f64, f64),
}

/// The rule for bounds, for start-up and for compile time.
pub(crate) const fn bounds_problem(bounds: &[f64]) -> Option<BoundsProblem> {
    if bounds.is_empty() {
        return Some(BoundsProblem::Empty);
    }
    let mut i = 0;
    while i < bounds.len() {
        if !bounds[i].is_finite() {
            return Some(BoundsProblem::NotFinite(bounds[i]));
        }
        if i > 0 && bounds[i - 1] >= bounds[i] {
            return Some(BoundsProblem::NotIncreasing(bounds[i - 1], bounds[i]));
        }
        i += 1;
    }
    None
}

impl Buckets {
    pub(crate) fn new(bounds: impl IntoIterator<Item = f64>) -> Result<Self, Error> {
        // Adding 0.0 turns -0.0 into 0.0, so that `le="-0"` is never exported.
        let bounds: Arc<[f64]> = bounds.into_iter().map(|bound| bound + 0.0).collect();
        let Some(problem) = bounds_problem(&bounds) else {
            return Ok(Self(bounds));
        };
        Err(Error::new(match problem {
            BoundsProblem::Empty => {
                "no bucket bounds: a histogram needs at least one finite bound".to_owned()
            }
            BoundsProblem::NotFinite(bound) => format!(
                "bucket bound {bound} is not finite: the +Inf bucket is added automatically, leave it out"
            ),
            BoundsProblem::NotIncreasing(first, second) => {
                format!("bucket bound {second} follows {first}: bounds must be in increasing order")
            }
        }))
    }

    /// The default buckets of sizes in bytes.
    pub(crate) fn bytes() -> Self {
        Self(Arc::new(buckets::BYTES))
    }

    pub(crate) fn bounds(&self) -> &[f64] {
        &self.0
    }

    /// The number of buckets, `+Inf` included.
    pub(crate) fn count(&self) -> usize {
        self.0.len() + 1
    }

    /// The index of the bucket of a sample: the first bound that is not below it.
    ///
    /// Up to 16 bounds are searched linearly: 0.6 to 1.5 ns, against 2.8 ns for a binary search.
    #[inline]
    pub(crate) fn position(&self, sample: f64) -> usize {
        const FEW: usize = 16;
        let bounds = &*self.0;
        if bounds.len() <= FEW {
            let found = bounds.iter().position(|&bound| sample <= bound);
            found.unwrap_or(bounds.len())
        } else {
            bounds.partition_point(|&bound| bound < sample)
        }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self(Arc::new(buckets::DEFAULT))
    }
}
