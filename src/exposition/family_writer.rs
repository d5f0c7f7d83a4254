//! [`FamilyWriter`]: writes the lines of metric families, a slice at a time.

use std::io::Write;
use std::time::SystemTime;

use metrics::Unit;

use crate::budget::Budget;
use crate::collect::checked::{CheckedFamily, CheckedValue};
use crate::exposition::escaping::{FamilyNames, SampleName, family_name};
use crate::exposition::negotiate::Format;
use crate::model::kind::Instrument;
use crate::model::numbers::{Number, push_count, push_float};
use crate::registry::cells::SeriesCells;
use crate::registry::exemplars::Exemplars;
use crate::registry::family::Family;
use crate::registry::index::IndexedSeries;
use crate::registry::snapshot::{Exemplar, RegistryFamily};

/// The approximate cost of a line in nanoseconds.
const LINE: usize = 15;

/// A writer of the samples of one family after the other.
pub(crate) struct FamilyWriter {
    format: Format,
    /// The next series of the current family.
    series: usize,
    /// The names of the current family that are not the exported ones.
    names: Option<FamilyNames>,
    /// The name of the lines with the times at which the series of the current family were registered.
    created: Option<SampleName>,
    /// The constant parts of the lines of the current histogram or summary.
    parts: LineParts,
}

