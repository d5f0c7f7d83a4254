//! The metric types, such as [`Counter`]: the types that a field of a catalogue can have.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::family::CustomFamily;
use crate::custom::label_spec::LabelSpec;
use crate::custom::labels::{LabelSet, LabelsOf, NoLabels, Parameter};
use crate::custom::node::{Node, OpenContent, SeriesHandle};
use crate::custom::series::{GuardedSeries, MetricSeries, Series};
use crate::error::Error;
use crate::model::description::FamilyDescription;
use crate::model::kind::Instrument;
use crate::model::kind::MetricKind;
use crate::open_labels::cache::RowCache;
use crate::registry::lifetime::Lifetime;
use crate::sink::handles;
use crate::sink::{Sink, owned_key};

/// A metric type: the type of a field of a [catalogue](crate::catalogue!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric type",
    label = "not a metric type",
    note = "metric types are `Counter`, `FloatCounter`, `Gauge`, `InProgress`, `Histogram`, `Info`, `StateSet` and, with the \
            feature `summary`, `Summary`; their parameter is a set of labels: `Counter<Labels>`"
)]
pub trait Metric: Sized {
    #[doc(hidden)]
    const KIND: MetricKind;

    /// The labels, without the one for the states of a state set.
    #[doc(hidden)]
    const LABELS: &'static [LabelSpec];

    /// The states of a state set.
    #[doc(hidden)]
    const STATES: &'static [&'static str] = &[];

    #[doc(hidden)]
    fn define(
        definition: &'static Definition,
        destination: &Destination<'_>,
    ) -> Result<Self, Error>;

    #[doc(hidden)]
    fn describe(definition: &Definition) -> FamilyDescription;
}

/// Defines a metric type whose series are in a [`Node`].
macro_rules! metric {
    ($(#[$meta:meta])* $name:ident of $handle:ty: $instrument:ident, $register:expr) => {
        $(#[$meta])*
        pub struct $name<Labels: Parameter = ()> {
            series: Labels::Of<$handle>,
        }

        impl<Labels: LabelSet> $name<Labels> {
            /// Returns the series with these labels.
            ///
            /// If one of them is open, the parameter of the returned type is [`Owned`](crate::custom::Owned), otherwise it is
            /// `()`.
            ///
            /// Series with open labels are registered on first use. An open value beyond the limit of its label is
            /// replaced by `overflow`, and counted in `metrics_label_overflow_total`.
            #[inline]
            #[must_use]
            pub fn with(self, labels: impl LabelsOf<Labels>) -> $name<Labels::Series> {
                $name {
                    series: MetricSeries::with(
                        self.series.node(),
                        labels.closed(),
                        labels.open().as_slice(),
                    ),
                }
            }

            /// Removes the series with these labels from the page, and returns whether it was there.
            ///
            /// Only series with open labels can be removed. See
            /// [`Registry::remove`](crate::Registry::remove) for when it leaves the page, and for what happens if it
            /// is recorded again. On a recorder of another crate, the call has no effect.
            pub fn remove(self, labels: impl LabelsOf<Labels>) -> bool {
                type Of<Labels> = <<Labels as LabelSet>::Series as Parameter>::Of<$handle>;
                Of::<Labels>::remove_from(
                    self.series.node(),
                    labels.closed(),
                    labels.open().as_slice(),
                )
            }
        }

        impl<Labels: NoLabels> $name<Labels> {
            /// Returns a guard that removes the series from the page when it is dropped.
            ///
            /// The guard dereferences to the series. Use it for what belongs to a connection, a job or a peer:
            ///
            /// ```
            /// # use tower_prometheus::{Gauge, Registry, catalogue, labels};
            /// labels! { pub struct Peer { peer: open(100) } }
            /// catalogue! {
            ///     pub struct Peers {
            ///         /// Length of the queue of a peer.
            ///         pub queue_length: Gauge<Peer>,
            ///     }
            /// }
            /// # let registry = Registry::new();
            /// let peers = Peers::on(&registry)?;
            /// let queue_length = peers.queue_length.with(Peer { peer: "a" }).remove_on_drop();
            /// queue_length.set(3.0);
            /// drop(queue_length);
            /// assert_eq!(registry.sum("queue_length", &[]), None);
            /// # Ok::<(), tower_prometheus::Error>(())
            /// ```
            ///
            /// It has an effect only if the series has open labels, see [`Registry::remove`](crate::Registry::remove).
            pub fn remove_on_drop(self) -> SeriesGuard<Self> {
                SeriesGuard::new(self, |series| {
                    series.series.remove();
                })
            }
        }

        impl<Labels: Parameter> Clone for $name<Labels> {
            #[inline]
            fn clone(&self) -> Self {
                Self {
                    series: self.series.clone(),
                }
            }
        }

        impl<Labels: LabelSet> Copy for $name<Labels> {}

        // A panic cannot leave a value partly written.
        impl<Labels: Parameter> UnwindSafe for $name<Labels> {}
        impl<Labels: Parameter> RefUnwindSafe for $name<Labels> {}

        impl<Labels: Parameter> fmt::Debug for $name<Labels> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {:?}", stringify!($name), self.series)
            }
        }

        impl SeriesHandle for $handle {
            const INSTRUMENT: Instrument = Instrument::$instrument;

            fn register(
                sink: &Sink,
                family: &CustomFamily,
                labels: &[(&str, &str)],
                lifetime: &Lifetime,
            ) -> Self {
                ($register)(sink, owned_key(family.name(), labels), lifetime)
            }

            #[inline]
            fn with_cache<T>(
                then: impl FnOnce(&RefCell<RowCache<OpenContent<Self>>>) -> T,
            ) -> Option<T> {
                thread_local! {
                    static CACHE: RefCell<RowCache<OpenContent<$handle>>> =
                        const { RefCell::new(RowCache::new()) };
                }
                CACHE.try_with(then).ok()
            }
        }

        impl<Labels: LabelSet> Metric for $name<Labels> {
            const KIND: MetricKind = Instrument::$instrument.kind();
            const LABELS: &'static [LabelSpec] = Labels::LABELS;

            fn define(definition: &'static Definition, destination: &Destination<'_>) -> Result<Self, Error> {
                let node = Node::define(definition, Labels::LABELS, &[], destination)?;
                Ok(Self {
                    series: Series::root(node),
                })
            }

            fn describe(definition: &Definition) -> FamilyDescription {
                definition.describe(Self::KIND, Labels::LABELS)
            }
        }
    };
}

