//! [`Sink`]: a registry or a recorder of another crate.

pub(crate) mod activation;
pub(crate) mod handles;
pub(crate) mod layer_options;
pub(crate) mod overflow;
pub(crate) mod side;

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder};

use crate::clock;
use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::spec::FamilySpec;
use crate::registry::cells::{Store, Writer};
use crate::registry::handles::copy_of;
use crate::registry::lifetime::Lifetime;
use crate::registry::{DescribeLayer, Registry};
#[cfg(feature = "summary")]
use crate::sink::handles::SummaryHandle;
use crate::sink::handles::{
    CounterHandle, FloatCounterHandle, ForeignStateSet, GaugeHandle, HistogramHandle,
    InProgressHandle, StateSetHandle,
};
use crate::sink::layer_options::LayerOptions;

/// The destination of metrics: a [`Registry`], or any other recorder of the `metrics` crate.
///
/// Layers and catalogues accept anything that converts into a sink, such as `&Registry`.
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry, Sink};
///
/// let registry = Registry::new();
/// let here = HttpMetrics::server().build(&registry)?;
///
/// // A recorder of another crate, passed instead of installed:
/// let there = HttpMetrics::server().build(Sink::recorder(metrics::NoopRecorder))?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// # Recorders of other crates
///
/// | | [`Registry`] | recorder of another crate |
/// |---|---|---|
/// | buckets set in a layer or a catalogue | used | ignored with a warning, also if the recorder passes metrics on to a `Registry`; the recorder sets buckets |
/// | metric of the same name with other buckets or labels | error at start-up | depends on the recorder |
/// | counter of fractions | counter | gauge that only increases |
/// | info | info; in the text format, a gauge with the value 1 | gauge with the value 1 |
/// | state set | state set; in the text format, a gauge for each state, of which one is always 1 | gauge for each state; a scrape between two updates can see none or two that are 1 |
/// | summary | summary | histogram, exported as the recorder decides |
/// | exemplars | one per bucket | discarded |
/// | in-progress gauge | never negative | gauge that is incremented and decremented |
/// | observations during a scrape | never lost | depends on the recorder |
/// | cost of counters and histograms | does not increase with the number of cores | depends on the recorder |
#[derive(Clone)]
pub struct Sink(SinkKind);

#[derive(Clone)]
enum SinkKind {
    Registry(Registry),
    Recorder(Arc<dyn Recorder + Send + Sync>),
    /// The global recorder, looked up each time a series is registered.
    Global,
}

impl Sink {
    /// Creates a sink from a recorder of another crate, such as `metrics-exporter-prometheus`.
    ///
    /// The recorder does not have to be installed as the global recorder.
    pub fn recorder(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self(SinkKind::Recorder(Arc::new(recorder)))
    }

    /// Returns the global recorder of the `metrics` crate as a sink.
    ///
    /// | global recorder | sink |
    /// |---|---|
    /// | a registry that [`RegistryBuilder::install`](crate::RegistryBuilder::install) installed | that registry, also on threads with a local recorder |
    /// | any other, also a [`Registry`] that was passed to `metrics::set_global_recorder` | used as a [recorder of another crate](#recorders-of-other-crates): the buckets of layers are ignored |
    /// | none, but the thread has a local recorder | used as a recorder of another crate |
    ///
    /// # Errors
    ///
    /// Returns an error if no global recorder is installed, because a layer built now would never record
    /// anything. A recorder type without fields cannot be distinguished from none; pass such a recorder to
    /// [`Sink::recorder`].
    pub fn global() -> Result<Self, Error> {
        Self::installed().ok_or_else(|| {
            Error::new(
                "no global recorder is installed; install one first, \
                 or pass a `Registry` or `Sink::recorder` instead",
            )
        })
    }

    /// Like [`Sink::global`], but returns `None` if no recorder is installed, for callers that try again
    /// later.
    pub(crate) fn installed() -> Option<Self> {
        if let Some(registry) = Registry::global() {
            return Some(Self(SinkKind::Registry(registry)));
        }
        // The no-op recorder that `metrics` uses before one is installed has no fields.
        let is_installed = metrics::with_recorder(|recorder| size_of_val(recorder)) > 0;
        is_installed.then_some(Self(SinkKind::Global))
    }