impl FamilyWriter {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            series: 0,
            names: None,
            created: None,
            parts: LineParts::default(),
        }
    }

    /// Whether no series of the current family is written yet.
    pub(crate) fn is_at_start(&self) -> bool {
        self.series == 0
    }

    /// Sets the names of the current family that are not the exported ones, and the name of the lines with the times at
    /// which its series were registered, if it has such lines.
    pub(crate) fn start_family(&mut self, names: Option<FamilyNames>, created: Option<SampleName>) {
        self.names = names;
        self.created = created;
    }

    /// Continues with the next family if `len` series are written, which are all of the current one. Returns
    /// whether it does.
    pub(crate) fn ends_family(&mut self, len: usize) -> bool {
        let ends = self.series == len;
        if ends {
            self.series = 0;
            self.names = None;
            self.created = None;
            self.parts = LineParts::default();
        }
        ends
    }

    /// Writes series of a collector's family until the budget is spent.
    pub(crate) fn write_collected(
        &mut self,
        page: &mut Vec<u8>,
        family: &CheckedFamily,
        budget: &mut Budget,
    ) {
        let name = &family.name;
        while self.series < family.len() && !budget.is_spent() {
            let labels = family.labels(self.series);
            let value = family.value(self.series);
            self.series += 1;
            budget.spend(LINE);
            match value {
                CheckedValue::Number(number) => {
                    let (open, close) = match labels.is_empty() {
                        true => ("", " "),
                        false => ("{", "} "),
                    };
                    push_all(page, &[name, open, labels]);
                    push_number_line(page, close, number, self.format);
                }
                CheckedValue::Histogram {
                    bounds,
                    counts,
                    sum,
                } => {
                    budget.spend(LINE * counts.len());
                    self.parts.set_histogram(name, bounds, self.format);
                    self.write_histogram(page, labels, counts, sum, None);
                }
                CheckedValue::Summary(summary) => {
                    budget.spend(LINE * summary.quantiles.len());
                    let (quantiles, count) = (&summary.quantiles, summary.count);
                    self.parts.set_summary(name, quantiles, self.format);
                    self.write_summary(page, labels, quantiles, count, summary.sum);
                }
            }
        }
    }

    /// Writes series of a registry's family until the budget is spent.
    pub(crate) fn write_registered(
        &mut self,
        page: &mut Vec<u8>,
        family: RegistryFamily<'_>,
        budget: &mut Budget,
    ) {
        let RegistryFamily {
            family: metadata,
            index,
            ..
        } = family;
        if self.is_at_start() && index.len() > 0 && metadata.instrument == Instrument::Histogram {
            let bounds = metadata.exported_bounds();
            let name = metric_name(&self.names, metadata);
            self.parts.set_histogram(name, bounds, self.format);
        }
        let work = family.value_work();
        let is_plain = self.names.is_none() && self.created.is_none();
        while self.series < index.len() && !budget.is_spent() {
            let (prefix, series) = index.get(self.series);
            self.series += 1;
            budget.spend(LINE);
            match is_plain {
                true => self.write_value(page, family, prefix, series.cells, work, budget),
                false => self.write_named(page, family, (prefix, series), work, budget),
            }
        }
    }

    /// Writes a series whose names are not the exported ones, or that has a line with the time of its registration.
    #[cold]
    fn write_named(
        &mut self,
        page: &mut Vec<u8>,
        source: RegistryFamily<'_>,
        (exported, series): (&str, &IndexedSeries),
        work: usize,
        budget: &mut Budget,
    ) {
        let family = source.family;
        let names = self.names.as_ref();
        let own = names.map(|names| names.prefix(family, exported));
        let prefix = own.as_deref().unwrap_or(exported);
        self.write_value(page, source, prefix, series.cells, work, budget);
        if let Some(created) = &self.created {
            budget.spend(LINE);
            let labels = match family.instrument.kind().has_suffixes() {
                true => prefix,
                false => SampleName::new(metric_name(&self.names, family)).labels_in(prefix),
            };
            push_created_line(page, created, labels, series.created());
        }
    }

    /// Writes the lines of a series after its prefix.
    #[inline(always)]
    fn write_value(
        &mut self,
        page: &mut Vec<u8>,
        source: RegistryFamily<'_>,
        prefix: &str,
        cells: SeriesCells,
        work: usize,
        budget: &mut Budget,
    ) {
        let RegistryFamily { values, family, .. } = source;
        match family.instrument {
            Instrument::Counter => push_count_line(page, prefix, values.count(cells.cell)),
            Instrument::InProgress => {
                budget.spend(work);
                push_count_line(page, prefix, values.in_progress(cells.cell));
            }
            Instrument::Info => push_count_line(page, prefix, 1),
            Instrument::StateSet => {
                let is_current = values.is_current_state(cells);
                push_count_line(page, prefix, u64::from(is_current));
            }
            Instrument::FloatCounter => {
                push_float_line(page, prefix, values.sum(cells.sum), self.format);
            }
            Instrument::Gauge => {
                push_float_line(page, prefix, values.gauge(cells.cell), self.format);
            }
            #[cfg(feature = "summary")]
            Instrument::Summary => {
                budget.spend(work);
                let quantiles = family.quantiles(cells.cell);
                let (count, sum) = (values.count(cells.cell), values.sum(cells.sum));
                let name = metric_name(&self.names, family);
                self.parts.set_summary(name, &quantiles, self.format);
                self.write_summary(page, prefix, &quantiles, count, sum);
            }
            Instrument::Histogram => {
                budget.spend(LINE * (family.exported_bounds().len() + 1));
                let native = match family.classic_buckets() {
                    Some(_) => None,
                    None => {
                        budget.spend(work);
                        values.native(family, cells.cell)
                    }
                };
                let counts = source.counts(cells.cell, native.as_ref());
                let exemplars = match self.format.is_open_metrics() {
                    true => family.exemplars(cells.cell),
                    false => None,
                };
                let sum = values.sum(cells.sum);
                self.write_histogram(page, prefix, &counts, sum, exemplars.as_deref());
            }
        }
    }

    /// Writes the lines of a histogram. `counts` are not cumulative.
    fn write_histogram(
        &self,
        page: &mut Vec<u8>,
        labels: &str,
        counts: &[u64],
        sum: f64,
        exemplars: Option<&Exemplars>,
    ) {
        let LineParts {
            bucket,
            part_labels,
            ..
        } = &self.parts;
        let exemplar_of = |exemplars: &Exemplars, i| match part_labels.len() {
            // A histogram with only native buckets has exemplars by octave.
            1 => exemplars.latest(),
            _ => exemplars.get(i),
        };
        let comma = if labels.is_empty() { "" } else { "," };
        let start = page.len();
        push_all(page, &[bucket, labels, comma]);
        let line_start = start..page.len();
        let mut total = 0_u64;
        let mut digits = itoa::Buffer::new();
        let mut shown = digits.format(total);
        for (i, (le, n)) in part_labels.iter().zip(counts).enumerate() {
            if *n > 0 {
                total = total.saturating_add(*n);
                shown = digits.format(total);
            }
            if i > 0 {
                // All lines start with the same bytes. Copying them from the first line is one copy
                // instead of three.
                page.extend_from_within(line_start.clone());
            }
            push_all(page, &[le, shown]);
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplar_of(exemplars, i))
                && *n > 0
            {
                push_exemplar(page, &exemplar, self.format);
            }
            page.push(b'\n');
        }
        self.write_sum_and_count(page, labels, sum, shown);
    }

    fn write_summary(
        &self,
        page: &mut Vec<u8>,
        labels: &str,
        quantiles: &[(f64, f64)],
        count: u64,
        sum: f64,
    ) {
        let LineParts {
            bucket,
            part_labels,
            ..
        } = &self.parts;
        let comma = if labels.is_empty() { "" } else { "," };
        for (quantile, (_, value)) in part_labels.iter().zip(quantiles) {
            push_all(page, &[bucket, labels, comma, quantile]);
            push_float(page, *value, self.format.whole_numbers());
            page.push(b'\n');
        }
        self.write_sum_and_count(page, labels, sum, itoa::Buffer::new().format(count));
    }

    fn write_sum_and_count(&self, page: &mut Vec<u8>, labels: &str, total: f64, shown: &str) {
        let LineParts { sum, count, .. } = &self.parts;
        let (open, close) = sum.braces(!labels.is_empty());
        push_all(page, &[&sum.text, open, labels, close]);
        push_float(page, total, self.format.whole_numbers());
        push_all(page, &["\n", &count.text, open, labels, close, shown, "\n"]);
    }
}

