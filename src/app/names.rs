//! Names, checked while the program is compiled.

use super::description::FamilyKind;
use super::labels::{LabelSpec, MAX_OPEN, Values, combinations, open_labels};

/// The name that a raw identifier stands for.
pub(super) const fn without_raw(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Whether Prometheus can read a name; colons belong to recording rules.
pub(super) const fn is_name(name: &str) -> bool {
    let name = name.as_bytes();
    let mut i = 0;
    while i < name.len() {
        let c = name[i];
        if !(c == b'_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit())) {
            return false;
        }
        i += 1;
    }
    i > 0
}

pub(super) const fn ends_with(name: &str, end: &str) -> bool {
    let (name, end) = (name.as_bytes(), end.as_bytes());
    if name.len() < end.len() {
        return false;
    }
    let (_, tail) = name.split_at(name.len() - end.len());
    are_equal(tail, end)
}

const fn are_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether no value is there twice.
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

/// What is wrong with a set of labels.
#[doc(hidden)]
#[must_use]
pub const fn label_problem(labels: &[LabelSpec]) -> Option<&'static str> {
    const MOST_SERIES: usize = 10_000;
    let mut i = 0;
    while i < labels.len() {
        let LabelSpec { name, values } = labels[i];
        if !is_name(name) {
            return Some(
                "a label's name is letters, digits and `_`, and does not start with a digit",
            );
        }
        if matches!(name.as_bytes(), [b'_', b'_', ..] | b"le" | b"quantile") {
            return Some(
                "a label cannot be called `le`, `quantile` or `__…`: Prometheus uses them",
            );
        }
        if matches!(values, Values::Open(0)) {
            return Some("an open label must be allowed at least one value");
        }
        i += 1;
    }
    if open_labels(labels) > MAX_OPEN {
        return Some("a set has at most six open labels");
    }
    if combinations(labels) > MOST_SERIES {
        return Some("the closed labels of a set make more than 10,000 series");
    }
    None
}

/// What is wrong with a family, which its own message names.
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
}

pub(super) const fn name_problem(name: &str, kind: FamilyKind, odd: bool) -> Option<Problem> {
    if !is_name(name) {
        return Some(Problem::Name);
    }
    match kind {
        FamilyKind::Counter if !ends_with(name, "_total") => {
            return Some(Problem::CounterWithoutTotal);
        }
        FamilyKind::Info if !ends_with(name, "_info") => return Some(Problem::InfoWithoutInfo),
        FamilyKind::Counter | FamilyKind::Info => {}
        _ if !odd && ends_with(name, "_total") => return Some(Problem::TotalWithoutCounter),
        _ => {}
    }
    let is_part =
        ends_with(name, "_bucket") || ends_with(name, "_sum") || ends_with(name, "_count");
    if is_part && !odd {
        return Some(Problem::PartOfHistogram);
    }
    None
}
