//! [`InFlight`]: the series in which a request is in progress, and in which it will be counted, before the labels of its
//! outcome are applied.
//!
//! | state | |
//! |---|---|
//! | `Fast` | in progress, and nothing but its two series is needed, which are never freed |
//! | `Boxed`, [`Stage::InProgress`] | in progress, and not `Fast`: was deferred, is in series of a row, or has a trace or a request body to record |
//! | `Boxed`, [`Stage::Deferred`] | not in progress yet |
//! | `Boxed`, [`Stage::Connection`] | the request has ended, and the body of its long-lived connection is open |
//! | [`ENDED`] | all has ended, or the request is not measured |

use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::middleware::body_progress::BodyProgress;
use crate::http::middleware::long_lived::OpenConnection;
use crate::http::series::custom_values::CustomValues;
use crate::http::series::label_values::LabelIds;
use crate::http::series::layer::LayerSeries;
use crate::http::series::request::RequestSeries;
use crate::http::series::series_ref::SeriesRef;
use crate::lifecycle::end::End;
use crate::model::trace::TraceId;

/// The series of an exchange until it ends.
pub(super) enum InFlight {
    /// Fast path: the series was registered when the request started, and the request has no trace or request body to
    /// record.
    Fast(FastPair),
    /// `None` if all has ended or the request is not measured: see [`ENDED`]. Otherwise a box with what most
    /// exchanges do not need.
    ///
    /// `ManuallyDrop`, so that dropping an ended exchange, which every request with a response does twice, only tests two
    /// words. The box is reused when the exchange ends, and every exchange ends.
    Boxed(Option<ManuallyDrop<Box<State>>>),
}

/// An exchange that has ended or is not measured. Not a separate variant, which would make [`InFlight`] one
/// word larger.
pub(super) const ENDED: InFlight = InFlight::Boxed(None);

/// A [`SeriesPair`] of series that are never freed.
#[derive(Clone, Copy)]
pub(super) struct FastPair {
    pub(super) started: &'static RequestSeries,
    pub(super) counted: &'static RequestSeries,
}

pub(super) struct SeriesPair {
    /// The series whose in-progress gauge has the request.
    pub(super) started: SeriesRef<RequestSeries>,
    /// The series that will count the request, before the labels of its outcome are applied. `None`, or the same as
    /// `started`, unless the response sets other labels, or sets another endpoint after the request was registered.
    counted: Option<SeriesRef<RequestSeries>>,
}

/// State that few exchanges need. It is boxed to keep exchanges small, because they are moved often.
pub(super) struct State {
    stage: Stage,
    pub(super) extras: Extras,
}

enum Stage {
    /// Only of a box in [`free_boxes`]: an exchange that has ended has no box, see [`ENDED`].
    Free,
    InProgress(SeriesPair),
    /// Not registered yet: the request may be a scrape, and a scrape that passes this layer must not add series to the page.
    /// It is registered when its future is pending, or when it has a response that is measured, or ends without a response.
    Deferred(Deferred),
    /// The request has ended at its response head, and the body of its long-lived connection is open.
    Connection(LongLivedBody),
}

/// The body of a long-lived connection.
pub(super) struct LongLivedBody {
    /// The series of its request, without the labels of the outcome.
    pub(super) counted: SeriesRef<RequestSeries>,
    /// The entry in the gauge; `None` if the mark has a guard: the guard has it, or was dropped before.
    pub(super) open: Option<OpenConnection>,
}

struct Deferred {
    layer: &'static LayerSeries,
    method: Method,
    endpoint: Option<Endpoint>,
    labels: LabelIds,
    /// All values, if open labels are in rows.
    open: Option<Box<CustomValues<'static>>>,
}

/// State that only some layers need.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) trace: Option<TraceId>,
    /// The progress of the request body.
    pub(super) progress: Option<Arc<BodyProgress>>,
}

impl InFlight {
    /// Increments the in-progress gauge of the series.
    pub(super) fn start(series: &'static RequestSeries) -> Self {
        series.enter_progress();
        Self::at(series)
    }

