//! [`CheckedFamily`]: a metric of a collector, validated and ready to export.

use std::sync::Arc;

use crate::collect::histogram_sample::HistogramSample;
use crate::collect::summary_sample::CheckedSummary;
use crate::model::family_unit::FamilyUnit;
use crate::model::kind::MetricKind;
use crate::model::label_text::append_state_label;
use crate::model::numbers::Number;

/// A family of a collector. Labels and counts of all series are in one allocation each, so that a family of many
/// series is built and dropped fast.
#[derive(Debug)]
pub(crate) struct CheckedFamily {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) help: Option<Arc<str>>,
    pub(crate) unit: Option<FamilyUnit>,
    /// The labels of all series, in the text format.
    labels: String,
    series: Vec<CheckedSeries>,
    /// The counts of the buckets of all histograms, `+Inf` included; not cumulative.
    counts: Vec<u64>,
    /// The finite bounds of the histograms. Consecutive series with equal bounds share one entry.
    bounds: Vec<Arc<[f64]>>,
}

#[derive(Debug)]
struct CheckedSeries {
    labels_end: usize,
    value: StoredValue,
}

#[derive(Clone, Debug)]
enum StoredValue {
    Number(Number),
    Histogram {
        /// The index of the bounds, and that of the first count.
        bounds: usize,
        first: usize,
        sum: f64,
    },
    Summary(Arc<CheckedSummary>),
}

/// The value of a series of a [`CheckedFamily`].
#[derive(Clone, Copy)]
pub(crate) enum CheckedValue<'a> {
    Number(Number),
    Histogram {
        bounds: &'a [f64],
        counts: &'a [u64],
        sum: f64,
    },
    Summary(&'a CheckedSummary),
}

impl CheckedFamily {
    pub(crate) fn new(name: String, kind: MetricKind, help: String) -> Self {
        Self {
            name,
            kind,
            help: (!help.is_empty()).then(|| help.into()),
            unit: None,
            labels: String::new(),
            series: Vec::new(),
            counts: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// Returns the family without series, and with memory for as many as it has.
    pub(crate) fn without_series(&self) -> Self {
        Self {
            name: self.name.clone(),
            kind: self.kind,
            help: self.help.clone(),
            unit: self.unit.clone(),
            labels: String::with_capacity(self.labels.len()),
            series: Vec::with_capacity(self.series.len()),
            counts: Vec::with_capacity(self.counts.len()),
            bounds: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Returns the labels of series `i` in the text format: `a="1",b="2"`.
    pub(crate) fn labels(&self, i: usize) -> &str {
        let start = i
            .checked_sub(1)
            .map_or(0, |before| self.series[before].labels_end);
        &self.labels[start..self.series[i].labels_end]
    }

    pub(crate) fn value(&self, i: usize) -> CheckedValue<'_> {
        match &self.series[i].value {
            StoredValue::Number(number) => CheckedValue::Number(*number),
            StoredValue::Histogram { bounds, first, sum } => {
                let bounds = &self.bounds[*bounds];
                CheckedValue::Histogram {
                    bounds,
                    counts: &self.counts[*first..][..bounds.len() + 1],
                    sum: *sum,
                }
            }
            StoredValue::Summary(summary) => CheckedValue::Summary(summary),
        }
    }

    /// Returns name and labels for messages.
    pub(crate) fn series_name(&self, labels: &str) -> String {
        match labels.is_empty() {
            true => self.name.clone(),
            false => format!("{}{{{labels}}}", self.name),
        }
    }

    /// Writes the labels of the next series: `write` gets the text to append to, and the name of the family. Labels
    /// that were written before and have no series are replaced.
    pub(crate) fn write_labels(
        &mut self,
        write: impl FnOnce(&mut String, &str) -> Result<(), String>,
    ) -> Result<(), String> {
        let end = self.series.last().map_or(0, |series| series.labels_end);
        self.labels.truncate(end);
        write(&mut self.labels, &self.name)
    }

    /// Appends the label of a state to the written labels.
    pub(crate) fn append_state(&mut self, state: &str) {
        let is_first = self.written_labels().is_empty();
        append_state_label(&mut self.labels, &self.name, state, is_first);
    }

    /// Returns the labels that are [written](Self::write_labels) and not of a series yet.
    pub(crate) fn written_labels(&self) -> &str {
        let end = self.series.last().map_or(0, |series| series.labels_end);
        &self.labels[end..]
    }

    pub(crate) fn push_number(&mut self, number: Number) {
        self.push(StoredValue::Number(number));
    }

    pub(crate) fn push_summary(&mut self, summary: CheckedSummary) {
        self.push(StoredValue::Summary(Arc::new(summary)));
    }

    pub(crate) fn push_histogram(&mut self, histogram: HistogramSample) -> Result<(), String> {
        let first = self.counts.len();
        let sum = histogram.add_to(&mut self.bounds, &mut self.counts)?;
        let bounds = self.bounds.len() - 1;
        self.push(StoredValue::Histogram { bounds, first, sum });
        Ok(())
    }

    /// Adds a series with the written labels.
    fn push(&mut self, value: StoredValue) {
        let labels_end = self.labels.len();
        self.series.push(CheckedSeries { labels_end, value });
    }

    /// Adds series `i` of another family with the same name.
    pub(crate) fn push_copy(&mut self, other: &Self, i: usize) {
        self.labels.push_str(other.labels(i));
        self.push_value_of(other, i);
    }

    /// Adds a series with the written labels and the value of series `i` of another family with the same name.
    pub(crate) fn push_value_of(&mut self, other: &Self, i: usize) {
        let value = match &other.series[i].value {
            StoredValue::Histogram { bounds, first, sum } => {
                let bounds = &other.bounds[*bounds];
                if self.bounds.last().is_none_or(|last| *last != *bounds) {
                    self.bounds.push(Arc::clone(bounds));
                }
                let copy = self.counts.len();
                let counts = &other.counts[*first..][..bounds.len() + 1];
                self.counts.extend_from_slice(counts);
                StoredValue::Histogram {
                    bounds: self.bounds.len() - 1,
                    first: copy,
                    sum: *sum,
                }
            }
            value => value.clone(),
        };
        self.push(value);
    }
}
