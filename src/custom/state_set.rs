//! [`StateSet`]: which one of several states something is in.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::family::CustomFamily;
use crate::custom::label_spec::{LabelSpec, LabelValue};
use crate::custom::labels::{LabelSet, LabelsOf, NoLabels, Parameter};
use crate::custom::metric::{Metric, SeriesGuard};
use crate::custom::node::{Node, OpenContent, SeriesHandle};
use crate::custom::series::{MetricSeries, Series};
use crate::error::Error;
use crate::model::description::{FamilyDescription, LabelDescription};
use crate::model::kind::{Instrument, MetricKind};
use crate::open_labels::cache::RowCache;
use crate::registry::lifetime::Lifetime;
use crate::sink::Sink;
use crate::sink::handles::StateSetHandle;

/// A state set: which one of several states something is in, such as a worker that is idle or busy.
///
/// `State` is an enum from [`labels!`](crate::labels!). Each state is a line of the metrics page, with a label that has
/// the name of the metric. The current state is 1, the others are 0:
///
/// ```
/// use tower_prometheus::{Registry, StateSet, catalogue, labels};
///
/// labels! {
///     pub enum State { Starting = "starting", Ready = "ready", Draining = "draining" }
///     pub struct Worker { worker: open(10) }
/// }
///
/// catalogue! {
///     pub struct Jobs {
///         /// State of the queue.
///         pub queue_state: StateSet<State>,
///         /// State of each worker.
///         pub worker_state: StateSet<State, Worker>,
///     }
/// }
///
/// let registry = Registry::new();
/// let jobs = Jobs::on(&registry)?;
/// jobs.queue_state.set(State::Ready);
/// jobs.worker_state.with(Worker { worker: "a" }).set(State::Draining);
/// assert!(registry.render().contains("\
/// queue_state{queue_state=\"draining\"} 0
/// queue_state{queue_state=\"ready\"} 1
/// queue_state{queue_state=\"starting\"} 0
/// "));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// A [`Registry`](crate::Registry) exports exactly one state as 1 on every metrics page, because the current state is one
/// value that is read once for the page. A recorder of another crate gets a gauge for each state: a scrape between two
/// updates can see none or two that are 1.
///
/// At first, the state is the first of the enum. Like other metrics, a state set without open labels is exported from
/// start-up, another one when [`with`](Self::with) is first called with its labels. Beyond the limit of an open label,
/// [`set`](Self::set) is ignored.
pub struct StateSet<State, Labels: Parameter = ()> {
    series: Labels::Of<StateSetHandle>,
    state: PhantomData<fn() -> State>,
}

impl<State: LabelValue, Labels: LabelSet> StateSet<State, Labels> {
    /// Returns the state set with these labels.
    ///
    /// If one of them is open, the last parameter of the returned type is [`Owned`](crate::custom::Owned), otherwise it is
    /// `()`.
    ///
    /// State sets with open labels are registered on first use. An open value beyond the limit of its label is counted in
    /// `metrics_label_overflow_total`, and not exported.
    #[inline]
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the other metric types take labels by value as well"
    )]
    pub fn with(self, labels: impl LabelsOf<Labels>) -> StateSet<State, Labels::Series> {
        StateSet {
            series: MetricSeries::with(
                self.series.node(),
                labels.closed(),
                labels.open().as_slice(),
            ),
            state: PhantomData,
        }
    }

    /// Removes the series with these labels from the page, and returns whether it was there.
    ///
    /// Only series with open labels can be removed. See
    /// [`Registry::remove`](crate::Registry::remove) for when it leaves the page, and for what happens if it
    /// is recorded again. On a recorder of another crate, the call has no effect.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as `with`, which takes labels by value"
    )]
    pub fn remove(self, labels: impl LabelsOf<Labels>) -> bool {
        type Of<Labels> = <<Labels as LabelSet>::Series as Parameter>::Of<StateSetHandle>;
        Of::<Labels>::remove_from(
            self.series.node(),
            labels.closed(),
            labels.open().as_slice(),
        )
    }
}

impl<State: LabelValue, Labels: Parameter> StateSet<State, Labels> {
    /// Changes the current state.
    ///
    /// If no recorder is installed yet, or if an open label is beyond its limit, the call is ignored.
    #[inline]
    pub fn set(&self, state: State)
    where
        Labels: NoLabels,
    {
        let state = state.index();
        if state < State::VALUES.len()
            && let Some(states) = self.series.get_unshared()
        {
            states.set(state);
        }
    }

    /// Returns a guard that removes the state set from the page when it is dropped.
    ///
    /// See [`Gauge::remove_on_drop`](crate::Gauge::remove_on_drop).
    pub fn remove_on_drop(self) -> SeriesGuard<Self>
    where
        Labels: NoLabels,
    {
        SeriesGuard::new(self, |states| {
            states.series.remove();
        })
    }
}

impl SeriesHandle for StateSetHandle {
    const INSTRUMENT: Instrument = Instrument::StateSet;

    fn register(
        sink: &Sink,
        family: &CustomFamily,
        labels: &[(&str, &str)],
        lifetime: &Lifetime,
    ) -> Self {
        sink.state_set(family.name(), labels, family.states, lifetime)
    }

    #[inline]
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<OpenContent<Self>>>) -> T) -> Option<T> {
        thread_local! {
            static CACHE: RefCell<RowCache<OpenContent<StateSetHandle>>> =
                const { RefCell::new(RowCache::new()) };
        }
        CACHE.try_with(then).ok()
    }
}

impl<State: LabelValue, Labels: LabelSet> Metric for StateSet<State, Labels> {
    const KIND: MetricKind = MetricKind::StateSet;
    const LABELS: &'static [LabelSpec] = Labels::LABELS;
    const STATES: &'static [&'static str] = State::VALUES;

    fn define(
        definition: &'static Definition,
        destination: &Destination<'_>,
    ) -> Result<Self, Error> {
        let node = Node::define(definition, Labels::LABELS, State::VALUES, destination)?;
        Ok(Self {
            series: Series::root(node),
            state: PhantomData,
        })
    }

    fn describe(definition: &Definition) -> FamilyDescription {
        let state = LabelDescription::new(definition.name).values(State::VALUES.iter().copied());
        definition.describe(Self::KIND, Labels::LABELS).label(state)
    }
}

impl<State, Labels: Parameter> Clone for StateSet<State, Labels> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            series: self.series.clone(),
            state: PhantomData,
        }
    }
}

impl<State, Labels: LabelSet> Copy for StateSet<State, Labels> {}

// The state is one atomic value, so a panic cannot leave it partly written.
impl<State, Labels: Parameter> UnwindSafe for StateSet<State, Labels> {}
impl<State, Labels: Parameter> RefUnwindSafe for StateSet<State, Labels> {}

impl<State, Labels: Parameter> fmt::Debug for StateSet<State, Labels> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateSet {:?}", self.series)
    }
}
