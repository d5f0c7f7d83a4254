//! [`SampledFamily`]: a family as a collector added it.

use metrics::Unit;

use crate::collect::histogram_sample::HistogramSample;
use crate::collect::summary_sample::SummarySample;
use crate::model::kind::MetricKind;
use crate::model::numbers::Number;

/// A family as a collector added it.
#[derive(Debug)]
pub(crate) struct SampledFamily {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
    pub(crate) samples: Vec<(Labels, Sampled)>,
}

pub(crate) type Labels = Vec<(String, String)>;

/// The value of a series as a collector added it.
#[derive(Debug)]
pub(crate) enum Sampled {
    Number(Number),
    Histogram(HistogramSample),
    Summary(SummarySample),
    /// All states, and the index of the current state; `Err` with its name if it is not among them.
    States(Vec<String>, Result<usize, String>),
}

impl SampledFamily {
    pub(crate) fn push(&mut self, labels: &[(&str, &str)], value: Sampled) {
        let labels = labels.iter();
        let owned = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.samples.push((owned.collect(), value));
    }
}
