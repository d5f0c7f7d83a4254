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
    const UNITS: [&str; 7] = ["y", "w", "d", "h", "m", "s", "ms"];
    let mut rest = duration;
    let mut units = UNITS.iter();
    let mut is_duration = !rest.is_empty();
    while is_duration && !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, after) = tail.split_at(end.unwrap_or(tail.len()));
        is_duration =
            number.bytes().any(|digit| digit != b'0') && units.any(|known| *known == unit);
        rest = after;
    }
    if is_duration {
        return Ok(());
    }
    Err(Error::new(format!(
        "{duration:?} is not a duration: write whole numbers with the units {}, largest first, as in \
         \"5m\" or \"1h30m\"",
        quoted_list(UNITS),
    )))
}

/// Returns an error if the text uses a label that the series do not have.
pub(crate) fn check_label_in_text(
    text: &str,
    label: &str,
    labels: &LabelNames,
) -> Result<(), Error> {
    if labels.contains(label) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{text:?} uses the label {label:?}, which the query does not keep; it keeps {}",
        quoted_list(labels)
    )))
}

/// Returns the ratio as a percentage such as `0.1 %`, without the rounding errors of binary fractions.
pub(crate) fn percent(ratio: f64) -> String {
    let rounded = (ratio * 100.0 * 1e6).round() / 1e6;
    format!("{rounded} %")
}