    /// Creates the value for a series whose in-progress gauge has already been incremented.
    #[inline]
    pub(super) fn at(series: &'static RequestSeries) -> Self {
        Self::Fast(FastPair {
            started: series,
            counted: series,
        })
    }

    /// Increments the in-progress gauge of series that may be freed.
    pub(super) fn start_in_row(series: Arc<RequestSeries>) -> Self {
        series.enter_progress();
        let pair = SeriesPair::at(SeriesRef::InRow(series));
        Self::boxed(Stage::InProgress(pair))
    }

    #[cold]
    pub(super) fn deferred(
        layer: &'static LayerSeries,
        method: Method,
        endpoint: Option<&str>,
        labels: LabelIds,
        open: Option<&CustomValues<'_>>,
    ) -> Self {
        Self::boxed(Stage::Deferred(Deferred {
            layer,
            method,
            endpoint: endpoint.map(Endpoint::new),
            labels,
            open: open.map(|values| Box::new(values.to_static())),
        }))
    }

    #[cold]
    pub(super) fn connection(connection: LongLivedBody) -> Self {
        Self::boxed(Stage::Connection(connection))
    }

    fn boxed(stage: Stage) -> Self {
        let extras = Extras::default();
        let boxed = free_boxes::take(State { stage, extras });
        Self::Boxed(Some(ManuallyDrop::new(boxed)))
    }

