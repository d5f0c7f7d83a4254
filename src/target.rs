//! [`Target`]: where a layer's numbers go.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use metrics::{Key, Label, Level, Metadata, Recorder};

use crate::Error;
use crate::labels::TraceId;
use crate::registry::{self, FamilySpec, Registry, Shape};

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
        if let Some(registry) = Registry::global() {
            return Ok(Self(Kind::Registry(registry)));
        }
        // The stand-in that `metrics` uses before a recorder is installed has no fields.
        if metrics::with_recorder(|recorder| size_of_val(recorder)) == 0 {
            return Err(Error::new(
                "no global recorder is installed: install one first, \
                 or name the registry or recorder to record into",
            ));
        }
        Ok(Self(Kind::Global))
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
            registry.check_beside(labels)?;
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

    pub(crate) fn counter(&self, key: &Key) -> Counter {
        match &self.0 {
            Kind::Registry(registry) => Counter::Registry((*registry.counter(key)).clone()),
            _ => Counter::Foreign(self.foreign(|r| r.register_counter(key, &METADATA))),
        }
    }

    pub(crate) fn in_progress(&self, key: &Key) -> InProgress {
        match &self.0 {
            Kind::Registry(registry) => InProgress::Registry((*registry.in_progress(key)).clone()),
            _ => InProgress::Foreign(self.foreign(|r| r.register_gauge(key, &METADATA))),
        }
    }

    pub(crate) fn histogram(&self, key: &Key) -> Histogram {
        match &self.0 {
            Kind::Registry(registry) => Histogram::Registry((*registry.histogram(key)).clone()),
            _ => Histogram::Foreign(self.foreign(|r| r.register_histogram(key, &METADATA))),
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
        Shape::Counter => recorder.describe_counter(name, unit, help.into()),
        Shape::Gauge | Shape::InProgress => recorder.describe_gauge(name, unit, help.into()),
        Shape::Histogram => recorder.describe_histogram(name, unit, help.into()),
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
        match self {
            Self::Registry(counter) => counter.add(1),
            Self::Foreign(counter) => counter.increment(1),
        }
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        match self {
            Self::Registry(counter) => counter.add(n),
            Self::Foreign(counter) => counter.increment(n),
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
