//! [`SummarySample`]: the observations of one series of a summary.

/// The observations of one series of a summary: quantiles, count and sum.
///
/// ```
/// use tower_prometheus::collect::SummarySample;
///
/// // Half of 1,017 observations were up to 0.004, 99 % up to 0.12.
/// let queries = SummarySample::new([(0.5, 0.004), (0.99, 0.12)], 1017, 9.3);
/// ```
///
/// The collector fails if a quantile is not between 0 and 1 or is given twice. The value of a quantile can be
/// NaN, which means that there were no observations, and so can the sum, if an observation was NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct SummarySample {
    quantiles: Vec<(f64, f64)>,
    count: u64,
    sum: f64,
}

/// A validated [`SummarySample`].
#[derive(Debug)]
pub(crate) struct CheckedSummary {
    /// By increasing quantile, each with its value.
    pub(crate) quantiles: Vec<(f64, f64)>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

impl SummarySample {
    /// Creates a sample from quantiles, each with its value.
    ///
    /// `count` and `sum` are the number and the sum of all observations. Without quantiles, a summary is a count
    /// and a sum.
    pub fn new(quantiles: impl IntoIterator<Item = (f64, f64)>, count: u64, sum: f64) -> Self {
        let quantiles = quantiles.into_iter().collect();
        Self {
            quantiles,
            count,
            sum,
        }
    }

    pub(crate) fn check(self) -> Result<CheckedSummary, String> {
        let Self {
            mut quantiles,
            count,
            sum,
        } = self;
        for (quantile, _) in &mut quantiles {
            if !(0.0..=1.0).contains(quantile) {
                return Err(format!("quantile {quantile} is not between 0 and 1"));
            }
            // Turns -0.0 into 0.0.
            *quantile += 0.0;
        }
        quantiles.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some(twice) = quantiles.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("quantile {} is given twice", twice[0].0));
        }
        Ok(CheckedSummary {
            quantiles,
            count,
            sum,
        })
    }
}
