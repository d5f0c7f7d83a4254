//! [`Definitions`]: the metric families that a dashboard or a rule can query, by name.

use std::collections::{BTreeMap, BTreeSet};

use tower_prometheus::Registry;
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
    registry: Option<Registry>,
    mixed_histograms: bool,
}

impl Definitions {
    /// Creates definitions from the families of a layer, a catalogue or collectors.
    pub fn new(families: impl IntoIterator<Item = FamilyDescription>) -> Self {
        Self {
            families: families.into_iter().collect(),
            ..Self::default()
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

    /// Gives all histograms the native buckets that this registry gives them.
    ///
    /// Build the registry with the same function as the service, so that a histogram has native buckets in both or in
    /// neither. Queries of histograms with native buckets read these, and not the classic ones: they need a Prometheus that
    /// scrapes native histograms, see [`ScrapeConfig::native_histograms`](crate::ScrapeConfig::native_histograms). They
    /// work in Prometheus 2.40 and later. VictoriaMetrics has no native histograms.
    ///
    /// If the registry leaves out the classic buckets, queries can only read native ones. While old instances of the service
    /// have classic buckets and new ones have not, keep them in this registry, so that
    /// [`mixed_histograms`](Self::mixed_histograms) reads both.
    ///
    /// ```
    /// use tower_prometheus::{Error, HttpMetrics, Registry};
    /// use tower_prometheus_mixin::{Definitions, Query};
    ///
    /// /// The service calls this function, too.
    /// fn registry() -> Result<Registry, Error> {
    ///     Registry::builder().native_histograms(1.1).build()
    /// }
    ///
    /// let definitions = Definitions::new(HttpMetrics::server().families()?).histograms_in(&registry()?);
    /// let p99 = Query::quantile(0.99, "http_request_duration_seconds").by(["endpoint"]);
    /// assert_eq!(
    ///     p99.to_promql(&definitions)?,
    ///     "histogram_quantile(0.99, sum by (endpoint) (rate(http_request_duration_seconds[5m])))",
    /// );
    /// // Any bound is allowed.
    /// let fast = Query::fraction_below(0.3, "http_request_duration_seconds");
    /// assert_eq!(
    ///     fast.to_promql(&definitions)?,
    ///     "histogram_fraction(-Inf, 0.3, sum(rate(http_request_duration_seconds[5m])))",
    /// );
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn histograms_in(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Makes queries of native histograms also read classic buckets, for fleets in which some instances or some servers do
    /// not have native histograms yet: `native or classic`.
    ///
    /// Set it while instances are updated, or while one Prometheus scrapes native histograms and another does not. Remove it
    /// afterwards: the queries are longer. All servers must know the functions of native histograms, as Prometheus 2.40
    /// and later do. VictoriaMetrics does not: generate its files without [`histograms_in`](Self::histograms_in), and keep the
    /// classic buckets in the service, because these files read them.
    ///
    /// | query | if a server has only one kind | if instances in one server have different kinds | if an instance has both kinds |
    /// |---|---|---|---|
    /// | rate, increase, mean | exact | exact: all instances | counted once |
    /// | fraction below a bound | as that kind | all instances | counted once |
    /// | quantile | as that kind | the instances with native buckets; the others only for labels without any of these | the native buckets |
    ///
    /// - A bound must be a classic bucket bound of the definitions. An instance that does not have this bound yet counts as
    ///   above it, so deploy a new bound to all instances first.
    /// - If the registry leaves out the classic buckets of a histogram, its quantiles and fractions are those of the instances
    ///   with native buckets, and a bound can be any number. Its rates and means still include all instances.
    /// - An instance that changed from classic to native buckets in the range of a rate counts with what it has recorded
    ///   since. The same holds for a 30-day error budget.
    pub fn mixed_histograms(mut self) -> Self {
        self.mixed_histograms = true;
        self
    }

    pub(crate) fn has_instance(&self) -> bool {
        !self.without_instance
    }

    /// Adds everything of `more` to these definitions.
    pub(crate) fn merge(&mut self, more: Self) {
        self.families.extend(more.described());
        self.common_labels.extend(more.common_labels);
        self.without_instance |= more.without_instance;
        self.mixed_histograms |= more.mixed_histograms;
    }

    /// Returns the families with the native buckets that the registry gives them.
    fn described(&self) -> impl Iterator<Item = FamilyDescription> {
        let families = self.families.iter().cloned();
        families.map(|family| match &self.registry {
            Some(registry) => registry.with_native_buckets(family),
            None => family,
        })
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
        for family in self.described() {
            let mut indexed = IndexedFamily::new(&family, &index.common_labels);
            indexed.reads_classic |= self.mixed_histograms;
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
    /// The bounds of classic buckets.
    pub(crate) buckets: Vec<f64>,
    /// Whether queries of a histogram read native buckets.
    pub(crate) reads_native: bool,
    /// Whether queries of a histogram read classic series. If both are set, they read `native or classic`.
    pub(crate) reads_classic: bool,
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
            reads_native: family.native,
            reads_classic: !family.native,
        }
    }

    /// Returns a gauge whose labels can have any value.
    fn gauge(labels: impl IntoIterator<Item = String>) -> Self {
        Self {
            kind: MetricKind::Gauge,
            labels: labels.into_iter().map(|label| (label, None)).collect(),
            buckets: Vec::new(),
            reads_native: false,
            reads_classic: true,
        }
    }

    /// Whether quantiles and fractions read classic buckets. A histogram that has only native buckets still has the
    /// classic series of its sum and count in text formats.
    pub(crate) fn reads_classic_buckets(&self) -> bool {
        self.reads_classic && !(self.reads_native && self.buckets.is_empty())
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
