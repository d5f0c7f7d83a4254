//! [`InFlight`]: where an exchange is in progress, and where it will be counted.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::middleware::request_body::BodyProgress;
use crate::http::series::http::HttpSeries;
use crate::http::series::label_values::LabelIds;
use crate::http::series::request::RequestSeries;
use crate::model::trace::TraceId;

/// Where an exchange is in progress.
pub(super) enum InFlight {
    /// As most are.
    SeriesPair(SeriesPair),
    /// `None` where the exchange has ended, or was never to be measured: see [`CLOSED`]. Else in a box, with
    /// what most do not need.
    ///
    /// The box is dropped where the exchange closes, and every exchange does; so what every request does twice,
    /// dropping one that is closed, is to look at two words.
    Boxed(Option<ManuallyDrop<Box<Boxed>>>),
}

/// Not a variant of its own, for which a [`InFlight`] would need one more word.
pub(super) const CLOSED: InFlight = InFlight::Boxed(None);

#[derive(Clone, Copy)]
pub(super) struct SeriesPair {
    pub(super) began: &'static RequestSeries,
    /// Where the request will be counted: the response may name another endpoint, or other labels.
    pub(super) counted: &'static RequestSeries,
}

/// What few exchanges need, so that all stay small: they move with their requests.
pub(super) struct Boxed {
    stage: Stage,
    pub(super) extras: Extras,
}

enum Stage {
    SeriesPair(SeriesPair),
    /// Not registered yet. Nobody knows whether this is a first scrape, which must leave no trace;
    /// it is registered when it has to wait or when its response is there.
    Deferred(Deferred),
}

struct Deferred {
    layer: &'static HttpSeries,
    method: Method,
    endpoint: Option<Endpoint>,
    labels: LabelIds,
}

/// What only some layers ask for.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) trace: Option<TraceId>,
    /// What was read of the request's body.
    pub(super) reading: Option<Arc<BodyProgress>>,
}

impl InFlight {
    /// In progress from now on.
    pub(super) fn open(series: &'static RequestSeries) -> Self {
        series.begin();
        Self::begun(series)
    }

    /// In progress since just now.
    #[inline]
    pub(super) fn begun(series: &'static RequestSeries) -> Self {
        Self::SeriesPair(SeriesPair::at(series))
    }

    #[cold]
    pub(super) fn waiting(
        layer: &'static HttpSeries,
        method: Method,
        endpoint: Option<&str>,
        labels: LabelIds,
    ) -> Self {
        Self::apart(Stage::Deferred(Deferred {
            layer,
            method,
            endpoint: endpoint.map(Endpoint::new),
            labels,
        }))
    }

    fn apart(stage: Stage) -> Self {
        let extras = Extras::default();
        Self::Boxed(Some(ManuallyDrop::new(Box::new(Boxed { stage, extras }))))
    }

    /// Whether it has not ended.
    #[inline]
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Self::Boxed(None))
    }

    /// Leaves a closed one behind.
    #[must_use = "dropped, it leaks its box"]
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, CLOSED)
    }

    /// Room for what is asked for beside the numbers of all requests; none if it has ended.
    pub(super) fn extras(&mut self) -> Option<&mut Extras> {
        if let &mut Self::SeriesPair(open) = self {
            *self = Self::apart(Stage::SeriesPair(open));
        }
        match self {
            Self::Boxed(Some(apart)) => Some(&mut apart.extras),
            _ => None,
        }
    }

    /// The layer of a request that is measured.
    #[inline]
    pub(super) fn layer(&self) -> Option<&'static HttpSeries> {
        Some(self.measured_by()?.0)
    }

    /// The layer and the method of a request that is measured.
    #[inline]
    pub(super) fn measured_by(&self) -> Option<(&'static HttpSeries, Method)> {
        match self {
            Self::SeriesPair(open) => Some(open.measured_by()),
            Self::Boxed(apart) => Some(apart.as_ref()?.measured_by()),
        }
    }

    /// Whether it is in progress, and of a response's head only the status matters.
    #[inline]
    pub(super) fn takes_status_alone(&self) -> bool {
        matches!(self, Self::SeriesPair(open) if open.counted.takes_status_alone())
    }

    /// Where it is in progress, if it is.
    pub(super) fn opened(&self) -> Option<SeriesPair> {
        match self {
            Self::SeriesPair(open) => Some(*open),
            Self::Boxed(apart) => apart.as_ref()?.opened(),
        }
    }

    fn opened_mut(&mut self) -> Option<&mut SeriesPair> {
        match self {
            Self::SeriesPair(open) => Some(open),
            Self::Boxed(apart) => match &mut apart.as_mut()?.stage {
                Stage::SeriesPair(open) => Some(open),
                Stage::Deferred(_) => None,
            },
        }
    }

    /// Takes out where it is in progress, if it is, and what was asked for beside; leaves a closed one behind.
    pub(super) fn take_open(&mut self) -> Option<(SeriesPair, Extras)> {
        match self.take() {
            Self::SeriesPair(open) => Some((open, Extras::default())),
            Self::Boxed(apart) => {
                let apart = *ManuallyDrop::into_inner(apart?);
                Some((apart.opened()?, apart.extras))
            }
        }
    }

    /// What waits is in progress from now on.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Self::Boxed(Some(apart)) = self
            && apart.is_waiting()
        {
            self.register(None);
        }
    }

    /// What waits is in progress from now on, at the endpoint that was `named` or else at its own.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        // Taken out meanwhile: if a recorder panics, the exchange has ended.
        if let Self::Boxed(place) = self
            && let Some(apart) = place.take()
        {
            let mut apart = ManuallyDrop::into_inner(apart);
            if apart.register(named) {
                *place = Some(ManuallyDrop::new(apart));
            }
        }
    }

    /// Counted where the response says; where it is in progress already stays.
    pub(super) fn learn(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        // What waits, by what the request said of itself, so that the next one like it is found.
        self.register(named);
        let learnt = self.opened_mut().map(|open| open.learn(response, named));
        if learnt == Some(false)
            && let Some((open, _)) = self.take_open()
        {
            open.began.end();
        }
    }
}

impl Boxed {
    fn measured_by(&self) -> (&'static HttpSeries, Method) {
        match &self.stage {
            Stage::SeriesPair(open) => open.measured_by(),
            Stage::Deferred(waiting) => (waiting.layer, waiting.method),
        }
    }

    fn opened(&self) -> Option<SeriesPair> {
        match self.stage {
            Stage::SeriesPair(open) => Some(open),
            Stage::Deferred(_) => None,
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Deferred(_))
    }

    /// Whether it is in progress now: not if it names an endpoint that is not to be measured.
    fn register(&mut self, named: Option<&Endpoint>) -> bool {
        if let Stage::Deferred(waiting) = &self.stage {
            let Some(series) = waiting.series(named) else {
                return false;
            };
            series.begin();
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
            began: series,
            counted: series,
        }
    }

    #[inline]
    fn measured_by(self) -> (&'static HttpSeries, Method) {
        (self.counted.layer(), self.counted.method())
    }

    /// Whether it is still measured: a response that names an endpoint that is not leaves no trace.
    fn learn(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) -> bool {
        let counted = self.counted;
        let layer = counted.layer();
        let mut labels = counted.labels();
        layer.response_labels(response, &mut labels);
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
