//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, from one writer.

use std::io::Write;
use std::sync::Arc;

use metrics::Unit;

use super::{Format, ReadyFamilies, announced};
use crate::budget::Budget;
#[cfg(feature = "summary")]
use crate::registry::QUANTILES;
use crate::registry::{ALL_PARTS, Exemplar, Exemplars, Family, Index, Kind, Place, Snapshot};

/// Writes a snapshot, a turn at a time.
pub(crate) struct Writer {
    snapshot: Arc<Snapshot>,
    format: Format,
    /// Families of others, which go among those of the registry by name.
    ready: ReadyFamilies,
    family: usize,
    series: usize,
    /// The parts of the current histogram's lines that its series share.
    lines: PartLines,
}

impl Writer {
    pub(crate) fn new(snapshot: Arc<Snapshot>, format: Format, ready: ReadyFamilies) -> Self {
        Self {
            snapshot,
            format,
            ready,
            family: 0,
            series: 0,
            lines: PartLines::default(),
        }
    }

    /// Writes until the page is whole, which it says by `true`, or the budget spent.
    pub(crate) fn advance(&mut self, page: &mut Vec<u8>, budget: &mut Budget) -> bool {
        let snapshot = Arc::clone(&self.snapshot);
        while let Some((family, index)) = snapshot.families.get(self.family) {
            if budget.is_spent() {
                return false;
            }
            if self.series == 0 && index.len() > 0 {
                self.ready.write_before(&family.name, page);
                self.write_about(page, family);
            }
            self.write_series(page, family, index, budget);
            if self.series == index.len() {
                self.family += 1;
                self.series = 0;
            }
        }
        self.ready.write_rest(page);
        if self.format.is_open_metrics() {
            page.extend_from_slice(b"# EOF\n");
        }
        true
    }

    /// The lines before the samples; OpenMetrics names a counter without its `_total`.
    fn write_about(&mut self, page: &mut Vec<u8>, family: &Family) {
        let about = family.about();
        let (name, kind) = self.announced(family);
        let help = about.help.as_deref();
        push_about(page, name, kind, help, about.unit, self.format);
        if let Kind::Histogram(buckets) = &family.kind {
            self.lines = PartLines::new(&family.name, buckets.bounds(), self.format);
        }
        #[cfg(feature = "summary")]
        if family.kind == Kind::Summary {
            self.lines = PartLines::of_summary(&family.name);
        }
    }

    fn announced<'a>(&self, family: &'a Family) -> (&'a str, &'static str) {
        let kind = family.kind.described();
        announced(&family.name, kind, self.format, |name| self.is_taken(name))
    }

    /// Whether a family, or a sample of one, has that name.
    fn is_taken(&self, name: &str) -> bool {
        let family = |name: &str| {
            let families = &self.snapshot.families;
            let found = families.binary_search_by(|(family, _)| family.name.as_str().cmp(name));
            found.ok().map(|i| &families[i].0)
        };
        let is_part = |part: &&str| {
            let whole = name.strip_suffix(part).and_then(family);
            whole.is_some_and(|whole| whole.kind.parts().contains(part))
        };
        family(name).is_some() || ALL_PARTS.iter().any(is_part) || self.ready.has(name)
    }

    fn write_series(
        &mut self,
        page: &mut Vec<u8>,
        family: &Family,
        index: &Index,
        budget: &mut Budget,
    ) {
        /// About what a line costs, in nanoseconds.
        const LINE: usize = 15;
        while self.series < index.len() && !budget.is_spent() {
            let (head, place) = index.get(self.series);
            self.series += 1;
            budget.spend(LINE);
            match &family.kind {
                Kind::Counter => push_count_line(page, head, self.snapshot.count(place.cell)),
                Kind::InProgress => {
                    budget.spend(self.snapshot.in_progress_work());
                    push_count_line(page, head, self.snapshot.in_progress(place.cell));
                }
                Kind::Info => push_count_line(page, head, 1),
                Kind::FractionalCounter => {
                    push_float_line(page, head, self.snapshot.sum(place.sum), self.format);
                }
                Kind::Gauge => {
                    push_float_line(page, head, self.snapshot.gauge(place.cell), self.format);
                }
                #[cfg(feature = "summary")]
                Kind::Summary => {
                    // Its sketches are merged.
                    budget.spend(100 * LINE);
                    let window = family.window(place.cell);
                    let nothing = [f64::NAN; QUANTILES.len()];
                    let values = window.map_or(nothing, |window| window.quantiles());
                    self.write_summary(page, head, place, values);
                }
                Kind::Histogram(buckets) => {
                    budget.spend(LINE * buckets.count());
                    let counts = self.snapshot.buckets(place.cell, buckets.count());
                    let exemplars = match self.format.is_open_metrics() {
                        true => family.exemplars(place.cell),
                        false => None,
                    };
                    self.write_histogram(page, head, place, counts, exemplars.as_deref());
                }
            }
        }
    }

    fn write_histogram(
        &self,
        page: &mut Vec<u8>,
        labels: &str,
        place: Place,
        counts: &[u64],
        exemplars: Option<&Exemplars>,
    ) {
        let PartLines { bucket, les, .. } = &self.lines;
        let comma = if labels.is_empty() { "" } else { "," };
        let start = page.len();
        push_all(page, &[bucket, labels, comma]);
        let begin = start..page.len();
        let mut total = 0_u64;
        let mut digits = itoa::Buffer::new();
        let mut shown = digits.format(total);
        for (i, (le, n)) in les.iter().zip(counts).enumerate() {
            if *n > 0 {
                total = total.saturating_add(*n);
                shown = digits.format(total);
            }
            if i > 0 {
                // One copy instead of three.
                page.extend_from_within(begin.clone());
            }
            push_all(page, &[le, shown]);
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.get(i))
                && *n > 0
            {
                push_exemplar(page, &exemplar, self.format);
            }
            page.push(b'\n');
        }
        self.write_sum_and_count(page, labels, place, shown);
    }

    #[cfg(feature = "summary")]
    fn write_summary(
        &self,
        page: &mut Vec<u8>,
        labels: &str,
        place: Place,
        quantiles: [f64; QUANTILES.len()],
    ) {
        let PartLines { bucket, les, .. } = &self.lines;
        let comma = if labels.is_empty() { "" } else { "," };
        for (quantile, value) in les.iter().zip(quantiles) {
            push_all(page, &[bucket, labels, comma, quantile]);
            push_float(page, value, self.format);
            page.push(b'\n');
        }
        let total = self.snapshot.count(place.cell);
        self.write_sum_and_count(page, labels, place, itoa::Buffer::new().format(total));
    }

    fn write_sum_and_count(&self, page: &mut Vec<u8>, labels: &str, place: Place, total: &str) {
        let PartLines { sum, count, .. } = &self.lines;
        let (open, close) = if labels.is_empty() {
            ("", " ")
        } else {
            ("{", "} ")
        };
        push_all(page, &[sum, open, labels, close]);
        push_float(page, self.snapshot.sum(place.sum), self.format);
        push_all(page, &["\n", count, open, labels, close, total, "\n"]);
    }
}

