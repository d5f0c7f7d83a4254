//! The unit in which a metric name ends.

use metrics::Unit;

use crate::model::const_str::ends_with;

/// Returns the unit in which a metric name ends; `None` if it ends in no base unit of Prometheus.
pub(crate) const fn unit_of(name: &str) -> Option<Unit> {
    if ends_with(name, "_seconds") || ends_with(name, "_seconds_total") {
        Some(Unit::Seconds)
    } else if ends_with(name, "_bytes") || ends_with(name, "_bytes_total") {
        Some(Unit::Bytes)
    } else if ends_with(name, "_percent") {
        Some(Unit::Percent)
    } else {
        None
    }
}
