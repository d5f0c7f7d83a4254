//! [`Families`]: the families of a registry by name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;
use metrics::Unit;

use crate::error::Error;
use crate::model::kind::Instrument;
use crate::model::names::{
    check_metric_name, escaped_metric_name, is_metric_name, sanitize_metric_name,
};
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::registry::family::Family;
use crate::registry::histogram_rules::HistogramRules;
use crate::registry::utf8_names::Utf8Names;

#[derive(Default)]
pub(crate) struct Families {
    known: RwLock<FamilyIndex>,
    /// Whether names of macros that need UTF-8 are kept, in addition to the exported ones.
    keeps_utf8: bool,
}

#[derive(Default)]
struct FamilyIndex {
    /// By instrument and by the name at call sites, which can differ from the exported name. A counter and a
    /// gauge with the same name are two families.
    by_source: [HashMap<String, Arc<Family>, RandomState>; Instrument::COUNT],
    /// By exported name.
    by_name: BTreeMap<String, Arc<Family>>,
    sample_names: HashSet<String>,
    /// The names of samples that need UTF-8.
    utf8_sample_names: HashSet<String>,
    /// HELP and UNIT from macros, which may come before the family.
    described: HashMap<(Instrument, String), FamilyMetadata>,
}

impl Families {
    pub(crate) fn new(keeps_utf8: bool) -> Self {
        Self {
            keeps_utf8,
            ..Self::default()
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, FamilyIndex> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, FamilyIndex> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.read().by_name.len()
    }

    /// Returns all families, sorted by exported name.
    pub(crate) fn sorted(&self) -> Vec<Arc<Family>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Returns the family with this exported name, and its names at call sites.
    pub(crate) fn named(&self, name: &str) -> Option<(Arc<Family>, Vec<String>)> {
        let known = self.read();
        let family = known.by_name.get(name)?;
        let sources = known.by_source[family.instrument as usize].iter();
        let sources = sources.filter(|(_, other)| Arc::ptr_eq(other, family));
        let sources = sources.map(|(source, _)| source.clone()).collect();
        Some((Arc::clone(family), sources))
    }

    /// Registers a family. Registering the same definition again has no effect; another definition with the
    /// same name is an error.
    pub(crate) fn register(&self, spec: &FamilySpec, rules: &HistogramRules) -> Result<(), Error> {
        let FamilySpec {
            name,
            instrument,
            metadata,
            label_names,
            buckets,
            exemplars,
        } = spec;
        check_metric_name(name)?;
        let buckets = match (instrument, buckets) {
            (Instrument::Histogram, None) => Some(rules.buckets(name, metadata.unit).buckets),
            (_, buckets) => buckets.clone(),
        };
        let mut known = self.write();
        let family = match known.of(*instrument, name) {
            Some(family) => Arc::clone(family),
            None => {
                if let Some(taken) = known.taken(*instrument, name) {
                    return Err(Error::conflict(format!(
                        "{} {name:?} cannot be registered: the name {taken:?} is taken by another metric of this registry; \
                         use another name",
                        instrument.kind().as_str()
                    )));
                }
                let (name, metadata) = (name.clone(), metadata.clone());
                let family = Family::new(name.clone(), *instrument, buckets.clone(), metadata);
                let family = family.with_native(rules.native(*instrument, &name));
                Arc::new(with_windows(family, &name, rules))
            }
        };
        family.redefine(buckets.as_ref(), label_names, metadata)?;
        if *exemplars {
            family.keep_exemplars();
        }
        known.add(*instrument, name, &family);
        Ok(())
    }

    /// Returns the family for the name at a call site. On first use, registers it under a valid name that is
    /// not taken.
    pub(crate) fn of(
        &self,
        instrument: Instrument,
        source: &str,
        rules: &HistogramRules,
    ) -> Arc<Family> {
        if let Some(family) = self.read().of(instrument, source) {
            return Arc::clone(family);
        }
        let mut known = self.write();
        if let Some(family) = known.of(instrument, source) {
            return Arc::clone(family);
        }
        let (name, taken) = known.free_name(instrument, source);
        let metadata = known.description(instrument, source);
        let (sanitized, unit) = (sanitize_metric_name(source), metadata.unit);
        let is_histogram = instrument == Instrument::Histogram;
        let chosen = is_histogram.then(|| rules.buckets(&sanitized, unit));
        let is_guess = chosen.as_ref().is_some_and(|chosen| chosen.is_guess);
        let buckets = chosen.map(|chosen| chosen.buckets);
        let native = rules.native(instrument, &sanitized);
        let utf8_names = self
            .keeps_utf8
            .then(|| Utf8Names::new(known.add_utf8_name(instrument, source)));
        let family = Family::new(name, instrument, buckets, metadata)
            .with_native(native)
            .with_utf8_names(utf8_names);
        let family = Arc::new(with_windows(family, &sanitized, rules));
        known.add(instrument, source, &family);
        drop(known);
        // Outside the lock: a tracing subscriber may record metrics.
        if let Some(taken) = taken {
            tracing::warn!(
                "{} {source:?} is exported as {:?}: the name {taken:?} is taken by another metric; use another name",
                instrument.kind().as_str(),
                family.name,
            );
        }
        if is_guess {
            warn_of_guessed_buckets(source, unit);
        }
        family
    }

    /// Whether a histogram is registered for the name at a call site.
    #[cfg(feature = "summary")]
    pub(crate) fn has_histogram(&self, source: &str) -> bool {
        self.read().of(Instrument::Histogram, source).is_some()
    }

    /// Returns the unit that a macro has described for the name at a call site.
    #[cfg(feature = "summary")]
    pub(crate) fn described_unit(&self, instrument: Instrument, source: &str) -> Option<Unit> {
        self.read().description(instrument, source).unit
    }

    /// Stores HELP and UNIT of a family, which may be registered later. The last call applies.
    pub(crate) fn describe(&self, instrument: Instrument, source: &str, metadata: FamilyMetadata) {
        let mut known = self.write();
        let described = |known: &Instrument| known.described_as() == instrument;
        for instrument in Instrument::ALL.into_iter().filter(described) {
            if let Some(family) = known.of(instrument, source) {
                family.describe(metadata.clone());
            }
        }
        known
            .described
            .insert((instrument, source.to_owned()), metadata);
    }
}

impl FamilyIndex {
    fn add(&mut self, instrument: Instrument, source: &str, family: &Arc<Family>) {
        self.sample_names
            .extend(instrument.kind().sample_names(&family.name));
        self.by_name.insert(family.name.clone(), Arc::clone(family));
        self.by_source[instrument as usize].insert(source.to_owned(), Arc::clone(family));
    }

