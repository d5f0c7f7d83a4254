//! [`Exchange`]: one request, opened before the service runs and closed exactly once, at the latest
//! when it is dropped.

use std::fmt;

use http::{Request, StatusCode};

use super::long_lived::OpenConnection;
use super::{AbortReason, DurationTo, Outcome};
use crate::clock::Instant;
use crate::labels::{Endpoint, Method, endpoint_of_request};
use crate::series::{Found, HttpSeries, MethodSeries};

pub(crate) struct Exchange {
    series: &'static HttpSeries,
    method: Method,
    place: Place,
    /// The endpoint that the response named, where it is not the one of `place`.
    named: Option<&'static MethodSeries>,
    started: Instant,
    stage: Stage,
}

/// Where an exchange is in progress.
enum Place {
    Open(&'static MethodSeries),
    /// Not registered yet. Nobody knows whether this is a first scrape, which must leave no trace;
    /// it is registered when it has to wait or when its response is there.
    Waiting(Option<Endpoint>),
    /// Ended, or never to be measured.
    Closed,
}

/// How far an exchange has come; it decides what a drop or a panic means.
#[derive(Clone, Copy)]
enum Stage {
    Calling,
    /// The head is there, and took so many seconds if that is what is measured.
    Answering(StatusCode, Option<f64>),
}

impl Exchange {
    #[inline]
    pub(crate) fn open<B>(series: &'static HttpSeries, request: &Request<B>) -> Self {
        let method = Method::of(request.method());
        let place = match series.find(method, endpoint_of_request(request)) {
            Found::Measured(series) => {
                series.in_progress.begin();
                Place::Open(series)
            }
            Found::Unknown => Place::Waiting(Endpoint::of_request(request)),
            Found::Skipped => Place::Closed,
        };
        Self {
            series,
            method,
            place,
            named: None,
            started: Instant::now(),
            stage: Stage::Calling,
        }
    }

    /// Hands the open exchange on, leaving a closed one behind.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            series: self.series,
            method: self.method,
            place: std::mem::replace(&mut self.place, Place::Closed),
            named: self.named,
            started: self.started,
            stage: self.stage,
        }
    }

    /// Runs the service's code; if it panics, that is how the request ended, and the panic goes on.
    #[inline]
    pub(crate) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        struct OnPanic<'a>(&'a mut Exchange);
        impl Drop for OnPanic<'_> {
            fn drop(&mut self) {
                self.0.close(self.0.stage.panicked());
            }
        }
        let on_panic = OnPanic(self);
        let value = run();
        std::mem::forget(on_panic);
        value
    }

    /// The service made us wait, so this was no scrape of ours.
    #[inline]
    pub(crate) fn wait(&mut self) {
        if let Place::Waiting(_) = self.place {
            self.register(None);
        }
    }

    /// The head of the response is there; `named` is what it says the endpoint is.
    #[inline]
    pub(crate) fn answer(&mut self, code: StatusCode, named: Option<&Endpoint>) {
        let to_head = self.series.settings.duration_to == DurationTo::Head;
        let seconds = to_head.then(|| self.started.elapsed_seconds());
        self.stage = Stage::Answering(code, seconds);
        if named.is_some() || matches!(self.place, Place::Waiting(_)) {
            self.register(named);
        }
    }

    /// Registers where the request is counted from now on; where it is in progress stays.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        let register = |endpoint: Option<&str>| match self.series.find(self.method, endpoint) {
            Found::Measured(series) => Some(series),
            Found::Unknown => Some(self.series.register(self.method, endpoint)),
            Found::Skipped => None,
        };
        match (&self.place, named) {
            (Place::Waiting(endpoint), named) => {
                let endpoint = named.or(endpoint.as_ref()).map(Endpoint::as_str);
                self.place = register(endpoint).map_or(Place::Closed, |series| {
                    series.in_progress.begin();
                    Place::Open(series)
                });
            }
            (Place::Open(_), Some(named)) => {
                self.named = register(Some(named.as_str()));
                if self.named.is_none() {
                    self.close(Outcome::Scrape);
                }
            }
            (Place::Open(_), None) | (Place::Closed, _) => {}
        }
    }

    /// Closes the exchange. Only the first call counts.
    #[inline]
    pub(crate) fn close(&mut self, outcome: Outcome) {
        if let Place::Waiting(_) = self.place
            && outcome != Outcome::Scrape
        {
            self.register(None);
        }
        let Place::Open(series) = std::mem::replace(&mut self.place, Place::Closed) else {
            return;
        };
        if let Some(status) = outcome.status() {
            let counted = self.named.unwrap_or(series);
            counted.duration.observe(self.seconds());
            self.series.count(counted, status);
            if let Outcome::Aborted(_, reason) = outcome {
                self.series.count_aborted(counted, reason);
            }
        }
        series.in_progress.end();
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.place, Place::Closed)
    }

    #[inline]
    pub(crate) fn is_head_request(&self) -> bool {
        self.method == Method::Head
    }

    #[inline]
    pub(crate) fn is_connect_request(&self) -> bool {
        self.method == Method::Connect
    }

    /// A connection that outlives its request, in the gauge until it is dropped.
    pub(crate) fn connection(&self, kind: &'static str) -> Option<OpenConnection> {
        let Place::Open(series) = self.place else {
            return None;
        };
        let series = self.named.unwrap_or(series);
        Some(OpenConnection::open(self.series.connections(series, kind)))
    }

    /// The body's end: complete or not, its status is the one of the head.
    #[inline]
    pub(crate) fn end_body(&mut self, aborted: Option<AbortReason>) {
        if let Stage::Answering(code, _) = self.stage {
            self.close(match aborted {
                None => Outcome::Complete(code),
                Some(reason) => Outcome::Aborted(code, reason),
            });
        }
    }

    fn seconds(&self) -> f64 {
        match self.stage {
            Stage::Answering(_, Some(seconds)) => seconds,
            _ => self.started.elapsed_seconds(),
        }
    }
}

impl Stage {
    fn panicked(self) -> Outcome {
        match self {
            Self::Calling => Outcome::Panicked,
            Self::Answering(code, _) => Outcome::Aborted(code, AbortReason::Panicked),
        }
    }

    fn dropped(self) -> Outcome {
        match self {
            Self::Calling => Outcome::Cancelled,
            Self::Answering(code, _) => Outcome::Aborted(code, AbortReason::Dropped),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_open() {
            self.close(self.stage.dropped());
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::stepped;
    use crate::{HttpMetrics, Registry};

    /// A request whose head takes a second and whose body takes three more.
    fn measured(end: DurationTo) -> Option<f64> {
        let registry = Registry::new();
        let layer = HttpMetrics::server().duration_to(end).layer(&registry);
        let mut exchange = Exchange::open(layer.unwrap().series(), &Request::new(()));
        stepped::advance(Duration::from_secs(1));
        exchange.answer(StatusCode::OK, None);
        stepped::advance(Duration::from_secs(3));
        exchange.end_body(None);
        stepped::advance(Duration::from_secs(5));
        drop(exchange);
        assert_eq!(
            registry.value("http_request_duration_seconds_count", &[]),
            Some(1.0)
        );
        registry
            .value("http_request_duration_seconds_sum", &[])
            .map(f64::round)
    }

    #[test]
    fn a_duration_ends_with_the_body_or_with_the_head() {
        assert_eq!(measured(DurationTo::End), Some(4.0));
        assert_eq!(measured(DurationTo::Head), Some(1.0));
    }
}