/// The constant parts of the lines of a histogram or a summary.
#[derive(Default)]
struct LineParts {
    /// The finite bounds or the quantiles of these parts; `None` if the parts are of no family yet.
    numbers: Option<Vec<f64>>,
    /// `name_bucket{`, or `name{` for a summary; with quotes `{"name_bucket",`.
    bucket: String,
    /// `le="0.5"} ` for each bound, or `quantile="0.5"} ` for each quantile of a summary.
    part_labels: Vec<String>,
    /// `name_sum`
    sum: SampleName,
    /// `name_count`
    count: SampleName,
}

impl LineParts {
    fn set_histogram(&mut self, name: &str, bounds: &[f64], format: Format) {
        if self.numbers.as_deref() != Some(bounds) {
            let with_infinity = bounds.iter().copied().chain([f64::INFINITY]);
            *self = Self {
                numbers: Some(bounds.to_vec()),
                bucket: start_of_labels(&format!("{name}_bucket")),
                part_labels: part_labels("le", with_infinity, format),
                sum: SampleName::new(&format!("{name}_sum")),
                count: SampleName::new(&format!("{name}_count")),
            };
        }
    }

    fn set_summary(&mut self, name: &str, quantiles: &[(f64, f64)], format: Format) {
        let quantiles = quantiles.iter().map(|(quantile, _)| *quantile);
        let numbers = self.numbers.iter().flatten();
        if self.numbers.is_none() || !quantiles.clone().eq(numbers.copied()) {
            *self = Self {
                numbers: Some(quantiles.clone().collect()),
                bucket: start_of_labels(name),
                part_labels: part_labels("quantile", quantiles, format),
                sum: SampleName::new(&format!("{name}_sum")),
                count: SampleName::new(&format!("{name}_count")),
            };
        }
    }
}

/// Returns the name of the metric on the page.
fn metric_name<'a>(names: &'a Option<FamilyNames>, family: &'a Family) -> &'a str {
    names.as_ref().map_or(&family.name, FamilyNames::metric)
}

