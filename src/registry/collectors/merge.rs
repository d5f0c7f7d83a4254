//! [`CollectorMerge`]: the families of all collectors of a page, merged and checked for conflicts, a slice at a time.

use std::collections::HashMap;
use std::collections::btree_map::{self, BTreeMap};
use std::sync::Arc;

use metrics::Unit;

use crate::budget::Budget;
use crate::collect::checked::CheckedFamily;
use crate::collect::checker::FamilyChecker;
use crate::collect::sampled::SampledFamily;
use crate::collect::samples::CollectorResult;
use crate::model::family_unit::FamilyUnit;
use crate::model::kind::MetricKind;
use crate::model::numbers::Number;
use crate::registry::collectors::call::{Report, warn_of};
use crate::registry::collectors::collection::Collected;

pub(crate) const SUCCESS: &str = "scrape_collector_success";
pub(crate) const DURATION: &str = "scrape_collector_duration_seconds";
pub(crate) const DROPPED: &str = "scrape_collector_dropped_series";

/// The approximate cost of checking or adding a family in nanoseconds.
const FAMILY: usize = 500;

/// The approximate cost in nanoseconds of finding or adding a sample of a family that several collectors share.
const SHARED_SAMPLE: usize = 300;

/// A merge of the reports of collectors. A family that several of them share has the samples of all.
///
/// The reports are merged in the order of registration. If one conflicts with the metrics before it, none of its
/// metrics are exported.
pub(crate) struct CollectorMerge {
    collected: Collected,
    /// Rendered, in the text format.
    constant_labels: Arc<str>,
    /// Whether a metric that no collector reports has this sample name.
    is_taken: Box<dyn Fn(&str) -> bool + Send>,
    stage: Stage,
    /// Whether each report so far is exported.
    successes: Vec<bool>,
    /// All sample names, each with the report that has it first.
    sample_names: HashMap<String, usize>,
    by_name: BTreeMap<String, MergedFamily>,
    merged: Vec<Arc<CheckedFamily>>,
}

enum Stage {
    /// Checks sample `sample` of family `family` of the next report.
    Checking { family: usize, sample: usize },
    /// Adds sample `sample` of family `family` of the next report.
    Adding { family: usize, sample: usize },
    /// Validates the families about collectors.
    AboutCollectors(Vec<FamilyChecker>),
    /// Moves the families to the result, and builds those that are shared.
    Sorting(Option<Box<SharedFamily>>),
}

/// A family with the reports that have it.
struct MergedFamily {
    /// The report, and its family.
    parts: Vec<(usize, Arc<CheckedFamily>)>,
    /// The series of all parts by their labels; unused while there is only one part.
    series: BTreeMap<String, SeriesId>,
}

/// The indices of a part and of a series of that part.
type SeriesId = (usize, usize);

/// A shared family while it is built.
struct SharedFamily {
    family: CheckedFamily,
    parts: Vec<(usize, Arc<CheckedFamily>)>,
    unbuilt: btree_map::IntoIter<String, SeriesId>,
}

impl CollectorMerge {
    /// `is_taken` tells whether another metric of the page has a sample name.
    pub(crate) fn new(
        collected: Collected,
        constant_labels: Arc<str>,
        is_taken: impl Fn(&str) -> bool + Send + 'static,
    ) -> Self {
        let sorting = collected.is_empty();
        Self {
            collected,
            constant_labels,
            is_taken: Box::new(is_taken),
            stage: match sorting {
                true => Stage::Sorting(None),
                false => Stage::CHECKING,
            },
            successes: Vec::new(),
            sample_names: HashMap::new(),
            by_name: BTreeMap::new(),
            merged: Vec::new(),
        }
    }

