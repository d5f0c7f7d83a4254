//! [`Place`]: where an exchange is in progress, and where it will be counted.

use crate::labels::{Endpoint, Method, ResponseHead};
use crate::series::{HttpSeries, LabelIds, RequestSeries};

/// Where an exchange is in progress.
pub(super) enum Place {
    Open(Open),
    /// Not registered yet. Nobody knows whether this is a first scrape, which must leave no trace;
    /// it is registered when it has to wait or when its response is there. Without what waits, the
    /// exchange has ended, or was never to be measured: see [`CLOSED`].
    Waiting(Option<Box<Waiting>>),
}

/// Not a variant of its own, for which a [`Place`] would need one more word.
pub(super) const CLOSED: Place = Place::Waiting(None);

#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) began: &'static RequestSeries,
    /// Where the request will be counted: the response may name another endpoint, or other labels.
    pub(super) counted: &'static RequestSeries,
}

pub(super) struct Waiting {
    layer: &'static HttpSeries,
    method: Method,
    endpoint: Option<Endpoint>,
    labels: LabelIds,
}

impl Place {
    /// In progress from now on.
    #[inline(always)]
    pub(super) fn open(series: &'static RequestSeries) -> Self {
        series.begin();
        Self::Open(Open {
            began: series,
            counted: series,
        })
    }

    #[cold]
    pub(super) fn waiting(
        layer: &'static HttpSeries,
        method: Method,
        endpoint: Option<&str>,
        labels: LabelIds,
    ) -> Self {
        Self::Waiting(Some(Box::new(Waiting {
            layer,
            method,
            endpoint: endpoint.map(Endpoint::new),
            labels,
        })))
    }

    /// Whether it has not ended.
    #[inline]
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Self::Waiting(None))
    }

    /// Leaves a closed one behind.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, CLOSED)
    }

    /// The layer and the method of a request that is measured.
    #[inline]
    pub(super) fn measured_by(&self) -> Option<(&'static HttpSeries, Method)> {
        match self {
            Self::Open(Open { counted, .. }) => Some((counted.layer(), counted.method())),
            Self::Waiting(waiting) => {
                let waiting = waiting.as_ref()?;
                Some((waiting.layer, waiting.method))
            }
        }
    }

    /// What waits is in progress from now on.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Self::Waiting(Some(_)) = self {
            self.register(None);
        }
    }

    /// What waits is in progress from now on, at the endpoint that was `named` or else at its own.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        if let Self::Waiting(waiting) = self
            && let Some(waiting) = waiting.take()
        {
            let series = waiting.series(named);
            *self = series.map_or(CLOSED, Self::open);
        }
    }

    /// Counted where the response says; where it is in progress already stays.
    pub(super) fn learn(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        // What waits, by what the request said of itself, so that the next one like it is found.
        self.register(named);
        if let &mut Self::Open(open) = self {
            *self = open.learn(response, named);
        }
    }
}

impl Waiting {
    fn series(&self, named: Option<&Endpoint>) -> Option<&'static RequestSeries> {
        let endpoint = named.or(self.endpoint.as_ref()).map(Endpoint::as_str);
        self.layer.register(self.method, endpoint, self.labels)
    }
}

impl Open {
    fn learn(self, response: ResponseHead<'_>, named: Option<&Endpoint>) -> Place {
        let Self { began, counted } = self;
        let layer = counted.layer();
        let mut labels = counted.labels();
        layer.response_labels(response, &mut labels);
        let counted = match named {
            Some(named) => layer.register(counted.method(), Some(named.as_str()), labels),
            None => Some(counted.with(labels)),
        };
        match counted {
            Some(counted) => Place::Open(Self { began, counted }),
            // Named one that is skipped: no trace, as of a scrape.
            None => {
                began.end(layer.writer());
                CLOSED
            }
        }
    }
}