/// Returns the start of a line with labels: `name{`.
fn start_of_labels(name: &str) -> String {
    let name = SampleName::new(name);
    let (open, _) = name.braces(true);
    name.text + open
}

/// Returns the end of a line before its value for each number: `le="0.5"} `.
fn part_labels(label: &str, numbers: impl Iterator<Item = f64>, format: Format) -> Vec<String> {
    let text = |number| {
        let mut text = format!("{label}=\"").into_bytes();
        push_float(&mut text, number, format.whole_numbers());
        text.extend_from_slice(b"\"} ");
        String::from_utf8_lossy(&text).into_owned()
    };
    numbers.map(text).collect()
}

/// Writes the HELP, TYPE and UNIT lines of a family.
pub(crate) fn push_metadata(
    page: &mut Vec<u8>,
    name: &str,
    kind: &str,
    help: Option<&str>,
    unit: Option<&str>,
    format: Format,
) {
    let shown = family_name(name);
    if let Some(help) = help {
        push_all(page, &["# HELP ", &shown, " "]);
        push_help(page, help, format);
        page.push(b'\n');
    }
    push_all(page, &["# TYPE ", &shown, " ", kind, "\n"]);
    // OpenMetrics does not allow a unit for an info or a state set, nor a unit that the name does not end with. Of
    // the units of `metrics`, only base units are exported.
    if format.is_open_metrics()
        && !matches!(kind, "info" | "stateset")
        && let Some(unit) = unit.filter(|name| Unit::from_string(name).is_none_or(is_base_unit))
        && name
            .strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'))
    {
        push_all(page, &["# UNIT ", &shown, " ", unit, "\n"]);
    }
}

fn push_all(page: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        page.extend_from_slice(part.as_bytes());
    }
}

fn push_exemplar(page: &mut Vec<u8>, exemplar: &Exemplar, format: Format) {
    let Exemplar {
        trace_id,
        value,
        timestamp,
    } = exemplar;
    let _ = write!(page, " # {{trace_id=\"{trace_id}\"}} ");
    push_float(page, *value, format.whole_numbers());
    page.push(b' ');
    push_time(page, *timestamp);
}

/// Writes the time at which a series was registered, in seconds.
fn push_created_line(page: &mut Vec<u8>, name: &SampleName, labels: &str, created: SystemTime) {
    let (open, close) = name.braces(!labels.is_empty());
    push_all(page, &[&name.text, open, labels, close]);
    push_time(page, created);
    page.push(b'\n');
}

/// Writes a time in seconds since 1970.
fn push_time(page: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let _ = write!(page, "{}.{:03}", since.as_secs(), since.subsec_millis());
}

fn push_count_line(page: &mut Vec<u8>, prefix: &str, count: u64) {
    page.extend_from_slice(prefix.as_bytes());
    push_count(page, count);
    page.push(b'\n');
}

fn push_float_line(page: &mut Vec<u8>, prefix: &str, x: f64, format: Format) {
    page.extend_from_slice(prefix.as_bytes());
    push_float(page, x, format.whole_numbers());
    page.push(b'\n');
}

fn push_number_line(page: &mut Vec<u8>, prefix: &str, number: Number, format: Format) {
    match number {
        Number::Integer(n) => push_count_line(page, prefix, n),
        Number::Float(x) => push_float_line(page, prefix, x, format),
    }
}

fn push_help(page: &mut Vec<u8>, help: &str, format: Format) {
    for c in help.chars() {
        match c {
            '\\' => page.extend_from_slice(br"\\"),
            '\n' => page.extend_from_slice(br"\n"),
            '"' if format.is_open_metrics() => page.extend_from_slice(br#"\""#),
            c => page.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Whether a unit is a base unit of Prometheus and OpenMetrics.
fn is_base_unit(unit: Unit) -> bool {
    matches!(unit, Unit::Seconds | Unit::Bytes | Unit::Percent)
}
