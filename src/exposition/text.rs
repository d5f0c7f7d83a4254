//! One writer for the text format 0.0.4 and for OpenMetrics.

use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use metrics::Unit;

use crate::budget::Budget;
use crate::collect::checked::{CheckedFamily, CheckedSample};
use crate::exposition::negotiate::Format;
use crate::exposition::type_line::type_line;
use crate::model::kind::{Instrument, MetricKind};
use crate::model::numbers::{Number, push_count, push_float};
use crate::registry::cells::SeriesCells;
use crate::registry::exemplars::{Exemplar, Exemplars};
use crate::registry::snapshot::values::RegistryValues;
use crate::registry::snapshot::{FamilySnapshot, FamilySource, RegistryFamily, Snapshot};

/// A writer that renders a snapshot, a slice at a time.
pub(crate) struct TextWriter {
    snapshot: Snapshot,
    format: Format,
    /// The position of the current family in the snapshot.
    family: usize,
    /// The next series of the current family.
    series: usize,
    /// The constant parts of the lines of the current histogram or summary.
    parts: LineParts,
}

/// The approximate cost of a line in nanoseconds.
const LINE: usize = 15;

impl TextWriter {
    pub(crate) fn new(snapshot: Snapshot, format: Format) -> Self {
        Self {
            snapshot,
            format,
            family: 0,
            series: 0,
            parts: LineParts::default(),
        }
    }

    /// Continues the page until it is complete or the budget is spent. Returns whether it is complete.
    pub(crate) fn advance(&mut self, page: &mut Vec<u8>, budget: &mut Budget) -> bool {
        let snapshot = self.snapshot.clone();
        while let Some(position) = snapshot.order.get(self.family) {
            if budget.is_spent() {
                return false;
            }
            let family = snapshot.at(*position);
            if self.series == 0 && !family.is_empty() {
                self.write_metadata(page, &family);
            }
            match family.source {
                FamilySource::Registry(family) => self.write_series(page, family, budget),
                FamilySource::Collected(family) => self.write_samples(page, family, budget),
            }
            if self.series == family.len() {
                self.family += 1;
                self.series = 0;
            }
        }
        if self.format.is_open_metrics() {
            page.extend_from_slice(b"# EOF\n");
        }
        true
    }

    /// Writes HELP, TYPE and UNIT.
    fn write_metadata(&mut self, page: &mut Vec<u8>, family: &FamilySnapshot<'_>) {
        let is_taken = |name: &str| self.snapshot.has_name(name);
        let (name, kind) = type_line(family.name(), family.kind(), self.format, is_taken);
        push_metadata(
            page,
            name,
            kind,
            family.help().as_deref(),
            family.unit(),
            self.format,
        );
        if let FamilySource::Registry(RegistryFamily { family, .. }) = family.source {
            match family.instrument {
                Instrument::Histogram => {
                    let bounds = family.buckets.bounds();
                    self.parts = LineParts::of_histogram(&family.name, bounds, self.format);
                }
                #[cfg(feature = "summary")]
                Instrument::Summary => {
                    let quantiles = family.quantiles();
                    self.parts = LineParts::of_summary(&family.name, quantiles, self.format);
                }
                _ => {}
            }
        }
    }

    fn write_samples(&mut self, page: &mut Vec<u8>, family: &CheckedFamily, budget: &mut Budget) {
        while let Some(CheckedSample { prefix, number }) = family.samples.get(self.series)
            && !budget.is_spent()
        {
            self.series += 1;
            budget.spend(LINE);
            push_number_line(page, prefix, *number, self.format);
        }
    }

    fn write_series(
        &mut self,
        page: &mut Vec<u8>,
        family: RegistryFamily<'_>,
        budget: &mut Budget,
    ) {
        let RegistryFamily {
            values,
            family,
            index,
        } = family;
        while self.series < index.len() && !budget.is_spent() {
            let (prefix, series) = index.get(self.series);
            let cells = series.cells;
            self.series += 1;
            budget.spend(LINE);
            match family.instrument {
                Instrument::Counter => push_count_line(page, prefix, values.count(cells.cell)),
                Instrument::InProgress => {
                    budget.spend(values.in_progress_work());
                    push_count_line(page, prefix, values.in_progress(cells.cell));
                }
                Instrument::Info => push_count_line(page, prefix, 1),
                Instrument::FloatCounter => {
                    push_float_line(page, prefix, values.sum(cells.sum), self.format);
                }
                Instrument::Gauge => {
                    push_float_line(page, prefix, values.gauge(cells.cell), self.format);
                }
                #[cfg(feature = "summary")]
                Instrument::Summary => {
                    // The approximate cost of merging the sketches.
                    budget.spend(100 * LINE);
                    let quantiles = family.quantile_values(cells.cell);
                    self.write_summary(page, values, prefix, cells, &quantiles);
                }
                Instrument::Histogram => {
                    budget.spend(LINE * family.buckets.count());
                    let counts = values.buckets(cells.cell, family.buckets.count());
                    let exemplars = match self.format.is_open_metrics() {
                        true => family.exemplars(cells.cell),
                        false => None,
                    };
                    self.write_histogram(page, values, prefix, cells, counts, exemplars.as_deref());
                }
            }
        }
    }