    /// Continues the merge. Returns the families sorted by name, `None` if the budget is spent first.
    pub(crate) fn advance(&mut self, budget: &mut Budget) -> Option<Vec<Arc<CheckedFamily>>> {
        loop {
            match self.stage {
                Stage::Checking { .. } => self.check(budget)?,
                Stage::Adding { .. } => self.add(budget)?,
                Stage::AboutCollectors(_) => self.about_collectors(budget)?,
                Stage::Sorting(_) => {
                    self.sort(budget)?;
                    return Some(std::mem::take(&mut self.merged));
                }
            }
        }
    }

    /// Ends the merge of a report.
    fn end_report(&mut self, success: bool) {
        self.successes.push(success);
        self.stage = match self.successes.len() < self.collected.reports().len() {
            true => Stage::CHECKING,
            false => Stage::AboutCollectors(self.start_about_collectors()),
        };
    }

    /// Checks the next report for conflicts.
    fn check(&mut self, budget: &mut Budget) -> Option<()> {
        let next = self.successes.len();
        let report = Arc::clone(&self.collected.reports()[next]);
        let success = match &report.families {
            Err(_) => false,
            Ok(families) => match self.find_conflict(families, budget)? {
                None => {
                    self.stage = Stage::Adding {
                        family: 0,
                        sample: 0,
                    };
                    return Some(());
                }
                Some(reason) => {
                    warn_of(&report.collector, &reason);
                    false
                }
            },
        };
        self.end_report(success);
        Some(())
    }

    /// Returns the reason why a report cannot be exported; `Some(None)` if it can.
    fn find_conflict(
        &mut self,
        families: &[Arc<CheckedFamily>],
        budget: &mut Budget,
    ) -> Option<Option<String>> {
        let reports = self.collected.reports();
        let Stage::Checking { family: i, sample } = &mut self.stage else {
            return Some(None);
        };
        while let Some(family) = families.get(*i) {
            if *sample == 0 {
                budget.spend(FAMILY);
                let reason = match self.by_name.get(&family.name) {
                    Some(known) => known.difference(family, reports),
                    None => taken(family, &self.is_taken, &self.sample_names, reports),
                };
                if reason.is_some() {
                    return Some(reason);
                }
            }
            if let Some(known) = self.by_name.get_mut(&family.name) {
                known.index_first_part(budget)?;
                while *sample < family.len() {
                    if budget.is_spent() {
                        return None;
                    }
                    budget.spend(SHARED_SAMPLE);
                    let labels = family.labels(*sample);
                    if let Some((part, _)) = known.series.get(labels) {
                        let (report, _) = known.parts[*part];
                        return Some(Some(format!(
                            "series {:?} is also reported by collector {:?}; tell them apart by a label",
                            family.series_name(labels),
                            reports[report].collector
                        )));
                    }
                    *sample += 1;
                }
            }
            *i += 1;
            *sample = 0;
            if budget.is_spent() {
                return None;
            }
        }
        Some(None)
    }

    /// Adds the next report, which has no conflicts.
    fn add(&mut self, budget: &mut Budget) -> Option<()> {
        let next = self.successes.len();
        let report = Arc::clone(&self.collected.reports()[next]);
        if let Stage::Adding { family: i, sample } = &mut self.stage {
            while let Some(family) = report.families.as_ref().ok().and_then(|all| all.get(*i)) {
                if budget.is_spent() {
                    return None;
                }
                match self.by_name.get_mut(&family.name) {
                    None => {
                        budget.spend(FAMILY);
                        let names = family.kind.sample_names(&family.name);
                        let names = names.into_iter().map(|name| (name, next));
                        self.sample_names.extend(names);
                        let merged = MergedFamily::new(Arc::clone(family), next);
                        self.by_name.insert(family.name.clone(), merged);
                    }
                    Some(known) => {
                        let part = known.parts.len();
                        while *sample < family.len() {
                            if budget.is_spent() {
                                return None;
                            }
                            budget.spend(SHARED_SAMPLE);
                            let labels = family.labels(*sample).to_owned();
                            known.series.insert(labels, (part, *sample));
                            *sample += 1;
                        }
                        known.parts.push((next, Arc::clone(family)));
                    }
                }
                *i += 1;
                *sample = 0;
            }
        }
        self.end_report(true);
        Some(())
    }

