//! [`ProtobufWriter`]: writes the protobuf format, a `MetricFamily` message for each family.
//!
//! Each message has its length before it. The numbers of the fields are those of Prometheus' `metrics.proto`.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;

use crate::budget::Budget;
use crate::exposition::escaping::{EscapingScheme, FamilyNames, UsedNames};
use crate::exposition::wire::Message;
use crate::model::kind::MetricKind;
use crate::model::native::ZERO_THRESHOLD;
use crate::registry::exemplars::Exemplars;
use crate::registry::native::NativeBuckets;
use crate::registry::snapshot::{
    Exemplar, FamilySnapshot, FamilySource, HistogramValue, RegistryFamily, SeriesSnapshot,
    Snapshot, SummaryValue, Value,
};

/// A writer that encodes a snapshot, a slice at a time.
pub(crate) struct ProtobufWriter {
    snapshot: Snapshot,
    /// The escaping scheme that the scraper names.
    scheme: Option<EscapingScheme>,
    /// The position of the current family in the snapshot.
    family: usize,
    /// The next series of the current family.
    series: usize,
    /// The message of the current family. Its length comes before its bytes, so it is sent when it is complete.
    message: Message,
    /// The names of the current family that are not the exported ones.
    names: Option<FamilyNames>,
    used_names: UsedNames,
    /// Complete messages that are not sent yet.
    ready: Bytes,
}

/// The approximate costs of a series and of a bucket in nanoseconds.
const SERIES: usize = 250;
const BUCKET: usize = 10;

/// The maximum size of a slice in bytes.
const SLICE: usize = 64 * 1024;

impl ProtobufWriter {
    pub(crate) fn new(snapshot: Snapshot, scheme: Option<EscapingScheme>) -> Self {
        Self {
            snapshot,
            scheme,
            family: 0,
            series: 0,
            message: Message::default(),
            names: None,
            used_names: UsedNames::default(),
            ready: Bytes::new(),
        }
    }

    /// Returns the next slice, which is empty if the budget is spent before a family is complete, and whether it is the
    /// last.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> (Bytes, bool) {
        if self.ready.is_empty() {
            self.encode(budget);
        }
        let slice = self.ready.split_to(self.ready.len().min(SLICE));
        let is_last = self.ready.is_empty() && self.family == self.snapshot.order.len();
        (slice, is_last)
    }

    /// Encodes families until they fill a slice or the budget is spent.
    fn encode(&mut self, budget: &mut Budget) {
        let snapshot = self.snapshot.clone();
        let mut ready = Vec::new();
        while let Some(position) = snapshot.order.get(self.family)
            && ready.len() < SLICE
            && !budget.is_spent()
        {
            let family = snapshot.at(*position);
            if !family.is_empty() {
                if !self.encode_series(&family, budget) {
                    break;
                }
                let message = self.message.take_delimited();
                match ready.is_empty() {
                    true => ready = message,
                    false => ready.extend(message),
                }
            }
            self.family += 1;
            self.series = 0;
        }
        self.ready = ready.into();
    }

    /// Encodes series of a family until the budget is spent. Returns whether all are encoded.
    fn encode_series(&mut self, family: &FamilySnapshot<'_>, budget: &mut Budget) -> bool {
        if self.series == 0 {
            self.names = self.names_of(family);
            let names = self.names.as_ref();
            let name = names.map_or(family.name(), FamilyNames::metric);
            write_metadata(&mut self.message, name, family);
        }
        // Prometheus 2.42 hangs on exemplars; 3.0 names a scheme.
        let exemplars = self.scheme.is_some();
        while self.series < family.len() {
            if budget.is_spent() {
                return false;
            }
            let series = family.get(self.series);
            self.series += 1;
            budget.spend(SERIES + family.value_work());
            let names = match (&self.names, family.source) {
                (Some(names), FamilySource::Registry(RegistryFamily { family, .. })) => {
                    names.label_names(family, series.label_text())
                }
                _ => Vec::new(),
            };
            self.message.message(4, |metric| {
                write_labels(metric, &series, &names);
                write_value(metric, &series, exemplars, budget);
            });
        }
        true
    }

    fn names_of(&mut self, family: &FamilySnapshot<'_>) -> Option<FamilyNames> {
        let FamilySource::Registry(RegistryFamily { family, .. }) = family.source else {
            return None;
        };
        FamilyNames::new(family, self.scheme, &self.snapshot, &mut self.used_names)
    }
}

fn write_metadata(message: &mut Message, name: &str, family: &FamilySnapshot<'_>) {
    message.text(1, name);
    if let Some(help) = family.help() {
        message.text(2, &help);
    }
    message.uint(
        3,
        match family.kind() {
            MetricKind::Counter => 0,
            MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => 1,
            MetricKind::Summary => 2,
            MetricKind::Histogram => 4,
        },
    );
}

/// Writes the labels of a series. `names` are those that are not the exported ones; empty if all are.
fn write_labels(metric: &mut Message, series: &SeriesSnapshot<'_>, names: &[Cow<'_, str>]) {
    for (i, (exported, value)) in series.labels().enumerate() {
        let name = names.get(i).map_or(exported, |name| name);
        metric.message(1, |label| {
            label.text(1, name);
            label.text(2, &value);
        });
    }
}