metric! {
    /// A counter: an integer that only increases.
    ///
    /// `Counter<Labels>` is the metric. [`with`](Self::with) returns one of its series, see
    /// [metric types](crate::custom#metric-types). To add fractions, use [`FloatCounter`].
    Counter of handles::CounterHandle: Counter, Sink::counter
}

impl<Labels: Parameter> Counter<Labels> {
    /// Increments the counter by 1.
    #[inline]
    pub fn increment(&self)
    where
        Labels: NoLabels,
    {
        if let Some(counter) = self.series.get() {
            counter.increment();
        }
    }

    /// Increments the counter by `n`.
    #[inline]
    pub fn add(&self, n: u64)
    where
        Labels: NoLabels,
    {
        if let Some(counter) = self.series.get() {
            counter.add(n);
        }
    }
}

metric! {
    /// A counter that also increases by fractions, such as seconds or dollars.
    ///
    /// A recorder of another crate exports it as a gauge, because counters of the `metrics` crate are
    /// integers.
    FloatCounter of handles::FloatCounterHandle: FloatCounter, Sink::float_counter
}

impl<Labels: Parameter> FloatCounter<Labels> {
    /// Increments the counter by `amount`. Negative, infinite and NaN amounts are ignored.
    #[inline]
    pub fn add(&self, amount: f64)
    where
        Labels: NoLabels,
    {
        if amount >= 0.0
            && amount.is_finite()
            && let Some(counter) = self.series.get()
        {
            counter.add(amount);
        }
    }
}

metric! {
    /// A gauge: a number that increases and decreases.
    ///
    /// To count operations in progress, use [`InProgress`]: it costs less, and its guard always decrements it.
    ///
    /// Beyond the limit of an open label:
    ///
    /// | method | effect |
    /// |---|---|
    /// | `set` | none, so that a series never has the value of another one |
    /// | `add`, `increment`, `decrement` | change the series `overflow`, so that the sum of the gauge stays right if it is never `set` |
    ///
    /// `overflow` is exported once it is changed. The same applies to the value `overflow` itself.
    Gauge of handles::GaugeHandle: Gauge, Sink::gauge
}

impl<Labels: Parameter> Gauge<Labels> {
    /// Sets the gauge to `value`.
    ///
    /// If an open label was replaced by `overflow`, the call is ignored, because the values of several series cannot
    /// be in one.
    #[inline]
    pub fn set(&self, value: f64)
    where
        Labels: NoLabels,
    {
        if let Some(gauge) = self.series.get_unshared() {
            gauge.set(value);
        }
    }

    /// Adds `amount` to the gauge, which may be negative.
    #[inline]
    pub fn add(&self, amount: f64)
    where
        Labels: NoLabels,
    {
        if let Some(gauge) = self.series.get() {
            gauge.add(amount);
        }
    }

    /// Increments the gauge by 1.
    #[inline]
    pub fn increment(&self)
    where
        Labels: NoLabels,
    {
        self.add(1.0);
    }

    /// Decrements the gauge by 1.
    #[inline]
    pub fn decrement(&self)
    where
        Labels: NoLabels,
    {
        self.add(-1.0);
    }
}

metric! {
    /// A gauge of operations in progress.
    ///
    /// [`start`](Self::start) increments it and returns a guard, which decrements it when dropped, also if the
    /// operation panics or its future is dropped.
    InProgress of handles::InProgressHandle: InProgress, Sink::in_progress
}

