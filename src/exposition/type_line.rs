//! Names and types of families in the TYPE, HELP and UNIT lines. They differ between the formats, because in
//! OpenMetrics only sample names have the suffixes `_total` and `_info`.

use crate::exposition::negotiate::Format;
use crate::model::kind::MetricKind;

/// Returns the name and the type of a family for its TYPE line in a format.
///
/// | metric | text 0.0.4 | OpenMetrics | OpenMetrics, if `x` is taken |
/// |---|---|---|---|
/// | counter `x_total` | `x_total`, counter | `x`, counter | `x_total`, unknown |
/// | info `x_info` | `x_info`, gauge | `x`, info | `x_info`, gauge |
/// | state set `x` | `x`, gauge | `x`, stateset | |
///
/// The last column also applies to names without the suffix. Sample names are therefore the same in all formats.
/// `is_taken` tells whether another family of the page, or one of its samples, has a name.
pub(crate) fn type_line(
    name: &str,
    kind: MetricKind,
    format: Format,
    is_taken: impl Fn(&str) -> bool,
) -> (&str, &'static str) {
    match kind {
        MetricKind::Counter if !format.is_open_metrics() => (name, "counter"),
        MetricKind::Counter => match name.strip_suffix("_total") {
            Some(short) if is_free(short, &is_taken) => (short, "counter"),
            _ => (name, "unknown"),
        },
        MetricKind::Info if format.is_open_metrics() => match name.strip_suffix("_info") {
            // The counter `x_total` takes precedence over the info `x_info`.
            Some(short) if is_free(short, &is_taken) && !is_taken(&format!("{short}_total")) => {
                (short, "info")
            }
            _ => (name, "gauge"),
        },
        MetricKind::StateSet if format.is_open_metrics() => (name, "stateset"),
        MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => (name, "gauge"),
        MetricKind::Histogram => (name, "histogram"),
        MetricKind::Summary => (name, "summary"),
    }
}

fn is_free(short: &str, is_taken: impl Fn(&str) -> bool) -> bool {
    // OpenMetrics parsers read `x_created` as a sample of the counter or the info `x`.
    let is_created = short.strip_suffix("_created").is_some_and(|whole| {
        is_taken(&format!("{whole}_total")) || is_taken(&format!("{whole}_info"))
    });
    !short.is_empty() && !is_created && !is_taken(short) && !is_taken(&format!("{short}_created"))
}
