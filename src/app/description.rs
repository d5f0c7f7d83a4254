//! [`FamilyDescription`]: a family as its definition says it, for tables, dashboards and rules.

use std::borrow::Cow;

use metrics::Unit;

/// One family of a catalogue or of a layer, read back from its definition.
///
/// Whatever is made from definitions (a table in a README, a dashboard, a rule) is made from this, so
/// that a renamed family or label cannot leave a dead panel behind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyDescription {
    /// The name on the page, with its prefix; for a counter with its `_total`.
    pub name: String,
    /// What it measures with.
    pub kind: FamilyKind,
    /// The HELP text.
    pub help: String,
    /// The unit, when there is one.
    pub unit: Option<Unit>,
    /// The labels in the order of the definition, without constant ones.
    pub labels: Vec<LabelDescription>,
    /// The upper bounds of a histogram, without `+Inf`; empty for every other kind.
    pub buckets: Vec<f64>,
}

impl FamilyDescription {
    /// A family without help, unit, labels or buckets.
    pub fn new(name: impl Into<String>, kind: FamilyKind) -> Self {
        Self {
            name: name.into(),
            kind,
            help: String::new(),
            unit: None,
            labels: Vec::new(),
            buckets: Vec::new(),
        }
    }
}

/// The type of a family, as OpenMetrics calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Is set, raised and lowered.
    Gauge,
    /// Counts samples by bucket.
    Histogram,
    /// A gauge at 1 whose labels tell what does not change while a process runs.
    Info,
    /// Quantiles computed by the process.
    Summary,
}

/// A label of a family and the values it can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelDescription {
    /// The name on the page.
    pub name: Cow<'static, str>,
    /// Which values there can be.
    pub values: LabelValues,
}

/// The values of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelValues {
    /// These and no others.
    Closed(Vec<Cow<'static, str>>),
    /// Any, up to a bound that the definition sets.
    Open,
}
