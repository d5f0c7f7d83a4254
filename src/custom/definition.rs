//! [`Definition`]: a metric as defined in a catalogue, known at compile time.

use std::sync::OnceLock;

use metrics::Unit;

use crate::buckets;
use crate::custom::checks;
pub use crate::custom::checks::{LabelProblem, Problem, are_distinct, label_problem};
pub use crate::custom::destination::Destination;
use crate::custom::label_spec::LabelValue;
pub use crate::custom::label_spec::{LabelSpec, OpenValues, SpecValues};
use crate::error::Error;
use crate::error::start_up;
use crate::model::bounds::bounds_problem;
use crate::model::description::{FamilyDescription, LabelDescription};
use crate::model::kind::MetricKind;
use crate::model::unit::unit_of;
use crate::registry::hooks;
use crate::sink::Sink;

/// The definition of a metric, except its kind and its labels, which are in the field's type.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Definition {
    pub(super) name: &'static str,
    docs: &'static [&'static str],
    pub(super) unit: Option<Unit>,
    /// Empty if none are set.
    pub(super) buckets: &'static [f64],
    unconventional: bool,
}

/// Returns the name of a metric of a catalogue: a prefix and a field, with one underscore between them.
#[must_use]
pub const fn full_name(
    prefix: &str,
    adjacent: &'static str,
    separated: &'static str,
) -> &'static str {
    match prefix.as_bytes() {
        [] | [.., b'_'] => adjacent,
        _ => separated,
    }
}

impl Definition {
    /// Creates a definition from a name and the lines of the doc comment.
    pub const fn new(name: &'static str, docs: &'static [&'static str]) -> Self {
        Self {
            name,
            docs,
            unit: unit_of(name),
            buckets: &[],
            unconventional: false,
        }
    }

    /// Sets the full name, to which the prefix of the catalogue is not added.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        if self.unit.is_none() {
            self.unit = unit_of(name);
        }
        self
    }

    /// Sets the unit. By default it is the unit in which the name ends.
    pub const fn unit(mut self, unit: &Unit) -> Self {
        self.unit = Some(*unit);
        self
    }

    /// Sets the upper bounds of a histogram.
    pub const fn buckets(mut self, bounds: &'static [f64]) -> Self {
        self.buckets = bounds;
        self
    }

    /// Allows a counter without `_total`, an info without `_info`, and other metrics whose name ends in `_total`, `_sum`,
    /// `_count` or `_bucket`.
    pub const fn unconventional(mut self, yes: &bool) -> Self {
        self.unconventional = *yes;
        self
    }

    /// Returns why the definition is not allowed for a metric of this kind, or `None` if it is.
    #[must_use]
    pub const fn problem(
        &self,
        kind: MetricKind,
        labels: &[LabelSpec],
        states: &[&str],
    ) -> Option<Problem> {
        if let Some(problem) = checks::name_problem(self.name, kind, self.unconventional) {
            return Some(problem);
        }
        if self.docs.is_empty() {
            return Some(Problem::Help);
        }
        if matches!(kind, MetricKind::StateSet)
            && let Some(problem) = checks::state_problem(self.name, labels, states)
        {
            return Some(problem);
        }
        let is_histogram = matches!(kind, MetricKind::Histogram);
        match (is_histogram, self.buckets) {
            (false, []) => None,
            (false, _) => Some(Problem::BucketsOfOther),
            (true, []) => match self.unit {
                Some(Unit::Seconds) => None,
                _ => Some(Problem::BucketsMissing),
            },
            (true, bounds) if bounds_problem(bounds).is_none() => None,
            (true, _) => Some(Problem::BucketsWrong),
        }
    }

    /// The buckets of a metric of this kind, with the default for histograms.
    pub(super) const fn bounds(&self, kind: MetricKind) -> &'static [f64] {
        match (kind, self.buckets) {
            (MetricKind::Histogram, []) => &buckets::DEFAULT,
            (_, bounds) => bounds,
        }
    }

    /// The HELP text: the first paragraph of the doc comment.
    pub(super) fn help(&self) -> String {
        let lines = self.docs.iter().flat_map(|text| text.split('\n'));
        let paragraph = lines
            .map(str::trim)
            .skip_while(|line| line.is_empty())
            .take_while(|line| !line.is_empty());
        paragraph.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn describe(&self, kind: MetricKind, labels: &[LabelSpec]) -> FamilyDescription {
        let label = |label: &LabelSpec| {
            let description = LabelDescription::new(label.name);
            match label.values {
                SpecValues::Closed(values) => description.values(values.iter().copied()),
                SpecValues::Open(_) => description,
            }
        };
        FamilyDescription {
            name: self.name.to_owned(),
            kind,
            help: self.help(),
            unit: self.unit,
            labels: labels.iter().map(label).collect(),
            buckets: self.bounds(kind).to_vec(),
            native: false,
        }
    }
}

/// Appends one label to a row-major index; the last label varies fastest.
#[inline]
pub fn next_digit<V: LabelValue>(index: usize, value: V) -> usize {
    index * V::VALUES.len() + value.index()
}

/// Stores the catalogue of the global recorder. Panics if it could not be defined, which does not happen: all
/// reasons are checked at compile time.
#[cold]
#[track_caller]
pub fn keep<T>(global: &'static OnceLock<T>, made: Result<T, Error>) -> &'static T {
    // Another thread may have stored its catalogue first. Its metrics record into the same series.
    let made = start_up(made);
    let catalogue = global.get_or_init(|| made);
    // After `get_or_init`: a hook may log, and a `tracing` subscriber may use this catalogue.
    if Sink::installed().is_some() {
        hooks::recorder_installed();
    }
    catalogue
}