    /// Whether the exchange is measured and has not ended.
    #[inline]
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Self::Boxed(None))
    }

    /// Moves the value out and leaves [`ENDED`].
    #[must_use = "dropping it leaks its box"]
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, ENDED)
    }

    /// The state that only some layers need, boxed on first use; `None` if the exchange has ended.
    pub(super) fn extras(&mut self) -> Option<&mut Extras> {
        if let &mut Self::Fast(pair) = self {
            *self = Self::boxed(Stage::InProgress(pair.into()));
        }
        match self {
            Self::Boxed(Some(boxed)) => Some(&mut boxed.extras),
            _ => None,
        }
    }

    /// The layer of a request that is measured.
    #[inline]
    pub(super) fn layer(&self) -> Option<&'static LayerSeries> {
        Some(self.measured_by()?.0)
    }

    /// The layer and the method of a request that is measured.
    #[inline]
    pub(super) fn measured_by(&self) -> Option<(&'static LayerSeries, Method)> {
        match self {
            Self::Fast(pair) => Some(pair.measured_by()),
            Self::Boxed(boxed) => boxed.as_ref()?.measured_by(),
        }
    }

    /// Whether the request is in progress and only the status of its response head matters.
    #[inline]
    pub(super) fn needs_only_status(&self) -> bool {
        match self {
            Self::Fast(pair) => pair.counted.needs_only_status(),
            Self::Boxed(_) => self
                .boxed_series()
                .is_some_and(|(_, counted)| counted.needs_only_status()),
        }
    }

    /// The series that will count the request, if it is in progress.
    pub(super) fn counted(&self) -> Option<SeriesRef<RequestSeries>> {
        match self {
            Self::Fast(pair) => Some(SeriesRef::Static(pair.counted)),
            Self::Boxed(boxed) => Some(boxed.as_ref()?.series()?.counted().clone()),
        }
    }

    /// The series of a request that is in progress: the one whose gauge has it, and the one that will count it.
    #[inline]
    pub(super) fn series(&self) -> Option<(&RequestSeries, &RequestSeries)> {
        match self {
            Self::Fast(pair) => Some((pair.started, pair.counted)),
            Self::Boxed(_) => self.boxed_series(),
        }
    }

    // Not inlined, to keep the fast path short.
    #[inline(never)]
    fn boxed_series(&self) -> Option<(&RequestSeries, &RequestSeries)> {
        let Self::Boxed(Some(state)) = self else {
            return None;
        };
        let pair = state.series()?;
        Some((&pair.started, pair.counted()))
    }

    /// Leaves [`ENDED`], after the end is recorded.
    #[inline]
    pub(super) fn set_ended(&mut self) {
        match self {
            Self::Fast(_) => *self = ENDED,
            Self::Boxed(_) => self.free_box(),
        }
    }

    // Not inlined, to keep the fast path short.
    #[inline(never)]
    fn free_box(&mut self) {
        drop(self.take_series());
    }

    /// The series that counts the bytes of the response body, if they are counted as they pass.
    #[inline]
    pub(super) fn counts_bytes(&self) -> Option<&RequestSeries> {
        let counted: &RequestSeries = match self {
            Self::Fast(pair) => pair.counted,
            Self::Boxed(boxed) => match &boxed.as_ref()?.stage {
                Stage::InProgress(pair) => pair.counted(),
                Stage::Connection(connection) => &connection.counted,
                Stage::Deferred(_) | Stage::Free => return None,
            },
        };
        counted.counts_bytes().then_some(counted)
    }

    /// Moves out the connection of a request that has ended at its response head. Leaves [`ENDED`].
    pub(super) fn take_connection(&mut self) -> Option<LongLivedBody> {
        let Self::Boxed(Some(boxed)) = self else {
            return None;
        };
        if !matches!(boxed.stage, Stage::Connection(_)) {
            return None;
        }
        let Self::Boxed(boxed) = self.take() else {
            return None;
        };
        match free_boxes::give_back(boxed?).stage {
            Stage::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    /// Moves out the series and the extras of a request that is in progress. Leaves [`ENDED`].
    pub(super) fn take_series(&mut self) -> Option<(SeriesPair, Extras)> {
        match self.take() {
            Self::Fast(pair) => Some((pair.into(), Extras::default())),
            Self::Boxed(boxed) => {
                let State { stage, extras } = free_boxes::give_back(boxed?);
                match stage {
                    Stage::InProgress(pair) => Some((pair, extras)),
                    Stage::Deferred(_) | Stage::Connection(_) | Stage::Free => None,
                }
            }
        }
    }

    /// Registers a request that is deferred, at the endpoint that the response has `named`, otherwise at that of the
    /// request. It is in progress from now on, or not measured if the endpoint is skipped.
    #[inline]
    pub(super) fn register_deferred(&mut self, named: Option<&Endpoint>) {
        if let Self::Boxed(Some(state)) = self
            && state.is_deferred()
        {
            self.register(named);
        }
    }

    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        // Taken out until it is registered: if a recorder panics, the exchange has ended.
        if let Self::Boxed(boxed) = self
            && let Some(state) = boxed.take()
        {
            let mut state = ManuallyDrop::into_inner(state);
            if state.register(named) {
                *boxed = Some(ManuallyDrop::new(state));
            }
        }
    }

    /// Applies the labels and the endpoint of the response to the series that counts the request. The in-progress series
    /// of a registered request stays the same; a deferred request is registered at the endpoint of the response.
    pub(super) fn apply_response(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        // With the labels of the request: those of the response are applied next.
        self.register_deferred(named);
        match self {
            Self::Fast(pair) => {
                let counted = SeriesRef::Static(pair.counted).with_response(response, named);
                match counted {
                    Some(SeriesRef::Static(counted)) => pair.counted = counted,
                    Some(counted) => {
                        let pair = SeriesPair::from(*pair).with_counted(counted);
                        *self = Self::boxed(Stage::InProgress(pair));
                    }
                    None => self.leave_uncounted(),
                }
            }
            Self::Boxed(boxed) => {
                let Some(Stage::InProgress(pair)) = boxed.as_mut().map(|state| &mut state.stage)
                else {
                    return;
                };
                match pair.counted().with_response(response, named) {
                    Some(counted) => pair.counted = Some(counted),
                    None => self.leave_uncounted(),
                }
            }
        }
    }

    /// Ends the request without counting it.
    #[cold]
    fn leave_uncounted(&mut self) {
        if let Some((pair, _)) = self.take_series() {
            pair.started.leave_progress();
        }
    }
}

impl LongLivedBody {
    /// Ends the body. A client that disconnects is the normal end of a connection; a failed body is counted as aborted.
    pub(super) fn end(self, end: End) {
        drop(self.open);
        match end {
            End::Failed => self.counted.count_aborted(AbortReason::Error),
            End::Panicked => self.counted.count_aborted(AbortReason::Panicked),
            End::Complete | End::Dropped => {}
        }
    }
}

