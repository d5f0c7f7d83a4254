//! [`Quantiles`]: the quantiles of a summary, checked once.

use std::sync::Arc;

use crate::error::Error;

/// Increasing quantiles from 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Quantiles(Arc<[f64]>);

/// The quantiles of a summary for which no others are set.
const DEFAULT: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

impl Quantiles {
    pub(crate) fn new(quantiles: impl IntoIterator<Item = f64>) -> Result<Self, Error> {
        // Adding 0.0 turns -0.0 into 0.0, so that `quantile="-0"` is never exported.
        let quantiles: Arc<[f64]> = quantiles.into_iter().map(|q| q + 0.0).collect();
        if quantiles.is_empty() {
            return Err(Error::new(
                "no quantiles: a summary needs at least one, such as 0.99",
            ));
        }
        if let Some(q) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Error::new(format!(
                "quantile {q} is not from 0 to 1; the 99th percentile is 0.99"
            )));
        }
        if let Some(pair) = quantiles.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::new(format!(
                "quantile {} follows {}: quantiles must be in increasing order",
                pair[1], pair[0]
            )));
        }
        Ok(Self(quantiles))
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }
}

impl Default for Quantiles {
    fn default() -> Self {
        Self(Arc::new(DEFAULT))
    }
}
