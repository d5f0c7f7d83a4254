//! [`Target`]: where a layer's numbers go.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use metrics::{Key, Label, Level, Metadata, Recorder};

use crate::Error;
use crate::labels::TraceId;
use crate::registry::{self, Buckets, FamilySpec, InProgressCells, Registry, Shape, Store, Writer};

/// Where a layer records: a [`Registry`], or any recorder of the `metrics` crate.
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry, Target};
///
/// let registry = Registry::new();
/// let here = HttpMetrics::server().layer(&registry)?;
///
/// // Someone else's recorder, passed rather than installed:
/// let there = HttpMetrics::server().layer(Target::recorder(metrics::NoopRecorder))?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// # What a foreign recorder cannot do
///
/// | | a [`Registry`] | a foreign recorder |
/// |---|---|---|
/// | buckets of the layer | used | the recorder's own business; bounds that were set are warned of |
/// | a family of the same name with other buckets or labels | an error at start-up | the recorder's business |
/// | a fractional counter | a counter | a gauge that is only raised |
/// | an info | an info, in the text format a gauge at 1 | a gauge at 1 |
/// | a summary | a summary | a histogram: the recorder's business |
/// | exemplars | kept, one for each bucket | dropped |
/// | in progress | never reads below 0 | a gauge raised and lowered |
/// | a scrape that loses no samples | promised | the recorder's business |
/// | a cost that does not rise with cores | promised | the recorder's business |
#[derive(Clone)]
pub struct Target(Kind);

#[derive(Clone)]
enum Kind {
    Registry(Registry),
    Recorder(Arc<dyn Recorder + Send + Sync>),
    /// The recorder that is installed globally, asked for it each time a series is registered.
    Global,
}

impl Target {
    /// A recorder of another crate, such as that of `metrics-exporter-prometheus`.
    pub fn recorder(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self(Kind::Recorder(Arc::new(recorder)))
    }

    /// The recorder that is installed globally, whosever it is.
    ///
    /// # Errors
    ///
    /// When none is installed: a layer made now would record nothing, for ever. (A recorder without
    /// any fields cannot be told from none; pass it to [`Target::recorder`].)
    pub fn global() -> Result<Self, Error> {
        Self::installed().ok_or_else(|| {
            Error::new(
                "no global recorder is installed: install one first, \
                 or name the registry or recorder to record into",
            )
        })
    }

    /// As [`Target::global`], for who asks again.
    pub(crate) fn installed() -> Option<Self> {
        if let Some(registry) = Registry::global() {
            return Some(Self(Kind::Registry(registry)));
        }
        // The stand-in that `metrics` uses before a recorder is installed has no fields.
        let is_installed = metrics::with_recorder(|recorder| size_of_val(recorder)) > 0;
        is_installed.then_some(Self(Kind::Global))
    }

