//! [`Checker`]: adds constant labels to the samples of a collector, sorts and limits them, a slice at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::vec;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::collect::index_sort::IndexSort;
use crate::collect::sampled::SampledFamily;
use crate::collect::samples::Samples;
use crate::model::kind::MetricKind;
use crate::model::label_text::label_pairs;

/// The rules for the samples of all collectors of a registry.
pub(crate) struct SampleRules {
    /// Rendered, in the text format.
    pub(crate) constant_labels: Arc<str>,
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
        families.sort_by(|a, b| {
            let (a, b) = (&a.family, &b.family);
            (a.len(), &a.name).cmp(&(b.len(), &b.name))
        });
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
            if let Some(checker) = &mut self.current {
                let family = match checker.advance(&self.rules.constant_labels, budget)? {
                    Ok(family) => family,
                    Err(reason) => return Some(Err(reason)),
                };
                self.dropped += checker.dropped;
                self.room -= family.len();
                if !family.is_empty() {
                    self.checked.push(Arc::new(family));
                }
                self.current = None;
            }
            let Some(family) = self.unchecked.next() else {
                return Some(Ok(Checked {
                    families: std::mem::take(&mut self.checked),
                    dropped: self.dropped,
                }));
            };
            match self.start(family, budget) {
                Ok(family) => self.current = family,
                Err(reason) => return Some(Err(reason)),
            }
        }
    }

    /// Starts the validation of a family; `None` if it has no series, because it is not exported then.
    fn start(
        &mut self,
        family: SampledFamily,
        budget: &mut Budget,
    ) -> Result<Option<FamilyChecker>, String> {
        /// The approximate cost of a family in nanoseconds.
        const FAMILY: usize = 300;
        budget.spend(FAMILY);
        let CheckedFamily { name, kind, .. } = &family.family;
        let owner: Arc<str> = name.as_str().into();
        for sample in kind.sample_names(name) {
            let own = (*kind, Arc::clone(&owner));
            let Some((other_kind, other)) = self.sample_names.insert(sample.clone(), own) else {
                continue;
            };
            let (other_kind, kind) = (other_kind.as_str(), kind.as_str());
            return Err(match *other == **name {
                true => format!(
                    "metric {name:?} is added as two types, {other_kind} and {kind}; use one"
                ),
                false => format!(
                    "{kind} {name:?} and {other_kind} {other:?} have both the sample name {sample:?}; rename one of \
                     them"
                ),
            });
        }
        if let Some(problem) = family.problem {
            return Err(problem);
        }
        let is_empty = family.family.is_empty();
        Ok((!is_empty).then(|| FamilyChecker::new(family, self.room)))
    }
}

/// A validation of one family.
pub(crate) struct FamilyChecker {
    sampled: SampledFamily,
    /// The next state of the family while it is built.
    built: CheckedFamily,
    stage: Stage,
    max_series: usize,
    /// The number of series beyond the maximum.
    pub(crate) dropped: u64,
}

enum Stage {
    /// Adds the constant labels.
    Labelling,
    Sorting(IndexSort),
    /// Builds the family from the sorted series.
    Building(IndexSort),
}

