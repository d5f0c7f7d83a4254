//! [`NativeReading`]: the native buckets of a histogram, sent in their own resolution.

use std::fmt::Write as _;

use tower_prometheus::snapshot::{HistogramValue, NativeBucket};

use crate::numbers::write_number;

/// The value of a histogram with native buckets.
#[derive(Debug)]
pub(crate) struct NativeReading {
    schema: i8,
    sum: f64,
    zero: u64,
    /// Indexes and counts, by rising index.
    positive: Vec<(i32, u64)>,
    negative: Vec<(i32, u64)>,
}

impl NativeReading {
    /// Reads the native buckets; `None` if there are only classic ones.
    pub(crate) fn of(histogram: &HistogramValue<'_>) -> Option<Self> {
        let native = histogram.native()?;
        let pair = |bucket: NativeBucket| (bucket.index, bucket.count);
        Some(Self {
            schema: native.schema(),
            sum: histogram.sum(),
            zero: native.zero_count(),
            positive: native.positive().map(pair).collect(),
            negative: native.negative().map(pair).collect(),
        })
    }

    /// Whether two values are the same, also if the sum is NaN.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.sum.to_bits() == other.sum.to_bits()
            && self.zero == other.zero
            && self.positive == other.positive
            && self.negative == other.negative
    }

    /// The approximate memory in units of a number.
    pub(crate) fn size(&self) -> usize {
        14 + 2 * (self.positive.len() + self.negative.len())
    }

    /// Writes the buckets that differ from a value before; all of them, and the schema, without one or if the
    /// resolution changed.
    pub(crate) fn write(&self, before: Option<&Self>, line: &mut String) {
        let before = before.filter(|before| before.schema == self.schema);
        line.push('{');
        if before.is_none() {
            push(line, format_args!("\"schema\":{},", self.schema));
        }
        line.push_str("\"sum\":");
        write_number(line, self.sum);
        push(line, format_args!(",\"zero\":{}", self.zero));
        let [positive, negative] = before.map_or([&[][..]; 2], |it| [&it.positive, &it.negative]);
        write_changes(line, "positive", positive, &self.positive);
        write_changes(line, "negative", negative, &self.negative);
        line.push('}');
    }
}

/// Writes the buckets whose count changed. Buckets are never removed while the resolution is the same.
fn write_changes(line: &mut String, name: &str, before: &[(i32, u64)], now: &[(i32, u64)]) {
    let mut before = before.iter().peekable();
    let changed = now.iter().filter(|bucket| {
        while before.next_if(|(index, _)| *index < bucket.0).is_some() {}
        before.peek() != Some(bucket)
    });
    let mut is_first = true;
    for (index, count) in changed {
        match std::mem::take(&mut is_first) {
            true => push(line, format_args!(",\"{name}\":[{index},{count}")),
            false => push(line, format_args!(",{index},{count}")),
        }
    }
    if !is_first {
        line.push(']');
    }
}

/// Writing to a string cannot fail.
fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = line.write_fmt(text);
}
