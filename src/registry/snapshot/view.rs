//! Views of a [`Snapshot`](super::Snapshot): families, series and values.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use metrics::Unit;

use super::values::RegistryValues;
use crate::collect::checked::{CheckedFamily, CheckedValue};
use crate::model::kind::{Instrument, MetricKind};
use crate::model::label_text::label_pairs;
use crate::model::numbers::Number;
use crate::registry::cells::CellId;
use crate::registry::exemplars::Exemplars;
use crate::registry::family::Family;
use crate::registry::index::{IndexedSeries, SeriesIndex};
use crate::registry::native::NativeBuckets;

/// A metric family of a [`Snapshot`](super::Snapshot).
#[derive(Clone, Copy)]
pub struct FamilySnapshot<'a> {
    pub(crate) source: FamilySource<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum FamilySource<'a> {
    Registry(RegistryFamily<'a>),
    Collected(&'a CheckedFamily),
}

/// A family of the registry with its values.
#[derive(Clone, Copy)]
pub(crate) struct RegistryFamily<'a> {
    pub(crate) values: &'a RegistryValues,
    pub(crate) family: &'a Family,
    pub(crate) index: &'a SeriesIndex,
}

impl<'a> FamilySnapshot<'a> {
    pub(super) fn of_registry(values: &'a RegistryValues, i: usize) -> Self {
        let (family, index) = &values.families[i];
        let source = FamilySource::Registry(RegistryFamily {
            values,
            family,
            index,
        });
        Self { source }
    }

    pub(super) fn of_collector(family: &'a CheckedFamily) -> Self {
        let source = FamilySource::Collected(family);
        Self { source }
    }

    /// Whether collectors report the metric.
    pub(crate) fn is_collected(&self) -> bool {
        matches!(self.source, FamilySource::Collected(_))
    }

    /// Returns the name of the metric.
    ///
    /// It is the exported name, after sanitizing. The name of a counter includes `_total` if the counter was
    /// registered with it.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => &family.name,
            FamilySource::Collected(family) => &family.name,
        }
    }

    /// Returns the type of the metric.
    #[must_use]
    pub fn kind(&self) -> MetricKind {
        match self.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => family.instrument.kind(),
            FamilySource::Collected(family) => family.kind,
        }
    }

    /// Returns the HELP text; `None` if the metric has no description.
    #[must_use]
    pub fn help(&self) -> Option<Arc<str>> {
        match self.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => family.metadata().help,
            FamilySource::Collected(family) => family.help.clone(),
        }
    }

    /// Returns the unit; `None` if the metric has no description, or if its description has no unit or one that
    /// [`Unit`] does not have.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        match self.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => family.metadata().unit,
            FamilySource::Collected(family) => family.unit.as_ref()?.known(),
        }
    }

    /// Returns the name of the unit, such as `seconds`; also of a collector's unit that [`Unit`] does not have.
    #[must_use]
    pub fn unit_name(&self) -> Option<&'a str> {
        match self.source {
            FamilySource::Registry(RegistryFamily { family, .. }) => {
                Some(family.metadata().unit?.as_str())
            }
            FamilySource::Collected(family) => Some(family.unit.as_ref()?.as_str()),
        }
    }

    /// Returns the number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.source {
            FamilySource::Registry(RegistryFamily { index, .. }) => index.len(),
            FamilySource::Collected(family) => family.len(),
        }
    }

    /// Returns `true` if the family has no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the series of the metric, sorted by their labels.
    pub fn series(&self) -> impl Iterator<Item = SeriesSnapshot<'a>> + use<'a> {
        let family = *self;
        (0..self.len()).map(move |i| family.get(i))
    }

    /// The approximate cost in nanoseconds of reading a value, in addition to that of finding the series.
    pub(crate) fn value_work(&self) -> usize {
        match self.source {
            FamilySource::Registry(family) => family.value_work(),
            FamilySource::Collected(_) => 0,
        }
    }

    /// Returns series `i`, which must exist.
    pub(crate) fn get(&self, i: usize) -> SeriesSnapshot<'a> {
        match self.source {
            FamilySource::Registry(family) => {
                let (prefix, series) = family.index.get(i);
                SeriesSnapshot {
                    labels: family.family.labels_of(prefix),
                    source: SeriesSource::Registry(family, series),
                }
            }
            FamilySource::Collected(family) => SeriesSnapshot {
                labels: family.labels(i),
                source: SeriesSource::Collected(family, i),
            },
        }
    }
}

