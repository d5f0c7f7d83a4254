//! [`CheckedFamily`]: a metric of a collector, validated and ready to export. [`Checker`] validates, a slice at a
//! time.

use std::collections::HashMap;
use std::collections::btree_map::{self, BTreeMap, Entry};
use std::sync::Arc;
use std::vec;

use metrics::Unit;

use crate::budget::Budget;
use crate::collect::histogram_sample::CheckedHistogram;
use crate::collect::sampled::{Labels, Sampled, SampledFamily};
use crate::collect::samples::Samples;
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

    /// Returns name and labels of a series for messages.
    pub(crate) fn series_name(&self, prefix: &str) -> String {
        match self.kind.has_suffixes() {
            true if prefix.is_empty() => self.name.clone(),
            true => format!("{}{{{prefix}}}", self.name),
            false => prefix.trim_end().to_owned(),
        }
    }

    /// Returns the family without samples, and memory for `capacity` samples.
    pub(crate) fn without_samples(&self, capacity: usize) -> Self {
        Self {
            name: self.name.clone(),
            kind: self.kind,
            help: self.help.clone(),
            unit: self.unit,
            samples: Vec::with_capacity(capacity),
        }
    }
}

/// What applies to the samples of every collector of a registry.
pub(crate) struct SampleRules {
    pub(crate) constant_labels: Vec<(String, String)>,
    /// The maximum number of series of a collector.
    pub(crate) max_series: usize,
}

/// The validated samples of a collector.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) families: Vec<Arc<CheckedFamily>>,
    /// The number of series beyond the maximum.
    pub(crate) dropped: u64,
}

/// A validation of the samples of a collector.
pub(crate) struct Checker {
    rules: Arc<SampleRules>,
    /// The families that are not validated yet.
    unchecked: vec::IntoIter<SampledFamily>,
    current: Option<FamilyChecker>,
    /// All sample names, each with its family.
    sample_names: HashMap<String, (MetricKind, Arc<str>)>,
    /// How many more series the collector may have.
    room: usize,
    dropped: u64,
    checked: Vec<Arc<CheckedFamily>>,
}

impl Checker {
    pub(crate) fn new(samples: Samples, rules: Arc<SampleRules>) -> Self {
        let mut families = samples.families;
        // If there are too many series, the families with the fewest stay complete, whatever their order.
        families.sort_by(|a, b| (a.samples.len(), &a.name).cmp(&(b.samples.len(), &b.name)));
        Self {
            room: rules.max_series,
            rules,
            checked: Vec::with_capacity(families.len()),
            unchecked: families.into_iter(),
            current: None,
            sample_names: HashMap::new(),
            dropped: 0,
        }
    }

    /// Continues the validation. Returns the reason if a family is invalid; `None` if the budget is spent first.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> Option<Result<Checked, String>> {
        loop {
            if let Some(family) = &mut self.current {
                let checked = family.advance(&self.rules.constant_labels, budget)?;
                self.dropped += family.dropped;
                match checked {
                    Ok(family) if family.samples.is_empty() => {}
                    Ok(family) => {
                        self.room -= family.samples.len();
                        self.checked.push(Arc::new(family));
                    }
                    Err(reason) => return Some(Err(reason)),
                }
                self.current = None;
            }
            let Some(family) = self.unchecked.next() else {
                return Some(Ok(Checked {
                    families: std::mem::take(&mut self.checked),
                    dropped: self.dropped,
                }));
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
            .then(|| FamilyChecker::new(family, self.room))
            .transpose()
    }
}

/// A validation of one family.
pub(crate) struct FamilyChecker {
    /// Its samples are added when all are valid.
    family: CheckedFamily,
    unchecked: vec::IntoIter<(Labels, Sampled)>,
    by_prefix: BTreeMap<String, CheckedValue>,
    /// The samples that are not in `family` yet; `None` until all are valid.
    sorted: Option<btree_map::IntoIter<String, CheckedValue>>,
    /// The bounds of the latest histogram.
    bounds: Option<Arc<[f64]>>,
    max_series: usize,
    /// The number of series beyond the maximum.
    dropped: u64,
}

impl FamilyChecker {
    /// Of more than `max_series` series, the first in the order of the page stay.
    pub(crate) fn new(family: SampledFamily, max_series: usize) -> Result<Self, String> {
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
            max_series,
            dropped: 0,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.family.name
    }

    /// Continues the validation; `None` if the budget is spent first.
    pub(crate) fn advance(
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
            }
            Entry::Occupied(twice) => {
                return Err(format!(
                    "series {:?} is added twice; add each series once",
                    self.family.series_name(twice.key())
                ));
            }
        }
        if self.by_prefix.len() > self.max_series {
            self.by_prefix.pop_last();
            self.dropped += 1;
        }
        Ok(())
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
