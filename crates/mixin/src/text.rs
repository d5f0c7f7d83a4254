//! Helpers for texts in error messages and generated files: lists of names, durations, labels, percentages.

use std::collections::BTreeSet;

use crate::error::Error;

/// A set of label names.
pub(crate) type LabelNames = BTreeSet<String>;

/// Returns the names in quotes, separated by commas, or `none` for an empty list.
pub(crate) fn quoted_list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| format!("{:?}", name.as_ref()))
        .collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// Returns an error if the text is not a duration of Prometheus: whole numbers with units, from the largest unit to the
/// smallest, each at most once.
pub(crate) fn check_duration(duration: &str) -> Result<(), Error> {
    // The parser also accepts a number of seconds, which is not valid in configuration files.
    let has_unit = !duration.ends_with(|last: char| last.is_ascii_digit());
    match promql_parser::util::parse_duration(duration) {
        Ok(_) if has_unit => Ok(()),
        _ => Err(Error::new(format!(
            "{duration:?} is not a duration: write whole numbers with the units \"y\", \"w\", \"d\", \"h\", \
             \"m\", \"s\", \"ms\", largest first, as in \"5m\" or \"1h30m\""
        ))),
    }
}

/// Returns an error if the query does not keep the label.
pub(crate) fn check_kept(label: &str, labels: &LabelNames) -> Result<(), Error> {
    if labels.contains(label) {
        return Ok(());
    }
    Err(Error::new(format!(
        "the query does not keep the label {label:?}; it keeps {}",
        quoted_list(labels)
    )))
}

/// Returns the ratio as a percentage such as `0.1 %`, without the rounding errors of binary fractions.
pub(crate) fn percent(ratio: f64) -> String {
    let rounded = (ratio * 100.0 * 1e6).round() / 1e6;
    format!("{rounded} %")
}
