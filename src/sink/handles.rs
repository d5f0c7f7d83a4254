//! Handles that record into a registry or into a recorder of another crate.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::trace::TraceId;
use crate::registry::handles as registry;
use crate::registry::handles::InProgressCells;

/// A counter in a registry or in a recorder of another crate, the two kinds of sink.
pub(crate) enum CounterHandle {
    Registry(registry::RegistryCounter),
    Foreign(metrics::Counter),
}

impl CounterHandle {
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

/// A counter of fractions of either kind of sink. Recorders of other crates get a gauge.
pub(crate) enum FloatCounterHandle {
    Registry(registry::RegistryFloatCounter),
    Foreign(metrics::Gauge),
}

impl FloatCounterHandle {
    #[inline]
    pub(crate) fn add(&self, x: f64) {
        match self {
            Self::Registry(counter) => counter.add(x),
            Self::Foreign(counter) => counter.increment(x),
        }
    }
}

/// A gauge of either kind of sink.
pub(crate) enum GaugeHandle {
    Registry(registry::RegistryGauge),
    Foreign(metrics::Gauge),
}

impl GaugeHandle {
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

/// A state set of either kind of sink. Recorders of other crates get a gauge for each state.
pub(crate) enum StateSetHandle {
    Registry(registry::RegistryStateSet),
    Foreign(ForeignStateSet),
}

impl StateSetHandle {
    #[inline]
    pub(crate) fn set(&self, state: usize) {
        match self {
            Self::Registry(states) => states.set(state as u32),
            Self::Foreign(states) => states.set(state),
        }
    }
}

/// A state set in a recorder of another crate.
pub(crate) struct ForeignStateSet {
    /// By state: 1 for the current one, otherwise 0.
    gauges: Box<[metrics::Gauge]>,
    current: AtomicUsize,
}

impl ForeignStateSet {
    /// The current state is the first.
    pub(crate) fn new(gauges: Box<[metrics::Gauge]>) -> Self {
        for (state, gauge) in gauges.iter().enumerate() {
            gauge.set(if state == 0 { 1.0 } else { 0.0 });
        }
        Self {
            gauges,
            current: AtomicUsize::new(0),
        }
    }

    /// Sets the state without a lock, because the recorder's code runs here. The gauges of two calls at the same time
    /// can be changed in any order, which additions do not depend on.
    fn set(&self, state: usize) {
        let before = self.current.swap(state, Ordering::Relaxed);
        if before != state
            && let (Some(before), Some(now)) = (self.gauges.get(before), self.gauges.get(state))
        {
            before.decrement(1.0);
            now.increment(1.0);
        }
    }
}

/// A gauge of either kind of sink that counts starts minus ends.
pub(crate) enum InProgressHandle {
    Registry(registry::RegistryInProgress),
    Foreign(metrics::Gauge),
}

impl InProgressHandle {
    #[inline]
    pub(crate) fn start(&self) {
        match self {
            Self::Registry(gauge) => gauge.start(),
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

    /// Returns the cells of the gauge; `None` for a recorder of another crate.
    pub(crate) fn cells(&self) -> Option<InProgressCells> {
        match self {
            Self::Registry(gauge) => Some(gauge.cells()),
            Self::Foreign(_) => None,
        }
    }
}

/// A histogram of either kind of sink.
pub(crate) enum HistogramHandle {
    Registry(registry::RegistryHistogram),
    Foreign(metrics::Histogram),
}

impl HistogramHandle {
    #[inline]
    pub(crate) fn observe(&self, sample: f64) {
        match self {
            Self::Registry(histogram) => histogram.observe(sample),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }

    /// Records an observation with its trace as an exemplar. Recorders of other crates get only the
    /// observation.
    pub(crate) fn observe_traced(&self, sample: f64, trace: TraceId) {
        match self {
            Self::Registry(histogram) => histogram.observe_traced(sample, trace),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }
}

/// A summary of either kind of sink. Recorders of other crates get a histogram.
#[cfg(feature = "summary")]
pub(crate) enum SummaryHandle {
    Registry(registry::RegistrySummary),
    Foreign(metrics::Histogram),
}

#[cfg(feature = "summary")]
impl SummaryHandle {
    pub(crate) fn observe(&self, sample: f64) {
        match self {
            Self::Registry(summary) => summary.observe(sample),
            Self::Foreign(histogram) => histogram.record(sample),
        }
    }
}
