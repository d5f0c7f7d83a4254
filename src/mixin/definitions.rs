//! [`Definitions`]: the families that a dashboard or a rule can ask for, by name.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::query::Labels;
use crate::Error;
use crate::app::{FamilyDescription, FamilyKind, LabelValues};

/// The families that a dashboard or a file of rules is made over.
///
/// Every name, label and value that a query asks for is looked up here when the file is made; what
/// is not here is an error that says what there is instead.
///
/// ```
/// use tower_prometheus::{HttpMetrics, mixin::Definitions};
///
/// let definitions = Definitions::new(HttpMetrics::server().families()?).common_label("service");
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "definitions do nothing until something is made over them"]
pub struct Definitions {
    families: Vec<FamilyDescription>,
    common: Vec<String>,
}

impl Definitions {
    /// The families of a layer, of a catalogue, of collectors, or of several of them.
    pub fn new(families: impl IntoIterator<Item = FamilyDescription>) -> Self {
        Self {
            families: families.into_iter().collect(),
            common: Vec::new(),
        }
    }

    /// Adds families to these; the same family twice is one.
    pub fn and(mut self, families: impl IntoIterator<Item = FamilyDescription>) -> Self {
        self.families.extend(families);
        self
    }

    /// A label that every series has beside `job` and `instance`: a constant one of the registry or
    /// the layer, or one that the scrape brings.
    pub fn common_label(mut self, name: impl Into<String>) -> Self {
        self.common.push(name.into());
        self
    }

    /// The families in the order they were given.
    #[must_use]
    pub fn families(&self) -> &[FamilyDescription] {
        &self.families
    }

    /// An index by name.
    ///
    /// # Errors
    ///
    /// When two different families have one name.
    pub(super) fn index(&self) -> Result<Known, Error> {
        let common = ["job", "instance"].map(Cow::Borrowed).into_iter();
        let common: BTreeSet<_> = common
            .chain(self.common.iter().map(|name| name.clone().into()))
            .map(|name: Cow<'static, str>| name.into_owned())
            .collect();
        let mut known = Known {
            by_name: BTreeMap::new(),
            common,
        };
        for family in &self.families {
            let entry = Entry::of(family, &known.common);
            let before = known.by_name.insert(family.name.clone(), entry.clone());
            if before.is_some_and(|before| before != entry) {
                return Err(Error::new(format!(
                    "there are two different families called {:?}",
                    family.name
                )));
            }
        }
        Ok(known)
    }
}

impl From<Vec<FamilyDescription>> for Definitions {
    fn from(families: Vec<FamilyDescription>) -> Self {
        Self::new(families)
    }
}

impl From<&[FamilyDescription]> for Definitions {
    fn from(families: &[FamilyDescription]) -> Self {
        Self::new(families.iter().cloned())
    }
}

impl From<&Vec<FamilyDescription>> for Definitions {
    fn from(families: &Vec<FamilyDescription>) -> Self {
        Self::from(families.as_slice())
    }
}

/// Families by their names.
#[derive(Clone, Debug)]
pub(super) struct Known {
    by_name: BTreeMap<String, Entry>,
    common: BTreeSet<String>,
}

/// What is known of a family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: FamilyKind,
    /// With the values of closed ones.
    pub(super) labels: BTreeMap<String, Option<Vec<String>>>,
    pub(super) buckets: Vec<f64>,
}

impl Entry {
    fn of(family: &FamilyDescription, common: &BTreeSet<String>) -> Self {
        let own = family.labels.iter().map(|label| {
            let values = match &label.values {
                LabelValues::Closed(values) => {
                    Some(values.iter().map(|value| value.to_string()).collect())
                }
                LabelValues::Open => None,
            };
            (label.name.to_string(), values)
        });
        let mut labels: BTreeMap<_, _> = own.collect();
        labels.extend(common.iter().map(|name| (name.clone(), None)));
        if family.kind == FamilyKind::Summary {
            labels.insert("quantile".to_owned(), None);
        }
        Self {
            kind: family.kind,
            labels,
            buckets: family.buckets.clone(),
        }
    }

    pub(super) fn label_names(&self) -> Labels {
        self.labels.keys().cloned().collect()
    }
}

impl Known {
    pub(super) fn family(&self, name: &str) -> Result<&Entry, Error> {
        self.by_name.get(name).ok_or_else(|| {
            let near = self.nearest(name);
            let near = near.map_or_else(String::new, |near| format!("; the nearest is {near:?}"));
            Error::new(format!(
                "there is no family {name:?} among the {} defined{near}",
                self.by_name.len()
            ))
        })
    }

    /// The families that a target always has: Prometheus makes them.
    pub(super) fn of_targets(&self) -> Entry {
        Entry {
            kind: FamilyKind::Gauge,
            labels: self.common.iter().map(|l| (l.clone(), None)).collect(),
            buckets: Vec::new(),
        }
    }

    /// Makes what a recording rule records known.
    pub(super) fn add_recorded(&mut self, name: &str, labels: Labels) -> Result<(), Error> {
        let entry = Entry {
            kind: FamilyKind::Gauge,
            labels: labels.into_iter().map(|label| (label, None)).collect(),
            buckets: Vec::new(),
        };
        let before = self.by_name.insert(name.to_owned(), entry.clone());
        if before.is_some_and(|before| before != entry) {
            return Err(Error::new(format!(
                "{name:?} is recorded twice with different labels, or is a family's name"
            )));
        }
        Ok(())
    }

    /// The name that shares the longest begin and end with this one.
    fn nearest(&self, name: &str) -> Option<&str> {
        let shared = |other: &str| {
            let same = |pair: &(u8, u8)| pair.0 == pair.1;
            let front = other.bytes().zip(name.bytes()).take_while(same).count();
            let back = other
                .bytes()
                .rev()
                .zip(name.bytes().rev())
                .take_while(same)
                .count();
            front + back
        };
        let names = self.by_name.keys().map(String::as_str);
        names.max_by_key(|other| shared(other))
    }
}
