//! [`Families`]: the families of a registry by name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

use crate::error::Error;
use crate::model::kind::Instrument;
use crate::model::names::{check_metric_name, escaped_metric_name, sanitize_metric_name};
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::registry::bucket_rules::BucketRules;
use crate::registry::family::Family;

#[derive(Default)]
pub(crate) struct Families {
    known: RwLock<FamilyIndex>,
}

#[derive(Default)]
struct FamilyIndex {
    /// By instrument and by the name at call sites, which can differ from the exported name. A counter and a
    /// gauge with the same name are two families.
    by_source: [HashMap<String, Arc<Family>, RandomState>; Instrument::COUNT],
    /// By exported name.
    by_name: BTreeMap<String, Arc<Family>>,
    sample_names: HashSet<String>,
    /// HELP and UNIT from macros, which may come before the family.
    described: HashMap<(Instrument, String), FamilyMetadata>,
}

impl Families {
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

    /// Registers a family. Registering the same definition again has no effect; another definition with the
    /// same name is an error.
    pub(crate) fn register(&self, spec: &FamilySpec, rules: &BucketRules) -> Result<(), Error> {
        let FamilySpec {
            name,
            instrument,
            metadata,
            label_names,
            buckets,
            exemplars,
        } = spec;
        check_metric_name(name)?;
        let buckets = buckets
            .clone()
            .unwrap_or_else(|| rules.of(*instrument, name));
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
                Arc::new(Family::new(name, *instrument, buckets.clone(), metadata))
            }
        };
        family.redefine(&buckets, label_names, metadata)?;
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
        rules: &BucketRules,
    ) -> Arc<Family> {
        if let Some(family) = self.read().of(instrument, source) {
            return Arc::clone(family);
        }
        let mut known = self.write();
        if let Some(family) = known.of(instrument, source) {
            return Arc::clone(family);
        }
        let (name, taken) = known.free_name(instrument, source);
        let buckets = rules.of(instrument, &name);
        let described = known.described.get(&(instrument, source.to_owned()));
        let metadata = described.cloned().unwrap_or_default();
        let family = Arc::new(Family::new(name, instrument, buckets, metadata));
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
        family
    }

    /// Stores HELP and UNIT of a family, which may be registered later. The last call applies.
    pub(crate) fn describe(&self, instrument: Instrument, source: &str, metadata: FamilyMetadata) {
        let mut known = self.write();
        if let Some(family) = known.of(instrument, source) {
            family.describe(metadata.clone());
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

    fn of(&self, instrument: Instrument, source: &str) -> Option<&Arc<Family>> {
        self.by_source[instrument as usize].get(source)
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