    /// Registers a family of a catalogue and returns its state, which lives as long as the program.
    ///
    /// In a [`Registry`], a definition that is equal by `same` reuses the state that was leaked for it before.
    pub(crate) fn family_state<T: Any + Send + Sync>(
        &self,
        spec: &FamilySpec,
        same: impl Fn(&T) -> bool,
        leak: impl FnOnce() -> &'static T,
    ) -> Result<&'static T, Error> {
        self.register_family(spec)?;
        match &self.0 {
            SinkKind::Registry(registry) => registry.layer_state(same, || Ok(leak())),
            SinkKind::Recorder(_) | SinkKind::Global => Ok(leak()),
        }
    }

    /// Logs a warning if this is a recorder of another crate, which ignores the buckets of a catalogue.
    pub(crate) fn warn_if_buckets_are_ignored(&self, family: &str, buckets: &[f64]) {
        if !buckets.is_empty() && !matches!(self.0, SinkKind::Registry(_)) {
            warn_of_ignored_buckets(format_args!("{family}: the buckets {buckets:?} are"));
        }
    }

    /// Like [`Sink::register`], but returns an error if a label is a constant label of the registry.
    pub(crate) fn register_family(&self, spec: &FamilySpec) -> Result<(), Error> {
        if let SinkKind::Registry(registry) = &self.0 {
            let labels = spec.label_names.iter().map(String::as_str);
            registry.check_constant_label_conflicts(format_args!("{:?}", spec.name), labels)?;
        }
        self.register(spec)
    }

    /// Returns the state of a layer, which lives as long as the program.
    ///
    /// In a [`Registry`], a configuration that is equal by `same` reuses the state that was leaked for it
    /// before. `labels` are the labels of the layer without its constant labels. `buckets` are the names of the
    /// settings that set buckets, for the warning.
    pub(crate) fn layer_state<'a, T: Any + Send + Sync>(
        &self,
        options: &'a LayerOptions,
        labels: impl Iterator<Item = &'a str>,
        buckets: &[&str],
        same: impl Fn(&T) -> bool,
        leak: impl FnOnce() -> Result<&'static T, Error>,
    ) -> Result<&'static T, Error> {
        clock::calibrate();
        if let SinkKind::Registry(registry) = &self.0 {
            registry.check_constant_label_conflicts(
                "the layer",
                options.constant_label_names().chain(labels),
            )?;
            let others = Cell::new(0);
            let same = |state: &T| {
                others.set(others.get() + 1);
                same(state)
            };
            return registry.layer_state(same, || {
                check_number_of_layers(others.get())?;
                leak()
            });
        }
        for setting in buckets {
            warn_of_ignored_buckets(format_args!("{setting} is"));
        }
        leak()
    }

    /// Adds a layer to those that [`Registry::layers`] returns.
    pub(crate) fn add_layer(&self, describe: DescribeLayer) {
        if let SinkKind::Registry(registry) = &self.0 {
            registry.add_layer(describe);
        }
    }

    /// Registers a family. Must be called before its first series is registered.
    pub(crate) fn register(&self, spec: &FamilySpec) -> Result<(), Error> {
        match &self.0 {
            SinkKind::Registry(registry) => registry.register_family(spec),
            SinkKind::Recorder(recorder) => {
                describe(recorder, spec);
                Ok(())
            }
            SinkKind::Global => {
                metrics::with_recorder(|recorder| describe(recorder, spec));
                Ok(())
            }
        }
    }

    /// Returns the buckets of a registered histogram. A recorder of another crate sets its own buckets; for
    /// it, the result is the default.
    pub(crate) fn registered_buckets(&self, family: &str) -> Buckets {
        match &self.0 {
            SinkKind::Registry(registry) => registry.registered_buckets(family),
            SinkKind::Recorder(_) | SinkKind::Global => Buckets::default(),
        }
    }

    /// Returns the shortest idle timeout of a registry; `None` if series never expire.
    pub(crate) fn shortest_idle_timeout(&self) -> Option<Duration> {
        match &self.0 {
            SinkKind::Registry(registry) => registry.shortest_idle_timeout(),
            SinkKind::Recorder(_) | SinkKind::Global => None,
        }
    }

    /// Returns the store that requests of a layer write to directly.
    pub(crate) fn writing(&self) -> Writing {
        Writing(match &self.0 {
            SinkKind::Registry(registry) => Some(registry.store()),
            SinkKind::Recorder(_) | SinkKind::Global => None,
        })
    }

    pub(crate) fn counter(&self, key: Key, lifetime: &Lifetime) -> CounterHandle {
        match &self.0 {
            SinkKind::Registry(registry) => CounterHandle::Registry(copy_of(
                &registry.register_counter_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => CounterHandle::Foreign(self.foreign(|r| r.register_counter(&key, &METADATA))),
        }
    }

    pub(crate) fn float_counter(&self, key: Key, lifetime: &Lifetime) -> FloatCounterHandle {
        match &self.0 {
            SinkKind::Registry(registry) => FloatCounterHandle::Registry(copy_of(
                &registry.register_float_counter_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => FloatCounterHandle::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn gauge(&self, key: Key, lifetime: &Lifetime) -> GaugeHandle {
        match &self.0 {
            SinkKind::Registry(registry) => GaugeHandle::Registry(copy_of(
                &registry.register_gauge_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => GaugeHandle::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn info(&self, key: Key) {
        match &self.0 {
            SinkKind::Registry(registry) => registry.register_info_series(Cow::Owned(key)),
            _ => self.foreign(|r| r.register_gauge(&key, &METADATA).set(1.0)),
        }
    }

    /// Registers a state set, which is in the first state. `labels` are those without the state.
    pub(crate) fn state_set(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        states: &'static [&'static str],
        lifetime: &Lifetime,
    ) -> StateSetHandle {
        if let SinkKind::Registry(registry) = &self.0 {
            let key = Cow::Owned(owned_key(name, labels));
            let handle = registry.register_state_set_series(key, states, lifetime);
            return StateSetHandle::Registry(copy_of(&handle, lifetime));
        }
        let gauge = |state: &&str| {
            let labels = [labels, &[(name, *state)]].concat();
            let key = owned_key(name, &labels);
            self.foreign(|r| r.register_gauge(&key, &METADATA))
        };
        StateSetHandle::Foreign(ForeignStateSet::new(states.iter().map(gauge).collect()))
    }

    pub(crate) fn in_progress(&self, key: Key, lifetime: &Lifetime) -> InProgressHandle {
        match &self.0 {
            SinkKind::Registry(registry) => InProgressHandle::Registry(copy_of(
                &registry.register_in_progress_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => InProgressHandle::Foreign(self.foreign(|r| r.register_gauge(&key, &METADATA))),
        }
    }

    pub(crate) fn histogram(&self, key: Key, lifetime: &Lifetime) -> HistogramHandle {
        match &self.0 {
            SinkKind::Registry(registry) => HistogramHandle::Registry(copy_of(
                &registry.register_histogram_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => HistogramHandle::Foreign(self.foreign(|r| r.register_histogram(&key, &METADATA))),
        }
    }

    #[cfg(feature = "summary")]
    pub(crate) fn summary(&self, key: Key, lifetime: &Lifetime) -> SummaryHandle {
        match &self.0 {
            SinkKind::Registry(registry) => SummaryHandle::Registry(copy_of(
                &registry.register_summary_series(Cow::Owned(key), lifetime),
                lifetime,
            )),
            _ => SummaryHandle::Foreign(self.foreign(|r| r.register_histogram(&key, &METADATA))),
        }
    }

    /// Removes a series that can expire from a registry. Returns whether it was on the page.
    pub(crate) fn remove(&self, instrument: Instrument, key: &Key) -> bool {
        match &self.0 {
            SinkKind::Registry(registry) => registry.remove_series(instrument, key),
            SinkKind::Recorder(_) | SinkKind::Global => false,
        }
    }

    fn foreign<T>(&self, register: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.0 {
            SinkKind::Recorder(recorder) => register(recorder),
            SinkKind::Registry(registry) => register(registry),
            SinkKind::Global => metrics::with_recorder(register),
        }
    }
}

impl From<&Registry> for Sink {
    fn from(registry: &Registry) -> Self {
        Self(SinkKind::Registry(registry.clone()))
    }
}

impl From<Registry> for Sink {
    fn from(registry: Registry) -> Self {
        Self(SinkKind::Registry(registry))
    }
}

impl From<&Sink> for Sink {
    fn from(sink: &Sink) -> Self {
        sink.clone()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SinkKind::Registry(registry) => f.debug_tuple("Sink").field(registry).finish(),
            SinkKind::Recorder(_) => f.write_str("Sink(a recorder)"),
            SinkKind::Global => f.write_str("Sink(the global recorder)"),
        }
    }
}

/// `what` names the setting, with its verb.
fn warn_of_ignored_buckets(what: fmt::Arguments<'_>) {
    tracing::warn!(
        "{what} ignored: this recorder sets its own buckets; configure them in the recorder, with \
         `RegistryBuilder::buckets_for` if it passes metrics on to a `Registry`"
    );
}

/// Warns of many layers of one registry, and returns an error beyond [`MAX_LAYERS`]: so a program that builds its layer
/// again and again, with closures that cannot be compared, does not leak memory without bound.
fn check_number_of_layers(others: usize) -> Result<(), Error> {
    const ADVICE: &str =
        "build a layer once and clone it, or create closures that capture values once";
    if others >= MAX_LAYERS {
        return Err(Error::new(format!(
            "this registry already has {MAX_LAYERS} metrics layers with different configurations, and the series table of \
             each stays in memory: {ADVICE}"
        )));
    }
    if others == MANY_LAYERS {
        tracing::warn!(
            "this registry has more than {MANY_LAYERS} metrics layers with different configurations, and the series \
             table of each stays in memory: {ADVICE}"
        );
    }
    Ok(())
}

/// The number of layers of one registry after which there is a warning.
const MANY_LAYERS: usize = 16;

/// The maximum number of layers of one registry, with a table of about 36 KiB each by default.
const MAX_LAYERS: usize = 1024;

const METADATA: Metadata<'static> =
    Metadata::new("tower_prometheus", Level::INFO, Some(module_path!()));

pub(crate) fn owned_key(name: &str, labels: &[(&str, &str)]) -> Key {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| Label::new((*name).to_owned(), (*value).to_owned()));
    Key::from_parts(name.to_owned(), labels.collect::<Vec<_>>())
}

fn describe(recorder: &dyn Recorder, spec: &FamilySpec) {
    let (name, unit) = (spec.name.clone().into(), spec.metadata.unit);
    let help = spec.metadata.help.as_deref().unwrap_or_default().to_owned();
    match spec.instrument {
        Instrument::Counter => recorder.describe_counter(name, unit, help.into()),
        // Counters of the `metrics` crate accept only integers.
        Instrument::FloatCounter
        | Instrument::Info
        | Instrument::StateSet
        | Instrument::Gauge
        | Instrument::InProgress => {
            recorder.describe_gauge(name, unit, help.into());
        }
        #[cfg(feature = "summary")]
        Instrument::Summary => recorder.describe_histogram(name, unit, help.into()),
        Instrument::Histogram => recorder.describe_histogram(name, unit, help.into()),
    }
}

/// The store of a sink; `None` for a recorder of another crate.
pub(crate) struct Writing(Option<Arc<Store>>);

impl Writing {
    /// Returns a writer to the calling thread's shard, looked up once for all that a request records.
    #[inline]
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        self.0.as_ref()?.writer()
    }

    pub(crate) fn store(&self) -> Option<&Store> {
        self.0.as_deref()
    }
}