impl FamilyChecker {
    /// Of more than `max_series` series, the first in the order of the page stay.
    pub(crate) fn new(sampled: SampledFamily, max_series: usize) -> Self {
        Self {
            built: CheckedFamily::new(String::new(), sampled.family.kind, String::new()),
            sampled,
            stage: Stage::Labelling,
            max_series,
            dropped: 0,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.sampled.family.name
    }

    /// Continues the validation; `None` if the budget is spent first. The constant labels are in the text format.
    pub(crate) fn advance(
        &mut self,
        constant_labels: &str,
        budget: &mut Budget,
    ) -> Option<Result<CheckedFamily, String>> {
        if let Stage::Labelling = self.stage {
            if !constant_labels.is_empty()
                && let Err(reason) = self.add_labels(constant_labels, budget)?
            {
                return Some(Err(reason));
            }
            let family = &self.sampled.family;
            if self.sampled.is_sorted && family.len() <= self.max_series {
                return Some(Ok(self.take()));
            }
            self.built = family.without_series();
            self.stage = Stage::Sorting(IndexSort::new(family.len()));
        }
        if let Stage::Sorting(sort) = &mut self.stage {
            let family = &self.sampled.family;
            sort.advance(|a, b| family.labels(a).cmp(family.labels(b)), budget)?;
            let sort = std::mem::replace(sort, IndexSort::new(0));
            self.stage = Stage::Building(sort);
        }
        self.build(budget)
    }

    fn take(&mut self) -> CheckedFamily {
        let empty = CheckedFamily::new(String::new(), self.sampled.family.kind, String::new());
        std::mem::replace(&mut self.sampled.family, empty)
    }

    fn add_labels(
        &mut self,
        constant_labels: &str,
        budget: &mut Budget,
    ) -> Option<Result<(), String>> {
        /// The approximate cost of a series in nanoseconds.
        const SERIES: usize = 150;
        let family = &self.sampled.family;
        if self.built.is_empty() {
            self.built = family.without_series();
            self.sampled.is_sorted = true;
        }
        while self.built.len() < family.len() {
            if budget.is_spent() {
                return None;
            }
            budget.spend(SERIES);
            let i = self.built.len();
            let labels = family.labels(i);
            let written = self
                .built
                .write_labels(|text, _| merge_labels(text, labels, constant_labels, family));
            if let Err(reason) = written {
                return Some(Err(reason));
            }
            self.built.push_value_of(family, i);
            if let Some(before) = i.checked_sub(1) {
                self.sampled.is_sorted &= self.built.labels(before) < self.built.labels(i);
            }
        }
        std::mem::swap(&mut self.sampled.family, &mut self.built);
        Some(Ok(()))
    }

    fn build(&mut self, budget: &mut Budget) -> Option<Result<CheckedFamily, String>> {
        /// The approximate cost of a series in nanoseconds.
        const SERIES: usize = 60;
        let family = &self.sampled.family;
        let Stage::Building(sorted) = &self.stage else {
            return None;
        };
        while let Some(i) = sorted.get(self.built.len()) {
            let built = &mut self.built;
            if built.len() == self.max_series {
                self.dropped = (family.len() - built.len()) as u64;
                break;
            }
            if budget.is_spent() {
                return None;
            }
            budget.spend(SERIES);
            let labels = family.labels(i);
            if let Some(last) = built.len().checked_sub(1)
                && built.labels(last) == labels
            {
                return Some(Err(format!(
                    "series {:?} is added twice; add each series once",
                    family.series_name(labels)
                )));
            }
            built.push_copy(family, i);
        }
        std::mem::swap(&mut self.sampled.family, &mut self.built);
        Some(Ok(self.take()))
    }
}

/// Appends labels and constant labels, both sorted by name and in the text format, sorted by name. The label of a
/// state stays the last.
fn merge_labels(
    text: &mut String,
    labels: &str,
    constant: &str,
    family: &CheckedFamily,
) -> Result<(), String> {
    let name = &family.name;
    let mut constants = label_pairs(constant).peekable();
    let start = text.len();
    let mut push = |(label, value): (&str, &str)| {
        let comma = if text.len() == start { "" } else { "," };
        text.extend([comma, label, "=\"", value, "\""]);
    };
    for (label, value) in label_pairs(labels) {
        let is_state = family.kind == MetricKind::StateSet && label == name;
        while let Some(constant) = constants.next_if(|(other, _)| is_state || *other < label) {
            push(constant);
        }
        push((label, value));
        if is_state && label_pairs(constant).any(|(other, _)| other == label) {
            return Err(format!(
                "{name:?}: label {label:?} is a constant label of the registry; use another name"
            ));
        }
        // A constant label that the series already has is not a conflict if its value is the same.
        if let Some((_, other)) = constants.next_if(|(other, _)| *other == label)
            && other != value
        {
            return Err(format!(
                "{name:?}: label {label:?} is a constant label of the registry, with the value {other:?}; use \
                 another name"
            ));
        }
    }
    constants.for_each(&mut push);
    Ok(())
}