fn write_value(
    metric: &mut Message,
    series: &SeriesSnapshot<'_>,
    exemplars: bool,
    budget: &mut Budget,
) {
    let created = series.created();
    match series.value() {
        Value::Gauge(number) => metric.message(2, |gauge| gauge.double(1, number.as_f64())),
        Value::Info => metric.message(2, |gauge| gauge.double(1, 1.0)),
        Value::State(is_current) => {
            metric.message(2, |gauge| gauge.double(1, f64::from(is_current)));
        }
        Value::Counter(number) => metric.message(3, |counter| {
            counter.double(1, number.as_f64());
            write_timestamp(counter, 3, created);
        }),
        Value::Summary(summary) => {
            metric.message(4, |message| write_summary(message, &summary, created));
        }
        Value::Histogram(histogram) => metric.message(7, |message| {
            budget.spend(BUCKET * histogram.bucket_count());
            write_histogram(message, &histogram, created, exemplars);
        }),
    }
}

fn write_summary(message: &mut Message, summary: &SummaryValue, created: Option<SystemTime>) {
    message.uint(1, summary.count);
    message.double(2, summary.sum);
    for (quantile, value) in &summary.quantiles {
        message.message(3, |message| {
            message.double(1, *quantile);
            message.double(2, *value);
        });
    }
    write_timestamp(message, 4, created);
}

fn write_histogram(
    message: &mut Message,
    histogram: &HistogramValue<'_>,
    created: Option<SystemTime>,
    exemplars: bool,
) {
    let native = histogram.native();
    // Prometheus rejects a native histogram whose count is not that of its native buckets.
    let count = native.map_or_else(|| histogram.count(), NativeBuckets::count);
    message.uint(1, count);
    message.double(2, histogram.sum());
    // Scrapers add the bucket `+Inf` themselves. It is only written for its exemplar, as in client_golang.
    let writes_infinity = exemplars && histogram.has_classic();
    for bucket in histogram.buckets().filter(|bucket| {
        bucket.upper_bound.is_finite() || (writes_infinity && bucket.exemplar.is_some())
    }) {
        message.message(3, |message| {
            // Classic and native buckets are counted separately, so they can differ. `+Inf` has all observations.
            message.uint(
                1,
                match bucket.upper_bound.is_finite() {
                    true => bucket.cumulative_count.min(count),
                    false => count,
                },
            );
            message.double(2, bucket.upper_bound);
            if let Some(exemplar) = bucket.exemplar.filter(|_| exemplars) {
                message.message(3, |message| write_exemplar(message, &exemplar));
            }
        });
    }
    let Some(native) = native else {
        return write_timestamp(message, 15, created);
    };
    message.sint(5, native.schema.number().into());
    message.double(6, ZERO_THRESHOLD);
    message.uint(7, native.zero_count);
    write_buckets(message, 9, &native.negative);
    write_buckets(message, 12, &native.positive);
    write_timestamp(message, 15, created);
    if exemplars {
        for exemplar in histogram.latest_exemplars(Exemplars::NATIVE) {
            message.message(16, |message| write_exemplar(message, &exemplar));
        }
    }
}

/// Writes the buckets of one sign: spans in the field `spans`, and the counts, each as the difference to the one before
/// it, in the next field.
fn write_buckets(message: &mut Message, spans: u32, buckets: &[(i32, u64)]) {
    let (lengths, counts) = spans_of(buckets);
    for (offset, length) in lengths {
        message.message(spans, |span| {
            span.sint(1, offset.into());
            span.uint(2, length);
        });
    }
    if !counts.is_empty() {
        let before = [0].into_iter().chain(counts.iter().copied());
        let deltas = counts
            .iter()
            .zip(before)
            .map(|(count, before)| count.wrapping_sub(before) as i64);
        message.packed_sints(spans + 1, deltas);
    }
}

/// Returns runs of adjacent buckets, each with the number of buckets since the run before it and its length, and the
/// counts of all of them. A gap of one or two buckets does not end a run: empty buckets take less space than a new run.
fn spans_of(buckets: &[(i32, u64)]) -> (Vec<(i32, u64)>, Vec<u64>) {
    const SMALL_GAP: i32 = 2;
    let mut spans: Vec<(i32, u64)> = Vec::new();
    let mut counts = Vec::with_capacity(buckets.len());
    let mut next = 0;
    for (index, count) in buckets {
        let gap = index - next;
        match spans.last_mut() {
            Some((_, length)) if gap <= SMALL_GAP => {
                counts.extend((0..gap).map(|_| 0));
                *length += gap as u64 + 1;
            }
            _ => spans.push((gap, 1)),
        }
        counts.push(*count);
        next = index + 1;
    }
    (spans, counts)
}

fn write_exemplar(message: &mut Message, exemplar: &Exemplar) {
    message.message(1, |label| {
        label.text(1, "trace_id");
        label.text(2, &exemplar.trace_id.to_string());
    });
    message.double(2, exemplar.value);
    write_timestamp(message, 3, Some(exemplar.timestamp));
}

fn write_timestamp(message: &mut Message, field: u32, time: Option<SystemTime>) {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since) = since {
        message.message(field, |message| {
            message.uint(1, since.as_secs());
            message.uint(2, since.subsec_nanos().into());
        });
    }
}
