//! Checks of names and labels at compile time.

use crate::custom::label_spec::{LabelSpec, MAX_OPEN, SpecValues, combinations, open_labels};
use crate::model::const_str::{are_equal, ends_with};
use crate::model::kind::MetricKind;
use crate::model::names::{is_label_name, is_reserved_label};

/// Returns whether all values are different.
#[doc(hidden)]
#[must_use]
pub const fn are_distinct(values: &[&str]) -> bool {
    let mut i = 0;
    while i < values.len() {
        let mut j = 0;
        while j < i {
            if are_equal(values[i].as_bytes(), values[j].as_bytes()) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

/// Why a label set is not allowed. `labels!` has the message for each variant.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelProblem {
    Name,
    ReservedName,
    NoValues,
    OpenLabels,
    Combinations,
}

const MAX_SERIES: usize = 10_000;

/// Returns why a label set is not allowed, or `None` if it is.
#[doc(hidden)]
#[must_use]
pub const fn label_problem(labels: &[LabelSpec]) -> Option<LabelProblem> {
    let mut i = 0;
    while i < labels.len() {
        let LabelSpec { name, values } = labels[i];
        if !is_label_name(name) {
            return Some(LabelProblem::Name);
        }
        if is_reserved_label(name) {
            return Some(LabelProblem::ReservedName);
        }
        if matches!(values, SpecValues::Open(0)) {
            return Some(LabelProblem::NoValues);
        }
        i += 1;
    }
    if open_labels(labels) > MAX_OPEN {
        return Some(LabelProblem::OpenLabels);
    }
    if combinations(labels) > MAX_SERIES {
        return Some(LabelProblem::Combinations);
    }
    None
}

/// Why a metric is not allowed. `catalogue!` has the message for each variant.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    Name,
    Help,
    CounterWithoutTotal,
    InfoWithoutInfo,
    TotalWithoutCounter,
    PartOfHistogram,
    BucketsOfOther,
    BucketsMissing,
    BucketsWrong,
    StateLabel,
    States,
}

pub(crate) const fn name_problem(
    name: &str,
    kind: MetricKind,
    unconventional: bool,
) -> Option<Problem> {
    if !is_label_name(name) {
        return Some(Problem::Name);
    }
    if unconventional {
        return None;
    }
    match kind {
        MetricKind::Counter if !ends_with(name, "_total") => {
            return Some(Problem::CounterWithoutTotal);
        }
        MetricKind::Info if !ends_with(name, "_info") => return Some(Problem::InfoWithoutInfo),
        MetricKind::Counter | MetricKind::Info => {}
        _ if ends_with(name, "_total") => return Some(Problem::TotalWithoutCounter),
        _ => {}
    }
    let is_part =
        ends_with(name, "_bucket") || ends_with(name, "_sum") || ends_with(name, "_count");
    if is_part {
        return Some(Problem::PartOfHistogram);
    }
    None
}

/// Returns why a state set is not allowed. Its label for the state has the name of the metric, as in OpenMetrics.
pub(crate) const fn state_problem(
    name: &str,
    labels: &[LabelSpec],
    states: &[&str],
) -> Option<Problem> {
    if is_reserved_label(name) {
        return Some(Problem::StateLabel);
    }
    let mut i = 0;
    while i < labels.len() {
        if are_equal(labels[i].name.as_bytes(), name.as_bytes()) {
            return Some(Problem::StateLabel);
        }
        i += 1;
    }
    if states.is_empty() || combinations(labels) * states.len() > MAX_SERIES {
        return Some(Problem::States);
    }
    None
}
