//! Validates metric names and label names in a query.

use tower_prometheus::model::names::check_metric_name;

pub(crate) fn is_metric_name(name: &str) -> bool {
    check_metric_name(name).is_ok()
}

/// Accepts reserved names such as `__name__` and `le` too, because a query can select by them.
pub(crate) fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}