/// A series of a [`FamilySnapshot`].
#[derive(Clone, Copy)]
pub struct SeriesSnapshot<'a> {
    /// The labels in the text format, with escaped values.
    labels: &'a str,
    source: SeriesSource<'a>,
}

#[derive(Clone, Copy)]
enum SeriesSource<'a> {
    Registry(RegistryFamily<'a>, &'a IndexedSeries),
    /// The index of the series in its family.
    Collected(&'a CheckedFamily, usize),
}

impl<'a> SeriesSnapshot<'a> {
    /// Returns the names and values of the labels, sorted by name. Constant labels are included.
    ///
    /// The label of a state set that has the state is the last.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        label_pairs(self.labels).map(|(name, value)| (name, unescaped(value)))
    }

    /// Returns the labels in the text format, with escaped values.
    pub(crate) fn label_text(&self) -> &'a str {
        self.labels
    }

    /// Returns the time when the series was registered; `None` for a series of a collector.
    #[must_use]
    pub fn created(&self) -> Option<SystemTime> {
        match self.source {
            SeriesSource::Registry(_, series) => Some(series.created()),
            SeriesSource::Collected(..) => None,
        }
    }

    /// Returns the value of the series.
    ///
    /// Gauges of the registry, quantiles and exemplars are read now, not when the snapshot was taken.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        match self.source {
            SeriesSource::Registry(family, series) => family.value(series),
            SeriesSource::Collected(family, i) => collected_value(family, i),
        }
    }
}

fn collected_value(family: &CheckedFamily, i: usize) -> Value<'_> {
    match (family.value(i), family.kind) {
        (CheckedValue::Number(number), MetricKind::Counter) => Value::Counter(number),
        (CheckedValue::Number(_), MetricKind::Info) => Value::Info,
        (CheckedValue::Number(number), MetricKind::StateSet) => {
            Value::State(number == Number::Integer(1))
        }
        (CheckedValue::Number(number), _) => Value::Gauge(number),
        (
            CheckedValue::Histogram {
                bounds,
                counts,
                sum,
            },
            _,
        ) => Value::Histogram(HistogramValue {
            bounds,
            counts: counts.into(),
            sum,
            native: None,
            exemplars: None,
        }),
        (CheckedValue::Summary(summary), _) => Value::Summary(SummaryValue {
            count: summary.count,
            sum: summary.sum,
            quantiles: summary.quantiles.clone(),
        }),
    }
}

impl<'a> RegistryFamily<'a> {
    /// See [`FamilySnapshot::value_work`].
    pub(crate) fn value_work(self) -> usize {
        match self.family.instrument {
            Instrument::InProgress => self.values.in_progress_work(),
            Instrument::Histogram => self.family.native_work(),
            // Merges the sketches.
            #[cfg(feature = "summary")]
            Instrument::Summary => 1500,
            _ => 0,
        }
    }

    /// Returns the counts of the classic buckets of a histogram, not cumulative: at least that of `+Inf`.
    pub(crate) fn counts(self, first: CellId, native: Option<&NativeBuckets>) -> Cow<'a, [u64]> {
        match self.family.classic_buckets() {
            Some(buckets) => self.values.buckets(first, buckets.count()).into(),
            None => vec![native.map_or(0, NativeBuckets::count)].into(),
        }
    }

    fn value(self, series: &IndexedSeries) -> Value<'a> {
        let Self { values, family, .. } = self;
        let cells = series.cells;
        match family.instrument {
            Instrument::Counter => Value::Counter(Number::Integer(values.count(cells.cell))),
            Instrument::FloatCounter => Value::Counter(Number::Float(values.sum(cells.sum))),
            Instrument::Gauge => Value::Gauge(Number::Float(values.gauge(cells.cell))),
            Instrument::InProgress => Value::Gauge(Number::Integer(values.in_progress(cells.cell))),
            Instrument::Info => Value::Info,
            Instrument::StateSet => Value::State(values.is_current_state(cells)),
            Instrument::Histogram => {
                let native = values.native(family, cells.cell);
                Value::Histogram(HistogramValue {
                    bounds: family.exported_bounds(),
                    counts: self.counts(cells.cell, native.as_ref()),
                    sum: values.sum(cells.sum),
                    native,
                    exemplars: family.exemplars(cells.cell),
                })
            }
            #[cfg(feature = "summary")]
            Instrument::Summary => Value::Summary(SummaryValue {
                count: values.count(cells.cell),
                sum: values.sum(cells.sum),
                quantiles: family.quantiles(cells.cell),
            }),
        }
    }
}

