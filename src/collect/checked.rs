//! [`CheckedFamily`]: a metric of a collector, validated and ready to export. [`Checker`] validates, a slice at a
//! time.

use std::collections::HashMap;
use std::collections::btree_map::{self, BTreeMap, Entry};
use std::sync::Arc;
use std::vec;

use metrics::Unit;

use crate::budget::Budget;
use crate::collect::histogram_sample::CheckedHistogram;
use crate::collect::samples::{Labels, Sampled, SampledFamily, Samples};
use crate::collect::summary_sample::CheckedSummary;
use crate::model::kind::MetricKind;
use crate::model::label_text::{label_text, series_prefix};
use crate::model::names::{check_label_name, check_metric_name, escape_label_value};
use crate::model::numbers::Number;

/// A validated family of a collector.
#[derive(Debug)]
pub(crate) struct CheckedFamily {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) help: Option<Arc<str>>,
    pub(crate) unit: Option<Unit>,
    /// Sorted by prefix, the order of the metrics page.
    pub(crate) samples: Vec<CheckedSample>,
}

#[derive(Clone, Debug)]
pub(crate) struct CheckedSample {
    /// The constant part of the lines: `a="1",b="2"` of a histogram or a summary, otherwise the line up to the
    /// value: `name{a="1",b="2"} `.
    pub(crate) prefix: String,
    pub(crate) value: CheckedValue,
}

#[derive(Clone, Debug)]
pub(crate) enum CheckedValue {
    Number(Number),
    Histogram(Arc<CheckedHistogram>),
    Summary(Arc<CheckedSummary>),
}

impl CheckedFamily {
    /// Returns the labels of sample `i` in the text format: `a="1",b="2"`.
    pub(crate) fn labels(&self, i: usize) -> &str {
        let prefix = &self.samples[i].prefix;
        match self.kind.has_suffixes() {
            true => prefix,
            false => prefix[self.name.len()..].trim_matches(['{', '}', ' ']),
        }
    }
}

/// A validation of the samples of a collector.
pub(crate) struct Checker {
    constant_labels: Arc<[(String, String)]>,
    /// The families that are not validated yet.
    unchecked: vec::IntoIter<SampledFamily>,
    current: Option<FamilyChecker>,
    /// All sample names, each with its family.
    sample_names: HashMap<String, (MetricKind, Arc<str>)>,
    checked: Vec<Arc<CheckedFamily>>,
}

impl Checker {
    pub(crate) fn new(samples: Samples, constant_labels: Arc<[(String, String)]>) -> Self {
        Self {
            constant_labels,
            checked: Vec::with_capacity(samples.families.len()),
            unchecked: samples.families.into_iter(),
            current: None,
            sample_names: HashMap::new(),
        }
    }

    /// Continues the validation. Returns the families in the order in which they were added, or the reason why
    /// one of them is invalid; `None` if the budget is spent first.
    pub(crate) fn advance(
        &mut self,
        budget: &mut Budget,
    ) -> Option<Result<Vec<Arc<CheckedFamily>>, String>> {
        loop {
            if let Some(family) = &mut self.current {
                match family.advance(&self.constant_labels, budget)? {
                    Ok(family) => self.checked.push(Arc::new(family)),
                    Err(reason) => return Some(Err(reason)),
                }
                self.current = None;
            }
            let Some(family) = self.unchecked.next() else {
                return Some(Ok(std::mem::take(&mut self.checked)));
            };
            match self.start(family) {
                Ok(family) => self.current = family,
                Err(reason) => return Some(Err(reason)),
            }
        }
    }