/// What the lines of a histogram's series, or of a summary's, have in common.
#[derive(Default)]
struct PartLines {
    /// `name_bucket{`; of a summary `name{`
    bucket: String,
    /// `le="0.5"} ` for each bound; of a summary `quantile="0.5"} `
    les: Vec<String>,
    /// `name_sum`
    sum: String,
    /// `name_count`
    count: String,
}

impl PartLines {
    #[cfg(feature = "summary")]
    fn of_summary(name: &str) -> Self {
        let quantile = |quantile: f64| format!("quantile=\"{quantile}\"}} ");
        Self {
            bucket: format!("{name}{{"),
            les: QUANTILES.into_iter().map(quantile).collect(),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
        }
    }

    fn new(name: &str, bounds: &[f64], format: Format) -> Self {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let le = |bound| {
            let mut le = b"le=\"".to_vec();
            push_float(&mut le, bound, format);
            le.extend_from_slice(b"\"} ");
            String::from_utf8_lossy(&le).into_owned()
        };
        Self {
            bucket: format!("{name}_bucket{{"),
            les: bounds.map(le).collect(),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
        }
    }
}

/// The lines before the samples of a family.
pub(crate) fn push_about(
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
    // An info measures nothing.
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
    let Exemplar { trace, sample, at } = exemplar;
    let _ = write!(page, " # {{trace_id=\"{trace}\"}} ");
    push_float(page, *sample, format);
    let _ = write!(page, " {}.{:03}", at.as_secs(), at.subsec_millis());
}

fn push_count_line(page: &mut Vec<u8>, head: &str, count: u64) {
    page.extend_from_slice(head.as_bytes());
    push_count(page, count);
    page.push(b'\n');
}

fn push_float_line(page: &mut Vec<u8>, head: &str, x: f64, format: Format) {
    page.extend_from_slice(head.as_bytes());
    push_float(page, x, format);
    page.push(b'\n');
}

pub(crate) fn push_count(page: &mut Vec<u8>, count: u64) {
    page.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}

/// Appends a number as Go reads it: the shortest text that is exactly this number.
///
/// OpenMetrics asks for a decimal point in bounds, `1.0`; Prometheus writes `1` itself.
pub(crate) fn push_float(page: &mut Vec<u8>, x: f64, format: Format) {
    /// Up to here every whole number is exact, and written without an exponent.
    const WHOLE: f64 = 1e15;
    if x.is_nan() {
        page.extend_from_slice(b"NaN");
    } else if x.is_infinite() {
        page.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if x.fract() == 0.0 && x.abs() < WHOLE && !format.is_open_metrics() {
        // The minus of -0.0 means nothing to a reader.
        page.extend_from_slice(itoa::Buffer::new().format(x as i64).as_bytes());
    } else {
        page.extend_from_slice(zmij::Buffer::new().format_finite(x).as_bytes());
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

/// The units that OpenMetrics and Prometheus' naming rules ask for.
fn base_unit(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Seconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
        Unit::Percent => Some("percent"),
        _ => None,
    }
}
