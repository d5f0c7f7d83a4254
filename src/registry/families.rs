//! [`Families`]: which name belongs to which family.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

use super::buckets::{BucketRules, Buckets};
use super::family::{About, Family, Kind};
use super::names::{check_metric_name, escaped_metric_name, mend_metric_name};
use crate::Error;
use crate::app::{FamilyDescription, FamilyKind, LabelDescription};

/// The kind of a family without its buckets: with a name, what call sites mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Counter,
    FractionalCounter,
    Gauge,
    InProgress,
    Histogram,
    #[cfg(feature = "summary")]
    Summary,
    Info,
}

impl Shape {
    /// The last one is in every build.
    const COUNT: usize = Self::Info as usize + 1;

    fn kind(self, buckets: impl FnOnce() -> Buckets) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::FractionalCounter => Kind::FractionalCounter,
            Self::Gauge => Kind::Gauge,
            Self::InProgress => Kind::InProgress,
            Self::Histogram => Kind::Histogram(buckets()),
            Self::Info => Kind::Info,
            #[cfg(feature = "summary")]
            Self::Summary => Kind::Summary,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Counter | Self::FractionalCounter => "counter",
            Self::Gauge | Self::InProgress => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
            #[cfg(feature = "summary")]
            Self::Summary => "summary",
        }
    }

    pub(crate) fn family_kind(self) -> FamilyKind {
        match self {
            Self::Counter | Self::FractionalCounter => FamilyKind::Counter,
            Self::Gauge | Self::InProgress => FamilyKind::Gauge,
            Self::Histogram => FamilyKind::Histogram,
            Self::Info => FamilyKind::Info,
            #[cfg(feature = "summary")]
            Self::Summary => FamilyKind::Summary,
        }
    }

    /// The names of the samples that a family of this shape puts on the page, or that a reader of
    /// OpenMetrics expects there.
    fn sample_names(self, name: &str) -> Vec<String> {
        let parts = self.kind(Buckets::default).parts();
        let names = [""].iter().chain(parts);
        names.map(|part| format!("{name}{part}")).collect()
    }
}

/// A family as code declares it, before its first series.
#[derive(Clone, Debug)]
pub(crate) struct FamilySpec {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) about: About,
    pub(crate) label_names: Vec<String>,
    /// The bounds, or what the registry's rules say.
    pub(crate) buckets: Option<Buckets>,
    pub(crate) exemplars: bool,
}

impl FamilySpec {
    /// As a reader of the page sees it; what values its labels can have is not said here.
    pub(crate) fn describe(&self) -> FamilyDescription {
        let mut family = FamilyDescription::new(&self.name, self.shape.family_kind());
        family.help = self.about.help.as_deref().unwrap_or_default().to_owned();
        family.unit = self.about.unit;
        let labels = self.label_names.iter().cloned();
        family.labels = labels.map(LabelDescription::new).collect();
        if let Some(buckets) = &self.buckets {
            family.buckets = buckets.bounds().to_vec();
        }
        family
    }
}

#[derive(Default)]
pub(super) struct Families {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// By shape and what call sites wrote; a counter and a gauge of one name are two families.
    by_source: [HashMap<String, Arc<Family>, RandomState>; Shape::COUNT],
    /// By what is on the page.
    by_name: BTreeMap<String, Arc<Family>>,
    sample_names: HashSet<String>,
    /// Descriptions, which may come before the family does.
    about: HashMap<(Shape, String), About>,
}

impl Families {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.read().by_name.len()
    }

    #[cfg(feature = "collect")]
    pub(super) fn has_sample_name(&self, name: &str) -> bool {
        self.read().sample_names.contains(name)
    }

    /// All families in the order of the page.
    pub(super) fn sorted(&self) -> Vec<Arc<Family>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Declares a family; the same twice is one, another one of that name is an error.
    pub(super) fn declare(&self, spec: &FamilySpec, rules: &BucketRules) -> Result<(), Error> {
        let FamilySpec {
            name,
            shape,
            about,
            label_names,
            buckets,
            exemplars,
        } = spec;
        check_metric_name(name)?;
        let buckets = || buckets.clone().unwrap_or_else(|| rules.of(name));
        let kind = shape.kind(buckets);
        let mut known = self.write();
        if let Some(family) = known.of(*shape, name) {
            family.redeclare(&kind, label_names, about)?;
            if *exemplars {
                family.keep_exemplars();
            }
            return Ok(());
        }
        if let Some(taken) = known.taken(*shape, name) {
            return Err(Error::new(format!(
                "{} {name:?} cannot be registered: the name {taken:?} is taken by another family of this registry",
                shape.name()
            )));
        }
        let family = Arc::new(Family::new(name.clone(), kind, about.clone()));
        family.redeclare(&family.kind, label_names, about)?;
        if *exemplars {
            family.keep_exemplars();
        }
        known.add(*shape, name, &family);
        Ok(())
    }

    /// The family that a macro's name means, made on first use under a name that can be read.
    pub(super) fn of(&self, shape: Shape, source: &str, rules: &BucketRules) -> Arc<Family> {
        if let Some(family) = self.read().of(shape, source) {
            return Arc::clone(family);
        }
        let mut known = self.write();
        if let Some(family) = known.of(shape, source) {
            return Arc::clone(family);
        }
        let (name, taken) = known.free_name(shape, source);
        let kind = shape.kind(|| rules.of(&name));
        let about = known
            .about
            .get(&(shape, source.to_owned()))
            .cloned()
            .unwrap_or_default();
        let family = Arc::new(Family::new(name, kind, about));
        known.add(shape, source, &family);
        drop(known);
        // Without the lock: who listens to warnings may record something in turn.
        if let Some(taken) = taken {
            tracing::warn!(
                "{} {source:?} is shown as {:?}: the name {taken:?} is taken by another family",
                shape.name(),
                family.name,
            );
        }
        family
    }

    /// Keeps what a family is about, whether it exists already or not; the last word counts.
    pub(super) fn describe(&self, shape: Shape, source: &str, about: About) {
        let mut known = self.write();
        if let Some(family) = known.of(shape, source) {
            family.describe(about.clone());
        }
        known.about.insert((shape, source.to_owned()), about);
    }
}

impl Known {
    fn add(&mut self, shape: Shape, source: &str, family: &Arc<Family>) {
        self.sample_names.extend(shape.sample_names(&family.name));
        self.by_name.insert(family.name.clone(), Arc::clone(family));
        self.by_source[shape as usize].insert(source.to_owned(), Arc::clone(family));
    }

    fn of(&self, shape: Shape, source: &str) -> Option<&Arc<Family>> {
        self.by_source[shape as usize].get(source)
    }

    /// A sample name of such a family that another family uses already.
    fn taken(&self, shape: Shape, name: &str) -> Option<String> {
        let mut names = shape.sample_names(name).into_iter();
        names.find(|name| self.sample_names.contains(name))
    }

    /// A name that nobody has, and the name that somebody has if it is not the one that was meant.
    fn free_name(&self, shape: Shape, source: &str) -> (String, Option<String>) {
        let mut name = mend_metric_name(source);
        let Some(taken) = self.taken(shape, &name) else {
            return (name, None);
        };
        name = escaped_metric_name(source);
        while self.taken(shape, &name).is_some() {
            name = escaped_metric_name(&name);
        }
        (name, Some(taken))
    }
}
