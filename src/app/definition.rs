//! [`Definition`]: a family as the catalogue says it, complete when the program is compiled.

use std::sync::OnceLock;

use metrics::Unit;

use super::buckets;
use super::description::{FamilyDescription, FamilyKind, LabelDescription};
pub use super::global::Place;
use super::labels::LabelValue;
pub use super::labels::{LabelSpec, OpenValues, Values};
use super::names;
pub use super::names::{Problem, are_distinct, label_problem};
use crate::Error;
use crate::error::start_up;
use crate::target::Target;

/// Everything about a family but its kind and its labels, which are its type.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Definition {
    pub(super) name: &'static str,
    docs: &'static [&'static str],
    pub(super) unit: Option<Unit>,
    buckets: &'static [f64],
    unconventional: bool,
}

impl Definition {
    /// A family and the lines of its documentation.
    pub const fn new(name: &'static str, docs: &'static [&'static str]) -> Self {
        Self {
            name,
            docs,
            unit: unit_of(name),
            buckets: &[],
            unconventional: false,
        }
    }

    /// The whole name, without the prefix of the catalogue.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        if self.unit.is_none() {
            self.unit = unit_of(name);
        }
        self
    }

    /// The unit, where the name does not end in it.
    pub const fn unit(mut self, unit: &Unit) -> Self {
        self.unit = Some(*unit);
        self
    }

    /// The upper bounds of a histogram.
    pub const fn buckets(mut self, bounds: &'static [f64]) -> Self {
        self.buckets = bounds;
        self
    }

    /// Allows a name that is no counter's and ends like one, or like a part of a histogram.
    pub const fn unconventional(mut self, yes: &bool) -> Self {
        self.unconventional = *yes;
        self
    }

    #[must_use]
    pub const fn problem(&self, kind: FamilyKind) -> Option<Problem> {
        if let Some(problem) = names::name_problem(self.name, kind, self.unconventional) {
            return Some(problem);
        }
        if self.docs.is_empty() {
            return Some(Problem::Help);
        }
        let is_histogram = matches!(kind, FamilyKind::Histogram);
        match (is_histogram, self.buckets) {
            (false, []) => None,
            (false, _) => Some(Problem::BucketsOfOther),
            (true, []) => match self.unit {
                Some(Unit::Seconds) => None,
                _ => Some(Problem::BucketsMissing),
            },
            (true, bounds) if are_rising(bounds) => None,
            (true, _) => Some(Problem::BucketsWrong),
        }
    }

    /// The upper bounds that a family of this kind has.
    pub(super) const fn bounds(&self, kind: FamilyKind) -> &'static [f64] {
        match (kind, self.buckets) {
            (FamilyKind::Histogram, []) => &buckets::DEFAULT,
            (_, bounds) => bounds,
        }
    }

    /// The first paragraph of the documentation.
    pub(super) fn help(&self) -> String {
        let lines = self.docs.iter().flat_map(|text| text.split('\n'));
        let paragraph = lines
            .map(str::trim)
            .skip_while(|line| line.is_empty())
            .take_while(|line| !line.is_empty());
        paragraph.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn describe(&self, kind: FamilyKind, labels: &[LabelSpec]) -> FamilyDescription {
        let label = |label: &LabelSpec| {
            let description = LabelDescription::new(label.name);
            match label.values {
                Values::Closed(values) => description.values(values.iter().copied()),
                Values::Open(_) => description,
            }
        };
        FamilyDescription {
            name: self.name.to_owned(),
            kind,
            help: self.help(),
            unit: self.unit,
            labels: labels.iter().map(label).collect(),
            buckets: self.bounds(kind).to_vec(),
        }
    }
}

/// The unit that a name ends in.
const fn unit_of(name: &str) -> Option<Unit> {
    if names::ends_with(name, "_seconds") || names::ends_with(name, "_seconds_total") {
        Some(Unit::Seconds)
    } else if names::ends_with(name, "_bytes") || names::ends_with(name, "_bytes_total") {
        Some(Unit::Bytes)
    } else if names::ends_with(name, "_percent") {
        Some(Unit::Percent)
    } else {
        None
    }
}

const fn are_rising(bounds: &[f64]) -> bool {
    let mut i = 0;
    while i < bounds.len() {
        if !bounds[i].is_finite() || (i > 0 && bounds[i - 1] >= bounds[i]) {
            return false;
        }
        i += 1;
    }
    true
}

/// The number of a combination with one more label: the last label turns fastest.
#[inline]
pub fn next_digit<V: LabelValue>(index: usize, value: V) -> usize {
    index * V::VALUES.len() + value.index()
}

/// Keeps the catalogue of the global recorder; what could be wrong with it was checked by the compiler.
#[cold]
#[track_caller]
pub fn keep<T>(global: &'static OnceLock<T>, made: Result<T, Error>) -> &'static T {
    // Another thread may have been faster: its families are the same series.
    let made = start_up(made);
    let catalogue = global.get_or_init(|| made);
    // Only now: who listens to what is logged may ask for the catalogue.
    if Target::installed().is_some() {
        super::global::recorder_installed();
    }
    catalogue
}