    /// Returns the name at a call site if it needs UTF-8 and is not taken.
    fn add_utf8_name(&mut self, instrument: Instrument, source: &str) -> Option<String> {
        if source.is_empty() || is_metric_name(source) {
            return None;
        }
        let names = instrument.kind().sample_names(source);
        let is_taken = |name| self.utf8_sample_names.contains(name);
        if names.iter().any(is_taken) {
            return None;
        }
        self.utf8_sample_names.extend(names);
        Some(source.to_owned())
    }

    fn of(&self, instrument: Instrument, source: &str) -> Option<&Arc<Family>> {
        self.by_source[instrument as usize].get(source)
    }

    /// Returns what macros have described for the name at a call site.
    fn description(&self, instrument: Instrument, source: &str) -> FamilyMetadata {
        let described = (instrument.described_as(), source.to_owned());
        self.described.get(&described).cloned().unwrap_or_default()
    }

    /// Returns a sample name of a new family with this instrument and name that another family already has.
    fn taken(&self, instrument: Instrument, name: &str) -> Option<String> {
        let mut names = instrument.kind().sample_names(name).into_iter();
        names.find(|name| self.sample_names.contains(name))
    }

    /// Returns a valid name that is not taken. If the sanitized name is taken, also returns the sample name
    /// that is taken.
    fn free_name(&self, instrument: Instrument, source: &str) -> (String, Option<String>) {
        let mut name = sanitize_metric_name(source);
        let Some(taken) = self.taken(instrument, &name) else {
            return (name, None);
        };
        name = escaped_metric_name(source);
        while self.taken(instrument, &name).is_some() {
            name = escaped_metric_name(&name);
        }
        (name, Some(taken))
    }
}

/// Adds the windows of a summary. `sanitized` is the name to which the rules apply.
#[cfg(feature = "summary")]
fn with_windows(family: Family, sanitized: &str, rules: &HistogramRules) -> Family {
    match family.instrument {
        Instrument::Summary => family.with_windows(rules.windows(sanitized)),
        _ => family,
    }
}

#[cfg(not(feature = "summary"))]
fn with_windows(family: Family, _: &str, _: &HistogramRules) -> Family {
    family
}

/// Warns that a histogram has the default buckets, although its unit is not known to be seconds.
fn warn_of_guessed_buckets(source: &str, unit: Option<Unit>) {
    let (why, advice) = match unit {
        None => (
            "its unit is not known".to_owned(),
            "describe it before its first observation, with its unit".to_owned(),
        ),
        Some(unit) => (
            format!("its unit is {}", unit.as_str()),
            format!("buckets_for_unit(Unit::{unit:?}, …)"),
        ),
    };
    tracing::warn!(
        "histogram {source:?}: {why} and no buckets are set, so it has the default buckets for seconds, 0.005 to 10; \
         set buckets_for({source:?}, …) when the registry is built, or {advice}"
    );
}
