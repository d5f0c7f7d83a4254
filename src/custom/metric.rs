//! The kinds of families: what a field of a catalogue can be.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::labels::{LabelSet, LabelsOf};
use crate::custom::node::{Node, Series, SeriesHandle};
use crate::error::Error;
use crate::model::description::FamilyDescription;
use crate::model::kind::Instrument;
use crate::model::kind::MetricKind;
use crate::sink::handles;
use crate::sink::{Sink, owned_key};

/// A kind of family, which a field of a [catalogue](crate::catalogue!) can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind of metric",
    label = "not a kind of metric",
    note = "a field of a catalogue is a `Counter`, `FloatCounter`, `Gauge`, `InProgress`, `Histogram`, `Info` or `Summary`, of a set of labels"
)]
pub trait Metric: Sized {
    #[doc(hidden)]
    const KIND: MetricKind;

    #[doc(hidden)]
    fn define(
        definition: &'static Definition,
        destination: &Destination<'_>,
    ) -> Result<Self, Error>;

    #[doc(hidden)]
    fn describe(definition: &Definition) -> FamilyDescription;
}

/// A kind whose series are in a [`Node`].
macro_rules! metric {
    ($(#[$meta:meta])* $name:ident of $handle:ty: $instrument:ident, $register:expr) => {
        $(#[$meta])*
        pub struct $name<Labels = ()> {
            series: Series<$handle>,
            labels: PhantomData<fn() -> Labels>,
        }

        impl<Labels: LabelSet> $name<Labels> {
            /// The series of these labels.
            #[inline]
            #[must_use]
            pub fn with(self, labels: impl LabelsOf<Labels>) -> $name {
                $name {
                    series: self.series.with(&labels),
                    labels: PhantomData,
                }
            }
        }

        impl<Labels> Clone for $name<Labels> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<Labels> Copy for $name<Labels> {}

        // A panic leaves no number half written.
        impl<Labels> UnwindSafe for $name<Labels> {}
        impl<Labels> RefUnwindSafe for $name<Labels> {}

        impl<Labels> fmt::Debug for $name<Labels> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {:?}", stringify!($name), self.series)
            }
        }

        impl SeriesHandle for $handle {
            const INSTRUMENT: Instrument = Instrument::$instrument;

            fn register(sink: &Sink, name: &str, labels: &[(&str, &str)]) -> Self {
                ($register)(sink, owned_key(name, labels))
            }
        }

        impl<Labels: LabelSet> Metric for $name<Labels> {
            const KIND: MetricKind = Instrument::$instrument.kind();

            fn define(definition: &'static Definition, destination: &Destination<'_>) -> Result<Self, Error> {
                let node = Node::define::<Labels>(definition, destination)?;
                Ok(Self {
                    series: Series::root(node),
                    labels: PhantomData,
                })
            }

            fn describe(definition: &Definition) -> FamilyDescription {
                definition.describe(Self::KIND, Labels::LABELS)
            }
        }
    };
}

metric! {
    /// A number that only grows, by whole ones.
    ///
    /// `Counter<Labels>` is a family, and [`with`](Self::with) labels it is a `Counter`, one of its series.
    /// Either can be copied anywhere.
    Counter of handles::CounterHandle: Counter, Sink::counter
}

impl Counter {
    /// One more.
    #[inline]
    pub fn increment(self) {
        if let Some(counter) = self.series.get() {
            counter.increment();
        }
    }

    /// So many more.
    #[inline]
    pub fn add(self, n: u64) {
        if let Some(counter) = self.series.get() {
            counter.add(n);
        }
    }
}

metric! {
    /// A number that only grows, also by fractions: money, seconds.
    ///
    /// A recorder of another crate shows it as a gauge, because its counters are whole.
    FloatCounter of handles::FloatCounterHandle: FloatCounter, Sink::float_counter
}

impl FloatCounter {
    /// So much more. What a counter cannot grow by is left out: less than nothing, NaN, infinity.
    #[inline]
    pub fn add(self, amount: f64) {
        if amount >= 0.0
            && amount.is_finite()
            && let Some(counter) = self.series.get()
        {
            counter.add(amount);
        }
    }
}

metric! {
    /// A number that is set, raised and lowered.
    ///
    /// For what begins and ends, [`InProgress`] costs less and cannot go wrong.
    Gauge of handles::GaugeHandle: Gauge, Sink::gauge
}

impl Gauge {
    /// What it is now.
    #[inline]
    pub fn set(self, value: f64) {
        if let Some(gauge) = self.series.get() {
            gauge.set(value);
        }
    }

    /// So much more, or less.
    #[inline]
    pub fn add(self, amount: f64) {
        if let Some(gauge) = self.series.get() {
            gauge.add(amount);
        }
    }

    /// One more.
    #[inline]
    pub fn increment(self) {
        self.add(1.0);
    }

    /// One less.
    #[inline]
    pub fn decrement(self) {
        self.add(-1.0);
    }
}

metric! {
    /// A gauge of what has begun and not ended: it is raised by [`begin`](Self::begin) and lowered when the
    /// guard is dropped, whatever happens in between.
    InProgress of handles::InProgressHandle: InProgress, Sink::in_progress
}

impl InProgress {
    /// One more, until the guard is dropped.
    #[inline]
    pub fn begin(self) -> InProgressGuard {
        let gauge = self.series.get();
        if let Some(gauge) = gauge {
            gauge.begin();
        }
        InProgressGuard { gauge }
    }
}

/// One of what is [in progress](InProgress), until it is dropped.
#[must_use = "what is in progress ends when this is dropped"]
pub struct InProgressGuard {
    /// The one that was raised, so that none is lowered that was not.
    gauge: Option<&'static handles::InProgressHandle>,
}

impl Drop for InProgressGuard {
    fn drop(&mut self) {
        if let Some(gauge) = self.gauge {
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
    /// Samples, counted by bucket, and their sum.
    Histogram of handles::HistogramHandle: Histogram, Sink::histogram
}

impl Histogram {
    /// One sample, in the unit of the family. NaN is none.
    #[inline]
    pub fn observe(self, sample: f64) {
        if let Some(histogram) = self.series.get() {
            histogram.observe(sample);
        }
    }

    /// One duration, for a family in seconds.
    #[inline]
    pub fn observe_duration(self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }
}

#[cfg(feature = "summary")]
metric! {
    /// Samples, and the quantiles 0.5, 0.9, 0.95 and 0.99 of those of the last ten minutes, each within 1 %.
    ///
    /// Quantiles of several processes cannot be added up, so a [`Histogram`] is what you want; this is for who
    /// must have one. Unlike the other kinds, recording takes a lock for a moment, and allocates while its sketch
    /// grows (some kilobytes a series). Until there are samples, and when there were none lately, quantiles are
    /// NaN, as Prometheus has it. Sum and count are of all samples ever.
    Summary of handles::SummaryHandle: Summary, Sink::summary
}

#[cfg(feature = "summary")]
impl Summary {
    /// One sample, in the unit of the family. NaN is none.
    pub fn observe(self, sample: f64) {
        if let Some(summary) = self.series.get() {
            summary.observe(sample);
        }
    }

    /// One duration, for a family in seconds.
    pub fn observe_duration(self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }
}