impl<Labels: Parameter> InProgress<Labels> {
    /// Increments the gauge until the returned guard is dropped.
    ///
    /// Bind the guard to a variable: `let _ = gauge.start()` drops it immediately. If no recorder is installed
    /// yet, the operation is not counted.
    #[inline]
    pub fn start(&self) -> InProgressGuard
    where
        Labels: NoLabels,
    {
        self.clone().into_gauge().start()
    }

    #[inline]
    pub(super) fn into_gauge(self) -> InProgressGauge {
        InProgressGauge(self.series.guarded())
    }
}

/// A guard that removes a series from the page when it is dropped, see [`Gauge::remove_on_drop`].
#[must_use = "dropping the guard removes the series"]
pub struct SeriesGuard<Series> {
    series: Series,
    remove: fn(&Series),
}

impl<Series> SeriesGuard<Series> {
    pub(super) fn new(series: Series, remove: fn(&Series)) -> Self {
        Self { series, remove }
    }
}

impl<Series> Deref for SeriesGuard<Series> {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.series
    }
}

impl<Series> Drop for SeriesGuard<Series> {
    fn drop(&mut self) {
        (self.remove)(&self.series);
    }
}

impl<Series: fmt::Debug> fmt::Debug for SeriesGuard<Series> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeriesGuard").field(&self.series).finish()
    }
}

/// The gauge of an operation that has not started.
pub(super) struct InProgressGauge(Option<GuardedSeries<handles::InProgressHandle>>);

impl InProgressGauge {
    #[inline]
    pub(super) fn start(self) -> InProgressGuard {
        if let Some(gauge) = self.0.as_ref().and_then(GuardedSeries::get) {
            gauge.start();
        }
        InProgressGuard { gauge: self.0 }
    }
}

/// A guard that decrements an [`InProgress`] gauge when it is dropped.
#[must_use = "dropping the guard decrements the gauge"]
pub struct InProgressGuard {
    /// The gauge that was incremented; `None` if no recorder was installed when the guard was created.
    gauge: Option<GuardedSeries<handles::InProgressHandle>>,
}

impl Drop for InProgressGuard {
    #[inline]
    fn drop(&mut self) {
        if let Some(gauge) = self.gauge.as_ref().and_then(GuardedSeries::get) {
            gauge.end();
        }
    }
}

impl fmt::Debug for InProgressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProgressGuard").finish_non_exhaustive()
    }
}

metric! {
    /// A histogram: observations counted in buckets, with their sum and count.
    ///
    /// A recorder of another crate sets its own buckets. If the definition sets some, a warning is logged.
    Histogram of handles::HistogramHandle: Histogram, Sink::histogram
}

impl<Labels: Parameter> Histogram<Labels> {
    /// Records one observation, in the unit of the metric.
    ///
    /// A [`Registry`](crate::Registry) ignores NaN, and counts infinite values without adding them to the sum.
    #[inline]
    pub fn observe(&self, sample: f64)
    where
        Labels: NoLabels,
    {
        if let Some(histogram) = self.series.get() {
            histogram.observe(sample);
        }
    }

    /// Records a duration in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration)
    where
        Labels: NoLabels,
    {
        self.observe(duration.as_secs_f64());
    }
}

#[cfg(feature = "summary")]
metric! {
    /// A summary: the quantiles 0.5, 0.9, 0.95 and 0.99 of the last 8 to 10 minutes, each within 1 %.
    ///
    /// Prefer a [`Histogram`]: quantiles of several processes cannot be aggregated.
    ///
    /// [`RegistryBuilder::quantiles_for`](crate::RegistryBuilder::quantiles_for) sets other quantiles, and
    /// [`summary_window`](crate::RegistryBuilder::summary_window) another window.
    ///
    /// By default, observations are kept in slices of 2 minutes, and the oldest of 5 slices is dropped when a new one
    /// starts. The sum and the count include all observations. Without observations in the window, quantiles are NaN, as in the official
    /// Prometheus clients.
    ///
    /// Unlike the other types, recording takes a lock briefly, and allocates while the sketch of the series grows
    /// (some kilobytes per series). A recorder of another crate gets a histogram instead.
    Summary of handles::SummaryHandle: Summary, Sink::summary
}

#[cfg(feature = "summary")]
impl<Labels: Parameter> Summary<Labels> {
    /// Records one observation, in the unit of the metric.
    ///
    /// A [`Registry`](crate::Registry) ignores NaN, and counts infinite values without adding them to the sum or
    /// the quantiles.
    pub fn observe(&self, sample: f64)
    where
        Labels: NoLabels,
    {
        if let Some(summary) = self.series.get() {
            summary.observe(sample);
        }
    }

    /// Records a duration in seconds.
    pub fn observe_duration(&self, duration: Duration)
    where
        Labels: NoLabels,
    {
        self.observe(duration.as_secs_f64());
    }
}