    /// What a family of a catalogue keeps for as long as the program runs: in a registry of ours, what the
    /// same definition has leaked before.
    pub(crate) fn family_state<T: Any + Send + Sync>(
        &self,
        spec: &FamilySpec,
        same: impl Fn(&T) -> bool,
        leak: impl FnOnce() -> &'static T,
    ) -> Result<&'static T, Error> {
        self.declare_family(spec)?;
        match &self.0 {
            Kind::Registry(registry) => registry.layer_state(same, || Ok(leak())),
            Kind::Recorder(_) | Kind::Global => Ok(leak()),
        }
    }

    /// As [`Target::declare`], where the labels must not be constant ones.
    pub(crate) fn declare_family(&self, spec: &FamilySpec) -> Result<(), Error> {
        if let Kind::Registry(registry) = &self.0 {
            let labels = spec.label_names.iter().map(String::as_str);
            registry.check_beside(format_args!("{:?}", spec.name), labels)?;
        }
        self.declare(spec)
    }

    /// What a layer keeps for as long as the program runs: in a registry of ours, what the same
    /// configuration has leaked before. `labels` are the layer's, `bounds` the setting of its buckets, by
    /// its name, if it was used.
    pub(crate) fn layer_state<'a, T: Any + Send + Sync>(
        &self,
        labels: impl IntoIterator<Item = &'a str>,
        bounds: Option<&str>,
        same: impl Fn(&T) -> bool,
        leak: impl FnOnce() -> Result<&'static T, Error>,
    ) -> Result<&'static T, Error> {
        if let Kind::Registry(registry) = &self.0 {
            registry.check_beside("the layer", labels)?;
            return registry.layer_state(same, leak);
        }
        if let Some(bounds) = bounds {
            tracing::warn!("{bounds} have no effect: the recorder decides on its buckets");
        }
        leak()
    }

    /// Makes a family known before its first series.
    pub(crate) fn declare(&self, spec: &FamilySpec) -> Result<(), Error> {
        match &self.0 {
            Kind::Registry(registry) => registry.declare(spec),
            Kind::Recorder(recorder) => {
                describe(recorder, spec);
                Ok(())
            }
            Kind::Global => {
                metrics::with_recorder(|recorder| describe(recorder, spec));
                Ok(())
            }
        }
    }

    /// The bounds of a histogram that is declared; a recorder of another crate has its own.
    pub(crate) fn declared_buckets(&self, family: &str) -> Buckets {
        match &self.0 {
            Kind::Registry(registry) => registry.declared_buckets(family),
            Kind::Recorder(_) | Kind::Global => Buckets::default(),
        }
    }

    /// What every request of a layer records through.
    pub(crate) fn writing(&self) -> Writing {
        Writing(match &self.0 {
            Kind::Registry(registry) => Some(registry.store()),
            Kind::Recorder(_) | Kind::Global => None,
        })
    }

    pub(crate) fn counter(&self, key: Key) -> Counter {
        match &self.0 {
            Kind::Registry(registry) => {
                Counter::Registry((*registry.counter(Cow::Owned(key))).clone())
            }
            _ => Counter::Foreign(self.foreign(|r| r.register_counter(&key, &METADATA))),
        }
    }

    pub(crate) fn fractional_counter(&self, key: Key) -> FractionalCounter {
        match &self.0 {
            Kind::Registry(registry) => {
                FractionalCounter::Registry((*registry.fractional_counter(Cow::Owned(key))).clone())
            }
            _ => FractionalCounter::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn gauge(&self, key: Key) -> Gauge {
        match &self.0 {
            Kind::Registry(registry) => Gauge::Registry((*registry.gauge(Cow::Owned(key))).clone()),
            _ => Gauge::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn info(&self, key: Key) {
        match &self.0 {
            Kind::Registry(registry) => registry.info(Cow::Owned(key)),
            _ => self.foreign(|r| r.register_gauge(&key, &METADATA).set(1.0)),
        }
    }

    pub(crate) fn in_progress(&self, key: Key) -> InProgress {
        match &self.0 {
            Kind::Registry(registry) => {
                InProgress::Registry((*registry.in_progress(Cow::Owned(key))).clone())
            }
            _ => InProgress::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn histogram(&self, key: Key) -> Histogram {
        match &self.0 {
            Kind::Registry(registry) => {
                Histogram::Registry((*registry.histogram(Cow::Owned(key))).clone())
            }
            _ => Histogram::Foreign(self.foreign(|r| r.register_histogram(&key, &METADATA))),
        }
    }

    #[cfg(feature = "summary")]
    pub(crate) fn summary(&self, key: Key) -> Summary {
        match &self.0 {
            Kind::Registry(registry) => {
                Summary::Registry((*registry.summary(Cow::Owned(key))).clone())
            }
            _ => Summary::Foreign(self.foreign(|r| r.register_histogram(&key, &METADATA))),
        }
    }

    fn foreign<T>(&self, register: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.0 {
            Kind::Recorder(recorder) => register(recorder),
            Kind::Registry(registry) => register(registry),
            Kind::Global => metrics::with_recorder(register),
        }
    }
}

impl From<&Registry> for Target {
    fn from(registry: &Registry) -> Self {
        Self(Kind::Registry(registry.clone()))
    }
}

impl From<Registry> for Target {
    fn from(registry: Registry) -> Self {
        Self(Kind::Registry(registry))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Registry(registry) => f.debug_tuple("Target").field(registry).finish(),
            Kind::Recorder(_) => f.write_str("Target(a recorder)"),
            Kind::Global => f.write_str("Target(the global recorder)"),
        }
    }
}

const METADATA: Metadata<'static> =
    Metadata::new("tower_prometheus", Level::INFO, Some(module_path!()));

/// The key of a series whose words do not live as long as the program.
pub(crate) fn owned_key(name: &str, labels: &[(&str, &str)]) -> Key {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| Label::new((*name).to_owned(), (*value).to_owned()));
    Key::from_parts(name.to_owned(), labels.collect::<Vec<_>>())
}

fn describe(recorder: &dyn Recorder, spec: &FamilySpec) {
    let (name, unit) = (spec.name.clone().into(), spec.about.unit);
    let help = spec.about.help.as_deref().unwrap_or_default().to_owned();
    match spec.shape {
        // A counter of this facade takes whole numbers.
        Shape::FractionalCounter | Shape::Info => {
            recorder.describe_gauge(name, unit, help.into());
        }
        Shape::Counter => recorder.describe_counter(name, unit, help.into()),
        Shape::Gauge | Shape::InProgress => recorder.describe_gauge(name, unit, help.into()),
        #[cfg(feature = "summary")]
        Shape::Summary => recorder.describe_histogram(name, unit, help.into()),
        Shape::Histogram => recorder.describe_histogram(name, unit, help.into()),
    }
}

/// Where the numbers of a target are, if they are in a registry of ours.
pub(crate) struct Writing(Option<Arc<Store>>);

impl Writing {
    /// The calling thread's own numbers, found once for all that a request has to say.
    #[inline]
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        self.0.as_ref()?.writer()
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.0.as_deref()
    }
}

/// A counter of either kind of target.
pub(crate) enum Counter {
    Registry(registry::Counter),
    Foreign(metrics::Counter),
}

impl Counter {
    #[inline]
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        match self {
            Self::Registry(counter) => counter.add(n),
            Self::Foreign(counter) => counter.increment(n),
        }
    }
}

/// A counter of what is not whole, of either kind of target.
pub(crate) enum FractionalCounter {
    Registry(registry::FractionalCounter),
    Foreign(metrics::Gauge),
}

impl FractionalCounter {
    #[inline]
    pub(crate) fn add(&self, x: f64) {
        match self {
            Self::Registry(counter) => counter.add(x),
            Self::Foreign(counter) => counter.increment(x),
        }
    }
}

/// A gauge of either kind of target.
pub(crate) enum Gauge {
    Registry(registry::Gauge),
    Foreign(metrics::Gauge),
}

impl Gauge {
    #[inline]
    pub(crate) fn add(&self, x: f64) {
        match self {
            Self::Registry(gauge) => gauge.add(x),
            Self::Foreign(gauge) => gauge.increment(x),
        }
    }

    #[inline]
    pub(crate) fn set(&self, x: f64) {
        match self {
            Self::Registry(gauge) => gauge.set(x),
            Self::Foreign(gauge) => gauge.set(x),
        }
    }
}

/// A gauge of what has begun and not ended.
pub(crate) enum InProgress {
    Registry(registry::InProgress),
    Foreign(metrics::Gauge),
}

impl InProgress {
    #[inline]
    pub(crate) fn begin(&self) {
        match self {
            Self::Registry(gauge) => gauge.begin(),
            Self::Foreign(gauge) => gauge.increment(1.0),
        }
    }

    #[inline]
    pub(crate) fn end(&self) {
        match self {
            Self::Registry(gauge) => gauge.end(),
            Self::Foreign(gauge) => gauge.decrement(1.0),
        }
    }

    /// Its cells, if it is a registry's.
    pub(crate) fn cells(&self) -> Option<InProgressCells> {
        match self {
            Self::Registry(gauge) => Some(gauge.cells()),
            Self::Foreign(_) => None,
        }
    }
}

/// A histogram of either kind of target.
pub(crate) enum Histogram {
    Registry(registry::Histogram),
    Foreign(metrics::Histogram),
}

impl Histogram {
    #[inline]
    pub(crate) fn observe(&self, sample: f64) {
        match self {
            Self::Registry(histogram) => histogram.observe(sample),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }

    /// Observes what a trace tells more about; a foreign recorder has no use for that.
    pub(crate) fn observe_traced(&self, sample: f64, trace: TraceId) {
        match self {
            Self::Registry(histogram) => histogram.observe_traced(sample, trace),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }
}

/// A summary of either kind of target.
#[cfg(feature = "summary")]
pub(crate) enum Summary {
    Registry(registry::Summary),
    Foreign(metrics::Histogram),
}

#[cfg(feature = "summary")]
impl Summary {
    pub(crate) fn observe(&self, sample: f64) {
        match self {
            Self::Registry(summary) => summary.observe(sample),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }
}