    fn write_histogram(
        &self,
        page: &mut Vec<u8>,
        values: &RegistryValues,
        labels: &str,
        cells: SeriesCells,
        counts: &[u64],
        exemplars: Option<&Exemplars>,
    ) {
        let LineParts {
            bucket,
            part_labels,
            ..
        } = &self.parts;
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
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.get(i))
                && *n > 0
            {
                push_exemplar(page, &exemplar, self.format);
            }
            page.push(b'\n');
        }
        self.write_sum_and_count(page, values, labels, cells, shown);
    }

    #[cfg(feature = "summary")]
    fn write_summary(
        &self,
        page: &mut Vec<u8>,
        values: &RegistryValues,
        labels: &str,
        cells: SeriesCells,
        quantiles: &[(f64, f64)],
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
        let total = values.count(cells.cell);
        self.write_sum_and_count(
            page,
            values,
            labels,
            cells,
            itoa::Buffer::new().format(total),
        );
    }

    fn write_sum_and_count(
        &self,
        page: &mut Vec<u8>,
        values: &RegistryValues,
        labels: &str,
        cells: SeriesCells,
        total: &str,
    ) {
        let LineParts { sum, count, .. } = &self.parts;
        let (open, close) = if labels.is_empty() {
            ("", " ")
        } else {
            ("{", "} ")
        };
        push_all(page, &[sum, open, labels, close]);
        push_float(page, values.sum(cells.sum), self.format.whole_numbers());
        push_all(page, &["\n", count, open, labels, close, total, "\n"]);
    }
}

/// Returns the TYPE of a kind in the text format 0.0.4, in which an info is a gauge.
fn text_type(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Info => MetricKind::Gauge.as_str(),
        kind => kind.as_str(),
    }
}

/// Renders the families of collectors in the text format 0.0.4.
pub(crate) fn write_collected(families: &[Arc<CheckedFamily>]) -> Vec<u8> {
    let format = Format::Text;
    let mut page = Vec::new();
    for family in families {
        let CheckedFamily {
            name,
            kind,
            help,
            unit,
            samples,
        } = &**family;
        push_metadata(
            &mut page,
            name,
            text_type(*kind),
            help.as_deref(),
            *unit,
            format,
        );
        for CheckedSample { prefix, number } in samples {
            push_number_line(&mut page, prefix, *number, format);
        }
    }
    page
}

/// The constant parts of the lines of a histogram or a summary.
#[derive(Default)]
struct LineParts {
    /// `name_bucket{`, or `name{` for a summary.
    bucket: String,
    /// `le="0.5"} ` for each bound, or `quantile="0.5"} ` for each quantile of a summary.
    part_labels: Vec<String>,
    /// `name_sum`
    sum: String,
    /// `name_count`
    count: String,
}

impl LineParts {
    #[cfg(feature = "summary")]
    fn of_summary(name: &str, quantiles: &[f64], format: Format) -> Self {
        let quantiles = quantiles.iter();
        Self {
            bucket: format!("{name}{{"),
            part_labels: quantiles
                .map(|q| part_label("quantile", *q, format))
                .collect(),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
        }
    }

    fn of_histogram(name: &str, bounds: &[f64], format: Format) -> Self {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        Self {
            bucket: format!("{name}_bucket{{"),
            part_labels: bounds
                .map(|bound| part_label("le", bound, format))
                .collect(),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
        }
    }
}

/// Returns the label that distinguishes the samples of one series, and the end of the labels: `le="0.5"} `.
fn part_label(name: &str, value: f64, format: Format) -> String {
    let mut label = format!("{name}=\"").into_bytes();
    push_float(&mut label, value, format.whole_numbers());
    label.extend_from_slice(b"\"} ");
    String::from_utf8_lossy(&label).into_owned()
}

/// Writes the HELP, TYPE and UNIT lines of a family.
fn push_metadata(
    page: &mut Vec<u8>,
    name: &str,
    kind: &str,
    help: Option<&str>,
    unit: Option<Unit>,
    format: Format,
) {
    if let Some(help) = help {
        push_all(page, &["# HELP ", name, " "]);
        push_help(page, help, format);
        page.push(b'\n');
    }
    push_all(page, &["# TYPE ", name, " ", kind, "\n"]);
    // OpenMetrics does not allow a unit for an info, nor a unit that the name does not end with.
    if format.is_open_metrics()
        && kind != "info"
        && let Some(unit) = unit.and_then(base_unit)
        && name
            .strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'))
    {
        push_all(page, &["# UNIT ", name, " ", unit, "\n"]);
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
    let at = timestamp.duration_since(SystemTime::UNIX_EPOCH);
    let at = at.unwrap_or_default();
    let _ = write!(page, " {}.{:03}", at.as_secs(), at.subsec_millis());
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

/// Returns the name of a base unit of Prometheus and OpenMetrics; `None` for other units.
fn base_unit(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Seconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
        Unit::Percent => Some("percent"),
        _ => None,
    }
}
