//! [`InFlight`]: the series in which an exchange is in progress, and in which it will be counted.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::middleware::body_progress::BodyProgress;
use crate::http::middleware::long_lived::OpenConnection;
use crate::http::series::label_values::LabelIds;
use crate::http::series::layer::LayerSeries;
use crate::http::series::request::RequestSeries;
use crate::lifecycle::end::End;
use crate::model::trace::TraceId;

/// The series of an exchange until it ends.
pub(super) enum InFlight {
    /// Fast path: the series is registered and the request has no trace or request body to track.
    SeriesPair(SeriesPair),
    /// `None` if all has ended or the request is not measured: see [`ENDED`]. Otherwise a box with what most
    /// exchanges do not need.
    ///
    /// `ManuallyDrop`, so that dropping an ended exchange, which every request does twice, only tests two
    /// words. The box is freed when the exchange ends, and every exchange ends.
    Boxed(Option<ManuallyDrop<Box<Boxed>>>),
}

/// An exchange that has ended or is not measured. Not a separate variant, which would make [`InFlight`] one
/// word larger.
pub(super) const ENDED: InFlight = InFlight::Boxed(None);

#[derive(Clone, Copy)]
pub(super) struct SeriesPair {
    pub(super) in_progress: &'static RequestSeries,
    /// The series that will count the request. It differs from `in_progress` if the response sets another endpoint or
    /// other labels.
    pub(super) counted: &'static RequestSeries,
}

/// State that few exchanges need. It is boxed to keep exchanges small, because they are moved often.
pub(super) struct Boxed {
    stage: Stage,
    pub(super) extras: Extras,
}

enum Stage {
    SeriesPair(SeriesPair),
    /// Not registered yet: the request may be the first scrape, which must not register any series. It is
    /// registered when its future is pending or has a response.
    Deferred(Deferred),
    /// The request has ended at its response head, and the body of its long-lived connection is open.
    Connection(Connection),
}

/// The body of a long-lived connection.
pub(super) struct Connection {
    /// The series that counted its request.
    pub(super) counted: &'static RequestSeries,
    /// `None` if a guard decides when the connection ends.
    pub(super) open: Option<OpenConnection>,
}

struct Deferred {
    layer: &'static LayerSeries,
    method: Method,
    endpoint: Option<Endpoint>,
    labels: LabelIds,
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
        series.start();
        Self::at(series)
    }

    /// Creates the value for a series whose in-progress gauge has already been incremented.
    #[inline]
    pub(super) fn at(series: &'static RequestSeries) -> Self {
        Self::SeriesPair(SeriesPair::at(series))
    }

    #[cold]
    pub(super) fn deferred(
        layer: &'static LayerSeries,
        method: Method,
        endpoint: Option<&str>,
        labels: LabelIds,
    ) -> Self {
        Self::boxed(Stage::Deferred(Deferred {
            layer,
            method,
            endpoint: endpoint.map(Endpoint::new),
            labels,
        }))
    }

    #[cold]
    pub(super) fn connection(connection: Connection) -> Self {
        Self::boxed(Stage::Connection(connection))
    }

    fn boxed(stage: Stage) -> Self {
        let extras = Extras::default();
        Self::Boxed(Some(ManuallyDrop::new(Box::new(Boxed { stage, extras }))))
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
        if let &mut Self::SeriesPair(pair) = self {
            *self = Self::boxed(Stage::SeriesPair(pair));
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
            Self::SeriesPair(pair) => Some(pair.measured_by()),
            Self::Boxed(boxed) => Some(boxed.as_ref()?.measured_by()),
        }
    }

    /// Whether the request is in progress and only the status of its response head matters.
    #[inline]
    pub(super) fn needs_only_status(&self) -> bool {
        matches!(self, Self::SeriesPair(pair) if pair.counted.needs_only_status())
    }

    /// The series, if the request is in progress.
    pub(super) fn series(&self) -> Option<SeriesPair> {
        match self {
            Self::SeriesPair(pair) => Some(*pair),
            Self::Boxed(boxed) => boxed.as_ref()?.series(),
        }
    }

    /// The series that counts the bytes of the response body, if they are counted as they pass.
    #[inline]
    pub(super) fn counts_bytes(&self) -> Option<&'static RequestSeries> {
        let counted = match self {
            Self::SeriesPair(pair) => pair.counted,
            Self::Boxed(boxed) => match &boxed.as_ref()?.stage {
                Stage::SeriesPair(pair) => pair.counted,
                Stage::Connection(connection) => connection.counted,
                Stage::Deferred(_) => return None,
            },
        };
        counted.counts_bytes().then_some(counted)
    }

    fn series_mut(&mut self) -> Option<&mut SeriesPair> {
        match self {
            Self::SeriesPair(pair) => Some(pair),
            Self::Boxed(boxed) => match &mut boxed.as_mut()?.stage {
                Stage::SeriesPair(pair) => Some(pair),
                Stage::Deferred(_) | Stage::Connection(_) => None,
            },
        }
    }

    /// Moves out the connection of a request that has ended at its response head. Leaves [`ENDED`].
    pub(super) fn take_connection(&mut self) -> Option<Connection> {
        let Self::Boxed(Some(boxed)) = self else {
            return None;
        };
        if !matches!(boxed.stage, Stage::Connection(_)) {
            return None;
        }
        let Self::Boxed(boxed) = self.take() else {
            return None;
        };
        match ManuallyDrop::into_inner(boxed?).stage {
            Stage::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    /// Moves out the series, if the request is in progress, and the extras. Leaves [`ENDED`].
    pub(super) fn take_series(&mut self) -> Option<(SeriesPair, Extras)> {
        match self.take() {
            Self::SeriesPair(pair) => Some((pair, Extras::default())),
            Self::Boxed(boxed) => {
                let boxed = *ManuallyDrop::into_inner(boxed?);
                Some((boxed.series()?, boxed.extras))
            }
        }
    }

    /// Registers a deferred request: it is in progress from now on.
    #[inline]
    pub(super) fn register_deferred(&mut self) {
        if let Self::Boxed(Some(boxed)) = self
            && boxed.is_deferred()
        {
            self.register(None);
        }
    }

    /// Registers a deferred request, at the endpoint that the response has `named`, otherwise at that of the
    /// request.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        // Taken out until it is registered: if a recorder panics, the exchange has ended.
        if let Self::Boxed(in_flight) = self
            && let Some(boxed) = in_flight.take()
        {
            let mut boxed = ManuallyDrop::into_inner(boxed);
            if boxed.register(named) {
                *in_flight = Some(ManuallyDrop::new(boxed));
            }
        }
    }

    /// Applies the labels and the endpoint of the response to the series that counts the request. The
    /// in-progress series stays the same.
    pub(super) fn apply_response(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        // A deferred request is registered with the labels of the request: those of the response are applied
        // next.
        self.register(named);
        let is_counted = self
            .series_mut()
            .map(|pair| pair.apply_response(response, named));
        if is_counted == Some(false)
            && let Some((pair, _)) = self.take_series()
        {
            pair.in_progress.end();
        }
    }
}

