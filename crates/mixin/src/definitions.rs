//! [`Definitions`]: the metric families that a dashboard or a rule can query, by name.

use std::collections::{BTreeMap, BTreeSet};

use tower_prometheus::model::{FamilyDescription, LabelValues, MetricKind};

use crate::error::Error;
use crate::text::LabelNames;

/// The metric families that a dashboard or a file of rules can query.
///
/// When a file is generated, every metric name, label and label value of its queries is looked up here. If one is not
/// defined, generation fails with an error that lists the alternatives.
///
/// A `Vec` or a slice of [`FamilyDescription`]s, as `families()` of a layer returns, converts into definitions.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus_mixin::Definitions;
///
/// let definitions = Definitions::new(HttpMetrics::server().families()?).common_label("service");
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "definitions do nothing until a dashboard or rules use them"]
pub struct Definitions {
    families: Vec<FamilyDescription>,
    common_labels: Vec<String>,
    without_instance: bool,
}

impl Definitions {
    /// Creates definitions from the families of a layer, a catalogue or collectors.
    pub fn new(families: impl IntoIterator<Item = FamilyDescription>) -> Self {
        Self {
            families: families.into_iter().collect(),
            common_labels: Vec::new(),
            without_instance: false,
        }
    }

    /// Adds more families.
    ///
    /// A family may be added twice. If two different families have the same name, generating a file returns an error.
    pub fn and(mut self, families: impl IntoIterator<Item = FamilyDescription>) -> Self {
        self.families.extend(families);
        self
    }

    /// Adds a label that every series has, besides `job` and `instance`.
    ///
    /// Examples are a constant label of the registry or the layer, and a label that Prometheus adds to the target.
    pub fn common_label(mut self, name: impl Into<String>) -> Self {
        self.common_labels.push(name.into());
        self
    }

    /// Removes the label `instance` from every series, for jobs whose metrics are pushed.
    ///
    /// A Pushgateway's series have no `instance` if it is scraped with
    /// [`honor_labels`](crate::ScrapeJob::honor_labels). A dashboard then has no variable `instance`, and its queries do not
    /// select an instance. With a matcher for `instance`, every panel would be empty.
    /// [`RuleGroup::health`](crate::RuleGroup::health) omits the alerts on `up`, because the Pushgateway is the target,
    /// not the job.
    pub fn without_instance(mut self) -> Self {
        self.without_instance = true;
        self
    }

    pub(crate) fn has_instance(&self) -> bool {
        !self.without_instance
    }

    /// Adds everything of `more` to these definitions.
    pub(crate) fn merge(&mut self, more: Self) {
        self.families.extend(more.families);
        self.common_labels.extend(more.common_labels);
        self.without_instance |= more.without_instance;
    }

    /// Returns the families in the order in which they were added, including duplicates.
    #[must_use]
    pub fn families(&self) -> &[FamilyDescription] {
        &self.families
    }

    /// Builds an index of the families by name. Returns an error if two different families have the same name.
    pub(crate) fn index(&self) -> Result<FamilyIndex, Error> {
        let target = ["job", "instance"].into_iter();
        let target = target.filter(|label| self.has_instance() || *label != "instance");
        let common = target.map(str::to_owned);
        let mut index = FamilyIndex {
            by_name: BTreeMap::new(),
            common_labels: common.chain(self.common_labels.iter().cloned()).collect(),
        };
        for family in &self.families {
            let indexed = IndexedFamily::new(family, &index.common_labels);
            let before = index.by_name.insert(family.name.clone(), indexed.clone());
            if before.is_some_and(|before| before != indexed) {
                return Err(Error::new(format!(
                    "{:?} is the name of two different metric families; rename one",
                    family.name
                )));
            }
        }
        Ok(index)
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

/// Metric families by name, and the series of recording rules.
#[derive(Clone, Debug)]
pub(crate) struct FamilyIndex {
    by_name: BTreeMap<String, IndexedFamily>,
    common_labels: BTreeSet<String>,
}

/// The parts of a family's definition that queries are checked against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IndexedFamily {
    pub(crate) kind: MetricKind,
    /// Label names, with the values of labels that have a fixed set of values.
    pub(crate) labels: BTreeMap<String, Option<Vec<String>>>,
    pub(crate) buckets: Vec<f64>,
}

impl IndexedFamily {
    fn new(family: &FamilyDescription, common_labels: &BTreeSet<String>) -> Self {
        let labels = family.labels.iter().map(|label| {
            let values = match &label.values {
                LabelValues::Closed(values) => {
                    Some(values.iter().map(|value| value.to_string()).collect())
                }
                _ => None,
            };
            (label.name.to_string(), values)
        });
        let mut labels: BTreeMap<_, _> = labels.collect();
        labels.extend(common_labels.iter().map(|name| (name.clone(), None)));
        if family.kind == MetricKind::Summary {
            labels.insert("quantile".to_owned(), None);
        }
        Self {
            kind: family.kind,
            labels,
            buckets: family.buckets.clone(),
        }
    }

    /// Returns a gauge whose labels can have any value.
    fn gauge(labels: impl IntoIterator<Item = String>) -> Self {
        Self {
            kind: MetricKind::Gauge,
            labels: labels.into_iter().map(|label| (label, None)).collect(),
            buckets: Vec::new(),
        }
    }

    pub(crate) fn label_names(&self) -> LabelNames {
        self.labels.keys().cloned().collect()
    }
}

impl FamilyIndex {
    pub(crate) fn family(&self, name: &str) -> Result<&IndexedFamily, Error> {
        self.by_name.get(name).ok_or_else(|| {
            let nearest = self.nearest(name);
            let hint = nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
            Error::new(format!(
                "no metric family {name:?} among the {} defined{hint}",
                self.by_name.len()
            ))
        })
    }

    /// Returns the definition of `up`, which Prometheus records for every target.
    pub(crate) fn target_metric(&self) -> IndexedFamily {
        IndexedFamily::gauge(self.common_labels.iter().cloned())
    }

    /// Adds the series of a recording rule, so that rules after it can query them.
    pub(crate) fn add_recorded(&mut self, name: &str, labels: LabelNames) -> Result<(), Error> {
        let recorded = IndexedFamily::gauge(labels);
        let before = self.by_name.insert(name.to_owned(), recorded.clone());
        if before.is_some_and(|before| before != recorded) {
            return Err(Error::new(format!(
                "the recorded series {name:?} has the name of a metric family, or of a recorded series with other \
                 labels; use another name"
            )));
        }
        Ok(())
    }

    /// Returns the name with the longest common prefix and suffix, for "did you mean".
    fn nearest(&self, name: &str) -> Option<&str> {
        let common_length = |other: &str| {
            let is_equal = |pair: &(u8, u8)| pair.0 == pair.1;
            let prefix = other.bytes().zip(name.bytes()).take_while(is_equal).count();
            let suffix = other
                .bytes()
                .rev()
                .zip(name.bytes().rev())
                .take_while(is_equal)
                .count();
            prefix + suffix
        };
        let names = self.by_name.keys().map(String::as_str);
        names.max_by_key(|other| common_length(other))
    }
}