impl State {
    fn measured_by(&self) -> Option<(&'static LayerSeries, Method)> {
        Some(match &self.stage {
            Stage::InProgress(pair) => pair.measured_by(),
            Stage::Deferred(deferred) => (deferred.layer, deferred.method),
            Stage::Connection(LongLivedBody { counted, .. }) => (counted.layer(), counted.method()),
            Stage::Free => return None,
        })
    }

    fn series(&self) -> Option<&SeriesPair> {
        match &self.stage {
            Stage::InProgress(pair) => Some(pair),
            Stage::Deferred(_) | Stage::Connection(_) | Stage::Free => None,
        }
    }

    fn is_deferred(&self) -> bool {
        matches!(self.stage, Stage::Deferred(_))
    }

    /// Registers a deferred request. Returns `false` if its endpoint is skipped.
    fn register(&mut self, named: Option<&Endpoint>) -> bool {
        if let Stage::Deferred(deferred) = &self.stage {
            let Some(series) = deferred.series(named) else {
                return false;
            };
            series.enter_progress();
            self.stage = Stage::InProgress(SeriesPair::at(series));
        }
        true
    }
}

impl Deferred {
    fn series(&self, named: Option<&Endpoint>) -> Option<SeriesRef<RequestSeries>> {
        let endpoint = named.or(self.endpoint.as_ref()).map(Endpoint::as_str);
        let open = self.open.as_deref();
        self.layer
            .register(self.method, endpoint, self.labels, open)
    }
}

impl FastPair {
    #[inline]
    fn measured_by(self) -> (&'static LayerSeries, Method) {
        (self.counted.layer(), self.counted.method())
    }
}

impl From<FastPair> for SeriesPair {
    #[inline]
    fn from(FastPair { started, counted }: FastPair) -> Self {
        Self {
            started: SeriesRef::Static(started),
            counted: Some(SeriesRef::Static(counted)),
        }
    }
}

impl SeriesPair {
    #[inline]
    fn at(started: SeriesRef<RequestSeries>) -> Self {
        let counted = None;
        Self { started, counted }
    }

    fn with_counted(self, counted: SeriesRef<RequestSeries>) -> Self {
        Self {
            counted: Some(counted),
            ..self
        }
    }

    /// The series that will count the request.
    #[inline]
    pub(super) fn counted(&self) -> &SeriesRef<RequestSeries> {
        self.counted.as_ref().unwrap_or(&self.started)
    }

    #[inline]
    fn measured_by(&self) -> (&'static LayerSeries, Method) {
        let counted = self.counted();
        (counted.layer(), counted.method())
    }
}

/// The boxes that a thread keeps for its next exchanges, so that they do not allocate.
mod free_boxes {
    use std::cell::RefCell;
    use std::mem::ManuallyDrop;

    use super::{Extras, Stage, State};

    /// The maximum number of free boxes of a thread.
    const MAX_FREE: usize = 64;

    thread_local! {
        // The boxes are what is kept.
        #[expect(clippy::vec_box, reason = "the boxes are kept, not only their contents")]
        static FREE: RefCell<Vec<Box<State>>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn take(state: State) -> Box<State> {
        let free = FREE.try_with(|free| free.try_borrow_mut().ok()?.pop());
        match free.ok().flatten() {
            Some(mut free) => {
                *free = state;
                free
            }
            None => Box::new(state),
        }
    }

    /// Moves the state out of a box, and keeps the box.
    pub(super) fn give_back(boxed: ManuallyDrop<Box<State>>) -> State {
        let mut boxed = ManuallyDrop::into_inner(boxed);
        let free = State {
            stage: Stage::Free,
            extras: Extras::default(),
        };
        let state = std::mem::replace(&mut *boxed, free);
        // An error if the thread ends: then the box is freed.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < MAX_FREE
            {
                free.push(boxed);
            }
        });
        state
    }
}