    /// Returns the results of all collectors and of their nested collectors, sorted by name.
    fn results(&self) -> Vec<CollectorResult> {
        let mut results = Vec::new();
        for (report, success) in self.collected.reports().iter().zip(&self.successes) {
            results.push(CollectorResult {
                name: report.collector.to_string(),
                success: *success,
                seconds: report.seconds,
                dropped: report.dropped,
            });
            results.extend(report.nested.iter().map(|nested| CollectorResult {
                name: nested.name_in(&report.collector),
                success: *success && nested.success,
                seconds: nested.seconds,
                dropped: nested.dropped,
            }));
        }
        // A collector `a/b` has the same name as the collector `b` of a registry `a`.
        results.sort_by(|a, b| a.name.cmp(&b.name));
        results.dedup_by(|other, kept| {
            let is_same = other.name == kept.name;
            if is_same {
                kept.success &= other.success;
                kept.seconds = kept.seconds.max(other.seconds);
                kept.dropped += other.dropped;
            }
            is_same
        });
        results
    }

    /// Returns the validations of the families [`SUCCESS`], [`DURATION`] and [`DROPPED`].
    fn start_about_collectors(&self) -> Vec<FamilyChecker> {
        let results = self.results();
        let success = about_collectors(
            SUCCESS,
            "Whether the collector succeeded (1) or its metrics are missing (0).",
            None,
            results.iter(),
            |result| Number::Integer(u64::from(result.success)),
        );
        let duration = about_collectors(
            DURATION,
            "Run time of the collector in seconds, until it ended or timed out.",
            Some(Unit::Seconds),
            results.iter(),
            |result| Number::Float(result.seconds),
        );
        let dropped = results.iter();
        let dropped = about_collectors(
            DROPPED,
            "Number of series of the collector that are not exported, because it has more than its maximum.",
            None,
            dropped.filter(|result| result.success && result.dropped > 0),
            |result| Number::Integer(result.dropped),
        );
        let families = [dropped, duration, success].into_iter();
        let families = families.filter(|sampled| !sampled.family.is_empty());
        let free = families.filter(|sampled| {
            let name = &sampled.family.name;
            let is_free = !(self.is_taken)(name);
            if !is_free {
                warn_omitted(name, "the name is taken by another metric");
            }
            is_free
        });
        free.map(|sampled| FamilyChecker::new(sampled, usize::MAX))
            .collect()
    }

    fn about_collectors(&mut self, budget: &mut Budget) -> Option<()> {
        if let Stage::AboutCollectors(checkers) = &mut self.stage {
            while let Some(checker) = checkers.last_mut() {
                match checker.advance(&self.constant_labels, budget)? {
                    Ok(family) => {
                        let name = family.name.clone();
                        let merged = MergedFamily::new(Arc::new(family), 0);
                        self.by_name.insert(name, merged);
                    }
                    Err(reason) => warn_omitted(checker.name(), &reason),
                }
                checkers.pop();
            }
        }
        self.stage = Stage::Sorting(None);
        Some(())
    }

    fn sort(&mut self, budget: &mut Budget) -> Option<()> {
        let Stage::Sorting(shared) = &mut self.stage else {
            return Some(());
        };
        loop {
            if let Some(shared) = shared {
                shared.build(budget)?;
            }
            let built = shared.take();
            self.merged
                .extend(built.map(|shared| Arc::new(shared.family)));
            if budget.is_spent() {
                return None;
            }
            budget.spend(FAMILY / 4);
            let Some((_, MergedFamily { mut parts, series })) = self.by_name.pop_first() else {
                return Some(());
            };
            match parts.len() {
                1 => self.merged.extend(parts.pop().map(|(_, family)| family)),
                _ => {
                    *shared = Some(Box::new(SharedFamily {
                        family: parts[0].1.without_series(),
                        parts,
                        unbuilt: series.into_iter(),
                    }));
                }
            }
        }
    }
}