    /// Starts the validation of a family; `None` if it has no samples, because it is not exported then.
    fn start(&mut self, family: SampledFamily) -> Result<Option<FamilyChecker>, String> {
        let (name, kind) = (&*family.name, family.kind);
        let owner: Arc<str> = name.into();
        for sample in kind.sample_names(name) {
            let Some((other_kind, other)) = self
                .sample_names
                .insert(sample.clone(), (kind, Arc::clone(&owner)))
            else {
                continue;
            };
            let (other_kind, kind) = (other_kind.as_str(), kind.as_str());
            return Err(match *other == *name {
                true => format!(
                    "metric {name:?} is added as two types, {other_kind} and {kind}; use one"
                ),
                false => format!(
                    "{kind} {name:?} and {other_kind} {other:?} have both the sample name {sample:?}; rename one of \
                     them"
                ),
            });
        }
        (!family.samples.is_empty())
            .then(|| FamilyChecker::new(family))
            .transpose()
    }
}

/// A validation of one family.
struct FamilyChecker {
    /// Its samples are added when all are valid.
    family: CheckedFamily,
    unchecked: vec::IntoIter<(Labels, Sampled)>,
    by_prefix: BTreeMap<String, CheckedValue>,
    /// The samples that are not in `family` yet; `None` until all are valid.
    sorted: Option<btree_map::IntoIter<String, CheckedValue>>,
    /// The bounds of the latest histogram.
    bounds: Option<Arc<[f64]>>,
}

/// Validates one family without yielding.
pub(crate) fn check_family(
    family: SampledFamily,
    constant_labels: &[(String, String)],
) -> Result<CheckedFamily, String> {
    let mut checker = FamilyChecker::new(family)?;
    loop {
        if let Some(family) = checker.advance(constant_labels, &mut Budget::turn()) {
            return family;
        }
    }
}

impl FamilyChecker {
    fn new(family: SampledFamily) -> Result<Self, String> {
        let SampledFamily {
            name,
            kind,
            help,
            unit,
            samples,
        } = family;
        check_metric_name(&name).map_err(|error| error.to_string())?;
        if kind == MetricKind::StateSet {
            check_label_name(&name).map_err(|error| {
                format!("state set {name:?} needs a label with its name: {error}")
            })?;
        }
        Ok(Self {
            family: CheckedFamily {
                name,
                kind,
                help: (!help.is_empty()).then(|| help.into()),
                unit,
                samples: Vec::new(),
            },
            unchecked: samples.into_iter(),
            by_prefix: BTreeMap::new(),
            sorted: None,
            bounds: None,
        })
    }

    fn advance(
        &mut self,
        constant_labels: &[(String, String)],
        budget: &mut Budget,
    ) -> Option<Result<CheckedFamily, String>> {
        if let Err(reason) = self.check(constant_labels, budget)? {
            return Some(Err(reason));
        }
        self.keep(budget)?;
        let CheckedFamily {
            name,
            kind,
            help,
            unit,
            samples,
        } = &mut self.family;
        Some(Ok(CheckedFamily {
            name: std::mem::take(name),
            kind: *kind,
            help: help.take(),
            unit: *unit,
            samples: std::mem::take(samples),
        }))
    }

    /// Validates and sorts the samples.
    fn check(
        &mut self,
        constant_labels: &[(String, String)],
        budget: &mut Budget,
    ) -> Option<Result<(), String>> {
        /// The approximate cost of a sample in nanoseconds.
        const SAMPLE: usize = 400;
        while !budget.is_spent() {
            let Some((labels, value)) = self.unchecked.next() else {
                return Some(Ok(()));
            };
            budget.spend(SAMPLE);
            if let Err(reason) = self.add(labels, value, constant_labels) {
                return Some(Err(reason));
            }
        }
        None
    }

    /// Moves the sorted samples to the family.
    fn keep(&mut self, budget: &mut Budget) -> Option<()> {
        /// The approximate cost of a sample in nanoseconds.
        const SAMPLE: usize = 20;
        let sorted = self.sorted.get_or_insert_with(|| {
            self.family.samples.reserve_exact(self.by_prefix.len());
            std::mem::take(&mut self.by_prefix).into_iter()
        });
        while !budget.is_spent() {
            let Some((prefix, value)) = sorted.next() else {
                return Some(());
            };
            budget.spend(SAMPLE);
            self.family.samples.push(CheckedSample { prefix, value });
        }
        None
    }

