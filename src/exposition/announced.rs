//! What a family is called before its samples: OpenMetrics leaves `_total` and `_info` to the samples.

use crate::exposition::negotiate::Format;
use crate::model::kind::MetricKind;

/// The name and the type of a family in a format.
///
/// In OpenMetrics the samples of a counter end in `_total`, those of an info in `_info`, and their
/// families' names do not. Where the short name would meet another family's, the long one stays, as
/// `unknown` or `gauge`: samples keep their names, whoever scrapes. `is_taken` says whether another family
/// of the page, or one of its samples, has a name.
pub(crate) fn announced(
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
            // A counter of that name needs it more.
            Some(short) if is_free(short, &is_taken) && !is_taken(&format!("{short}_total")) => {
                (short, "info")
            }
            _ => (name, "gauge"),
        },
        MetricKind::Gauge | MetricKind::Info => (name, "gauge"),
        MetricKind::Histogram => (name, "histogram"),
        MetricKind::Summary => (name, "summary"),
    }
}

fn is_free(short: &str, is_taken: impl Fn(&str) -> bool) -> bool {
    // A reader takes `x_created` for a part of the counter `x`, or of the info.
    let is_part = short.strip_suffix("_created").is_some_and(|whole| {
        is_taken(&format!("{whole}_total")) || is_taken(&format!("{whole}_info"))
    });
    !short.is_empty() && !is_part && !is_taken(short) && !is_taken(&format!("{short}_created"))
}
