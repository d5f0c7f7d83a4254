//! [`FamilySamples`]: a metric in [`Samples`](super::Samples), to which samples are added.

use std::marker::PhantomData;

use metrics::Unit;

use crate::collect::histogram_sample::HistogramSample;
use crate::collect::sample_value::SampleValue;
use crate::collect::sampled::SampledFamily;
use crate::collect::summary_sample::SummarySample;
use crate::model::family_unit::FamilyUnit;

/// A metric in [`Samples`](super::Samples), to which samples are added.
///
/// `V` is what a sample of the metric consists of, so that a histogram cannot get a plain number:
///
/// | metric | `V` |
/// |---|---|
/// | counter, gauge | [`SampleValue`], to which numbers are converted |
/// | histogram | [`HistogramSample`] |
/// | summary | [`SummarySample`] |
#[derive(Debug)]
pub struct FamilySamples<'a, V = SampleValue> {
    family: &'a mut SampledFamily,
    value: PhantomData<V>,
}

impl<'a, V> FamilySamples<'a, V> {
    pub(crate) fn new(family: &'a mut SampledFamily) -> Self {
        let value = PhantomData;
        Self { family, value }
    }

    /// Sets the unit, which OpenMetrics exports as `UNIT`.
    ///
    /// It is exported if it is seconds, bytes or percent and the name, without `_total`, ends with it. Other units,
    /// such as milliseconds, are not exported.
    pub fn unit(&mut self, unit: Unit) -> &mut Self {
        self.family.family.unit = Some(FamilyUnit::Known(unit));
        self
    }

    /// Sets a unit that [`Unit`] does not have, by its name: `volts`.
    ///
    /// It is exported if the name of the metric, without `_total`, ends with it. Names of units that [`Unit`] has, such
    /// as `milliseconds`, are as in [`unit`](Self::unit): only `seconds`, `bytes` and `percent` are exported.
    pub fn unit_name(&mut self, name: &str) -> &mut Self {
        self.family.family.unit = Some(FamilyUnit::of_name(name));
        self
    }
}

/// Samples of a counter or a gauge.
impl FamilySamples<'_> {
    /// Adds a sample without labels.
    pub fn value(&mut self, value: impl Into<SampleValue>) -> &mut Self {
        self.sample(&[], value)
    }

    /// Adds a sample with labels. Their order does not matter.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<SampleValue>) -> &mut Self {
        if let Some(number) = value.into().0 {
            self.family.push_number(labels, number);
        }
        self
    }
}

/// Samples of a histogram.
impl FamilySamples<'_, HistogramSample> {
    /// Adds a histogram without labels.
    pub fn value(&mut self, value: HistogramSample) -> &mut Self {
        self.sample(&[], value)
    }

    /// Adds a histogram with labels. Their order does not matter. A label `le` is an error.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: HistogramSample) -> &mut Self {
        self.family.push_histogram(labels, value);
        self
    }
}

/// Samples of a summary.
impl FamilySamples<'_, SummarySample> {
    /// Adds a summary without labels.
    pub fn value(&mut self, value: SummarySample) -> &mut Self {
        self.sample(&[], value)
    }

    /// Adds a summary with labels. Their order does not matter. A label `quantile` is an error.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: SummarySample) -> &mut Self {
        self.family.push_summary(labels, value);
        self
    }
}

/// A state set in [`Samples`](super::Samples), to which samples are added.
#[derive(Debug)]
pub struct StateSetSamples<'a>(pub(crate) &'a mut SampledFamily);

impl StateSetSamples<'_> {
    /// Adds a state set without labels: all `states`, and the `current` one of them.
    pub fn value(&mut self, states: &[&str], current: &str) -> &mut Self {
        self.sample(&[], states, current)
    }

    /// Adds a state set with labels: all `states`, and the `current` one of them.
    ///
    /// The order of labels and states does not matter. A label with the name of the metric is an error.
    pub fn sample(&mut self, labels: &[(&str, &str)], states: &[&str], current: &str) -> &mut Self {
        self.0.push_states(labels, states, current);
        self
    }
}