impl Connection {
    /// Ends the connection early. That the client leaves is its normal end; that its body fails is not.
    pub(super) fn end(self, end: End) {
        drop(self.open);
        match end {
            End::Failed => self.counted.count_aborted(AbortReason::Error),
            End::Panicked => self.counted.count_aborted(AbortReason::Panicked),
            End::Complete | End::Dropped => {}
        }
    }
}

impl Boxed {
    fn measured_by(&self) -> (&'static LayerSeries, Method) {
        match &self.stage {
            Stage::SeriesPair(pair) => pair.measured_by(),
            Stage::Deferred(deferred) => (deferred.layer, deferred.method),
            Stage::Connection(Connection { counted, .. }) => (counted.layer(), counted.method()),
        }
    }

    fn series(&self) -> Option<SeriesPair> {
        match self.stage {
            Stage::SeriesPair(pair) => Some(pair),
            Stage::Deferred(_) | Stage::Connection(_) => None,
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
            series.start();
            self.stage = Stage::SeriesPair(SeriesPair::at(series));
        }
        true
    }
}

impl Deferred {
    fn series(&self, named: Option<&Endpoint>) -> Option<&'static RequestSeries> {
        let endpoint = named.or(self.endpoint.as_ref()).map(Endpoint::as_str);
        self.layer.register(self.method, endpoint, self.labels)
    }
}

impl SeriesPair {
    #[inline]
    fn at(series: &'static RequestSeries) -> Self {
        Self {
            in_progress: series,
            counted: series,
        }
    }

    #[inline]
    fn measured_by(self) -> (&'static LayerSeries, Method) {
        (self.counted.layer(), self.counted.method())
    }

    /// Applies the response. Returns `false` if the endpoint it names is skipped: such a request is not
    /// counted.
    fn apply_response(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) -> bool {
        let counted = self.counted;
        let layer = counted.layer();
        let mut labels = counted.labels();
        layer.custom.read_response(response, &mut labels);
        let counted = match named {
            Some(named) => layer.register(counted.method(), Some(named.as_str()), labels),
            None => Some(counted.with(labels)),
        };
        if let Some(counted) = counted {
            self.counted = counted;
        }
        counted.is_some()
    }
}