/// The value of a series.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// The value of a counter.
    Counter(Number),
    /// The value of a gauge.
    Gauge(Number),
    /// The observations of a histogram.
    Histogram(HistogramValue<'a>),
    /// The observations of a summary.
    Summary(SummaryValue),
    /// An info, whose value is always 1.
    Info,
    /// One state of a state set: whether it is the current state, exported as 1 or 0.
    State(bool),
}

/// The observations of a histogram.
#[derive(Clone)]
pub struct HistogramValue<'a> {
    bounds: &'a [f64],
    /// The number of observations of each bucket, not cumulative.
    counts: Cow<'a, [u64]>,
    sum: f64,
    native: Option<NativeBuckets>,
    exemplars: Option<Arc<Exemplars>>,
}

impl HistogramValue<'_> {
    /// Returns the number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Returns the native buckets; `None` if the histogram has only classic ones.
    #[must_use]
    pub fn native(&self) -> Option<&NativeBuckets> {
        self.native.as_ref()
    }

    /// Whether the histogram has classic buckets. Beside native buckets, `+Inf` alone does not count.
    pub(crate) fn has_classic(&self) -> bool {
        self.native.is_none() || !self.bounds.is_empty()
    }

    /// The number of buckets: all classic ones, and the native ones with observations.
    pub(crate) fn bucket_count(&self) -> usize {
        self.counts.len() + self.native.as_ref().map_or(0, NativeBuckets::len)
    }

    /// The latest exemplars of all buckets, at most `max`.
    pub(crate) fn latest_exemplars(&self, max: usize) -> Vec<Exemplar> {
        let exemplars = self.exemplars.iter().flat_map(|exemplars| exemplars.iter());
        let mut exemplars: Vec<_> = exemplars.collect();
        exemplars.sort_by_key(|exemplar| std::cmp::Reverse(exemplar.timestamp));
        exemplars.truncate(max);
        exemplars
    }

    /// Returns the sum of all finite observations, in the unit of the metric.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Returns the buckets by increasing upper bound; the last is `+Inf`.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let mut cumulative_count = 0_u64;
        bounds
            .zip(&*self.counts)
            .enumerate()
            .map(move |(i, (upper_bound, count))| {
                cumulative_count = cumulative_count.saturating_add(*count);
                let exemplars = self.exemplars.as_ref().filter(|_| *count > 0);
                Bucket {
                    upper_bound,
                    cumulative_count,
                    exemplar: exemplars.and_then(|exemplars| match self.bounds {
                        // A histogram with only native buckets has exemplars by octave.
                        [] => exemplars.latest(),
                        _ => exemplars.get(i),
                    }),
                }
            })
    }
}

/// A bucket of a [`HistogramValue`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bucket {
    /// The inclusive upper bound, exported as the label `le`.
    pub upper_bound: f64,
    /// The number of observations up to the upper bound, including those of lower buckets.
    pub cumulative_count: u64,
    /// A recent observation of this bucket that belongs to a trace, replaced at most once per second.
    pub exemplar: Option<Exemplar>,
}

pub use crate::registry::exemplars::Exemplar;

/// The observations of a summary.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SummaryValue {
    /// The number of observations.
    pub count: u64,
    /// The sum of all finite observations, in the unit of the metric.
    pub sum: f64,
    /// The quantiles, each with its value, by increasing quantile.
    ///
    /// A summary of the registry has the quantiles 0.5, 0.9, 0.95 and 0.99 of the last 8 to 10 minutes, unless
    /// [`quantiles`](crate::RegistryBuilder#method.quantiles) or
    /// [`summary_window`](crate::RegistryBuilder#method.summary_window) are set. The value is NaN without observations
    /// in that time. Its relative error is at most 1 %; the quantiles 0 and 1 are exact. A summary of a collector has
    /// the quantiles that the collector returned.
    pub quantiles: Vec<(f64, f64)>,
}

/// Reverses the escaping of a label value in the text formats.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return value.into();
    }
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(escaped) => escaped,
                None => c,
            },
            c => c,
        });
    }
    text.into()
}

impl fmt::Debug for FamilySnapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FamilySnapshot")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SeriesSnapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesSnapshot")
            .field("labels", &self.labels)
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HistogramValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramValue")
            .field("count", &self.count())
            .field("sum", &self.sum)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn label_values_are_unescaped() {
        for (escaped, value) in [
            ("plain", "plain"),
            (r"a\\b", r"a\b"),
            (r#"say \"hi\""#, r#"say "hi""#),
            (r"two\nlines", "two\nlines"),
            (r"\\n", r"\n"),
        ] {
            assert_eq!(unescaped(escaped), value);
        }
    }
}
