//! Panels that several dashboards share.

use crate::panel::{Panel, PanelUnit};
use crate::query::Query;
use crate::severity::Severity;

/// The counter of observations beyond the limit of a label. Every layer records it.
pub(super) const OVERFLOW: &str = "metrics_label_overflow_total";

/// The quantiles of durations in dashboards and recording rules, with their names.
pub(super) const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Adds p50, p95 and p99 of a histogram to a panel.
pub(super) fn quantiles(panel: Panel, family: &str) -> Panel {
    QUANTILES
        .into_iter()
        .fold(panel, |panel, (word, quantile)| {
            panel.query(Query::quantile(quantile, family).legend(word))
        })
}

/// Returns a panel with p50, p95 and p99 of a histogram of seconds.
pub(super) fn duration_quantiles(title: &str, description: &str, family: &str) -> Panel {
    let panel = Panel::time_series(title, PanelUnit::Seconds).description(description);
    quantiles(panel, family)
}

/// Returns a panel with the rate of observations beyond the limit of a label, by metric and label.
pub(super) fn overflow() -> Panel {
    Panel::time_series("Overflow by label", PanelUnit::OpsPerSecond)
        .description("Observations per second beyond the limit of a label, recorded as `overflow`; a value that is set on a gauge is not recorded. Raise the limit, or find the source of the values.")
        .query(Query::rate(OVERFLOW).by(["family", "label"]))
}

pub(super) fn with_error_thresholds(panel: Panel) -> Panel {
    panel
        .min(0.0)
        .threshold(0.01, Severity::Warning)
        .threshold(0.05, Severity::Critical)
}
