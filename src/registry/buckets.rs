//! Bucket bounds, checked once.

use std::sync::Arc;

use super::cells::Address;
use crate::Error;

/// Prometheus' own default bounds, in seconds: 5 ms to 10 s.
const DEFAULT: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Finite upper bounds in rising order; the `+Inf` bucket comes after the last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets(Arc<[f64]>);

impl Buckets {
    pub(crate) fn new(bounds: impl IntoIterator<Item = f64>) -> Result<Self, Error> {
        // Adding 0.0 turns -0.0 into 0.0, so that `le="-0"` never appears.
        let bounds: Arc<[f64]> = bounds.into_iter().map(|bound| bound + 0.0).collect();
        if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
            return Err(Error::new(format!(
                "bucket bound {bound} is not a finite number: the +Inf bucket is added by itself"
            )));
        }
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (first, second) = (pair[0], pair[1]);
            return Err(Error::new(format!(
                "bucket bound {second} comes after {first}: bounds must rise"
            )));
        }
        if bounds.is_empty() {
            return Err(Error::new(
                "no bucket bounds: a histogram needs at least one finite bound",
            ));
        }
        Ok(Self(bounds))
    }

    pub(crate) fn bounds(&self) -> &[f64] {
        &self.0
    }

    /// Finite buckets and `+Inf`.
    pub(crate) fn count(&self) -> usize {
        self.0.len() + 1
    }

    /// The cell of a sample's bucket, where the first bucket's is at `first`.
    #[inline]
    pub(super) fn address(&self, first: Address, sample: f64) -> Address {
        first.plus(self.position(sample) as u32)
    }

    /// The bucket of a sample, by its `le` rule: the first bound that is not below it.
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
        Self(Arc::new(DEFAULT))
    }
}

/// Which bounds a histogram gets: those of its name, else of its longest prefix, else the default.
#[derive(Clone, Debug, Default)]
pub(super) struct BucketRules {
    pub(super) default: Buckets,
    pub(super) by_name: Vec<(String, Buckets)>,
    pub(super) by_prefix: Vec<(String, Buckets)>,
}

impl BucketRules {
    pub(super) fn of(&self, family: &str) -> Buckets {
        let Self {
            default,
            by_name,
            by_prefix,
        } = self;
        let exact = by_name.iter().find(|(name, _)| name == family);
        let longest = || {
            let fitting = by_prefix.iter().filter(|rule| family.starts_with(&rule.0));
            fitting.max_by_key(|(prefix, _)| prefix.len())
        };
        let rule = exact.or_else(longest);
        rule.map_or_else(|| default.clone(), |(_, buckets)| buckets.clone())
    }
}