impl Stage {
    const CHECKING: Self = Self::Checking {
        family: 0,
        sample: 0,
    };
}

impl SharedFamily {
    fn build(&mut self, budget: &mut Budget) -> Option<()> {
        while !budget.is_spent() {
            let Some((_, (part, series))) = self.unbuilt.next() else {
                return Some(());
            };
            budget.spend(SHARED_SAMPLE / 4);
            self.family.push_copy(&self.parts[part].1, series);
        }
        None
    }
}

impl MergedFamily {
    fn new(family: Arc<CheckedFamily>, report: usize) -> Self {
        Self {
            parts: vec![(report, family)],
            series: BTreeMap::new(),
        }
    }

    /// Adds the series of the first part to the index, if they are not there yet.
    fn index_first_part(&mut self, budget: &mut Budget) -> Option<()> {
        let (_, first) = &self.parts[0];
        while self.series.len() < first.len() {
            if budget.is_spent() {
                return None;
            }
            budget.spend(SHARED_SAMPLE);
            let i = self.series.len();
            self.series.insert(first.labels(i).to_owned(), (0, i));
        }
        Some(())
    }

    /// Returns how a family with the same name differs, if it cannot be shared.
    fn difference(&self, family: &CheckedFamily, reports: &[Arc<Report>]) -> Option<String> {
        let (report, first) = &self.parts[0];
        let report = &reports[*report];
        let help = |family: &CheckedFamily| family.help.clone().unwrap_or_default();
        let unit = |family: &CheckedFamily| {
            let unit = family.unit.as_ref();
            unit.map_or("none", FamilyUnit::as_str).to_owned()
        };
        let (what, theirs, own) = if first.kind != family.kind {
            let (theirs, own) = (first.kind.as_str(), family.kind.as_str());
            ("type", theirs.to_owned(), own.to_owned())
        } else if first.unit != family.unit {
            ("unit", unit(first), unit(family))
        } else if first.help != family.help {
            let (theirs, own) = (help(first), help(family));
            ("HELP", format!("{theirs:?}"), format!("{own:?}"))
        } else {
            return None;
        };
        Some(format!(
            "{:?} has the {what} {own} here and {theirs} in collector {:?}; make them equal, or use another name",
            family.name, report.collector
        ))
    }
}

/// Returns why a family cannot be exported, if one of its sample names is taken.
fn taken(
    family: &CheckedFamily,
    is_taken: &dyn Fn(&str) -> bool,
    sample_names: &HashMap<String, usize>,
    reports: &[Arc<Report>],
) -> Option<String> {
    let mut names = family.kind.sample_names(&family.name).into_iter();
    names.find_map(|name| {
        let owner = sample_names.get(&name).map(|report| &reports[*report]);
        if let Some(owner) = owner {
            let owner = &owner.collector;
            return Some(format!(
                "the name {name:?} is taken by a metric of collector {owner:?}; use another name"
            ));
        }
        let is_about_collectors = [SUCCESS, DURATION, DROPPED].contains(&&*name);
        (is_about_collectors || is_taken(&name)).then(|| {
            format!(
                "the name {name:?} is taken by another metric, which no collector reports; use another name"
            )
        })
    })
}

/// Returns a gauge with the label `collector`.
fn about_collectors<'a>(
    name: &str,
    help: &str,
    unit: Option<Unit>,
    results: impl Iterator<Item = &'a CollectorResult>,
    number: impl Fn(&CollectorResult) -> Number,
) -> SampledFamily {
    let mut family = SampledFamily::new(name.to_owned(), MetricKind::Gauge, help.to_owned());
    family.family.unit = unit.map(FamilyUnit::Known);
    for result in results {
        family.push_number(&[("collector", &result.name)], number(result));
    }
    family
}

fn warn_omitted(name: &str, reason: &str) {
    tracing::warn!("{name} is not exported: {reason}");
}