    fn add(
        &mut self,
        labels: Labels,
        value: Sampled,
        constant_labels: &[(String, String)],
    ) -> Result<(), String> {
        let CheckedFamily { name, kind, .. } = &self.family;
        let labels = checked_labels(name, *kind, labels, constant_labels)?;
        let of_series = |reason| {
            let series = series_prefix(name, pairs(&labels));
            format!("{} {}: {reason}", kind.as_str(), series.trim_end())
        };
        match value {
            Sampled::Number(number) => {
                if *kind == MetricKind::Counter && !can_be_counted(number) {
                    return Err(format!(
                        "counter {name:?} must be 0 or more, got {}",
                        number.as_f64()
                    ));
                }
                let prefix = series_prefix(name, pairs(&labels));
                self.insert(prefix, CheckedValue::Number(number))
            }
            Sampled::Histogram(histogram) => {
                let histogram = histogram.check(self.bounds.as_ref()).map_err(of_series)?;
                self.bounds = Some(Arc::clone(&histogram.bounds));
                let value = CheckedValue::Histogram(Arc::new(histogram));
                self.insert(label_text(pairs(&labels)), value)
            }
            Sampled::Summary(summary) => {
                let summary = summary.check().map_err(of_series)?;
                let value = CheckedValue::Summary(Arc::new(summary));
                self.insert(label_text(pairs(&labels)), value)
            }
            Sampled::States(states, current) => {
                let current = current.map_err(|current| {
                    of_series(format!("its state {current:?} is not among {states:?}"))
                })?;
                let labels = label_text(pairs(&labels));
                for (i, state) in states.iter().enumerate() {
                    let prefix = state_prefix(&self.family.name, &labels, state);
                    let is_current = Number::Integer(u64::from(i == current));
                    self.insert(prefix, CheckedValue::Number(is_current))?;
                }
                Ok(())
            }
        }
    }

    fn insert(&mut self, prefix: String, value: CheckedValue) -> Result<(), String> {
        match self.by_prefix.entry(prefix) {
            Entry::Vacant(free) => {
                free.insert(value);
                Ok(())
            }
            Entry::Occupied(twice) => {
                let series = match self.family.kind.has_suffixes() {
                    true => format!("{}{{{}}}", self.family.name, twice.key()),
                    false => twice.key().trim_end().to_owned(),
                };
                Err(format!(
                    "series {series:?} is added twice; add each series once"
                ))
            }
        }
    }
}

fn can_be_counted(number: Number) -> bool {
    match number {
        Number::Integer(_) => true,
        Number::Float(x) => x >= 0.0,
    }
}

/// Validates the labels of a series and adds the constant labels.
fn checked_labels(
    name: &str,
    kind: MetricKind,
    mut labels: Labels,
    constant_labels: &[(String, String)],
) -> Result<Labels, String> {
    for (label, _) in &labels {
        check_label_name(label).map_err(|error| format!("{name:?}: {error}"))?;
    }
    let is_constant = |label: &str| constant_labels.iter().any(|(name, _)| name == label);
    if let Some((label, _)) = labels.iter().find(|(label, _)| is_constant(label)) {
        return Err(format!(
            "{name:?}: label {label:?} is a constant label of the registry; use another name"
        ));
    }
    labels.extend_from_slice(constant_labels);
    labels.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{name:?}: label {:?} is set twice", twice[0].0));
    }
    if kind == MetricKind::StateSet && labels.iter().any(|(label, _)| label == name) {
        return Err(format!(
            "state set {name:?}: the label {name:?} has the state; use another name for the other label"
        ));
    }
    Ok(labels)
}

fn pairs(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let labels = labels.iter();
    labels.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Formats the line of a state up to the value: `name{a="1",name="state"} `. The label of the state is the last,
/// so that the states of a state set are together when lines are sorted, as OpenMetrics requires.
fn state_prefix(name: &str, labels: &str, state: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut prefix = format!("{name}{{{labels}{comma}{name}=\"");
    escape_label_value(&mut prefix, state);
    prefix.push_str("\"} ");
    prefix
}
