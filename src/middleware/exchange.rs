//! [`Exchange`]: one request, opened before the service runs and closed exactly once, at the latest
//! when it is dropped.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response, StatusCode};

use super::long_lived::OpenConnection;
use super::nesting::Around;
use super::request_body::Reading;
use super::{AbortReason, DurationTo, Outcome, nesting};
use crate::clock::Instant;
use crate::labels::{Endpoint, Method, TraceId};
use crate::series::{Found, HttpSeries, LabelIds, Measured, MethodSeries};
use crate::target::InProgress;

pub(crate) struct Exchange {
    series: &'static HttpSeries,
    method: Method,
    labels: LabelIds,
    place: Place,
    /// The endpoint that the response named, where it is not the one of `place`.
    named: Option<&'static MethodSeries>,
    started: Instant,
    stage: Stage,
    /// Bytes of the response's body so far.
    sent: u64,
    /// What only some layers ask for.
    extras: Option<Box<Extras>>,
}

/// Apart, so that an exchange stays small: it moves with its request.
#[derive(Default)]
struct Extras {
    trace: Option<TraceId>,
    /// What was read of the request's body.
    reading: Option<Arc<Reading>>,
}

/// Where an exchange is in progress.
enum Place {
    Open(Open),
    /// Not registered yet. Nobody knows whether this is a first scrape, which must leave no trace;
    /// it is registered when it has to wait or when its response is there.
    Waiting(Option<Box<Endpoint>>),
    /// Ended, or never to be measured.
    Closed,
}

#[derive(Clone, Copy)]
struct Open {
    series: &'static MethodSeries,
    in_progress: Option<&'static InProgress>,
}

/// How far an exchange has come; it decides what a drop or a panic means.
#[derive(Clone, Copy)]
enum Stage {
    Calling,
    /// The head is there.
    Answering(StatusCode, HeadSeconds),
}

/// How long the head took, if that is measured; else not a number.
#[derive(Clone, Copy)]
struct HeadSeconds(f64);

impl HeadSeconds {
    fn get(self) -> Option<f64> {
        (!self.0.is_nan()).then_some(self.0)
    }
}

impl Open {
    #[inline]
    fn begin(series: &'static HttpSeries, of: &'static MethodSeries, labels: LabelIds) -> Self {
        let in_progress = series.in_progress(of, labels);
        if let Some(in_progress) = in_progress {
            in_progress.begin();
        }
        Self {
            series: of,
            in_progress,
        }
    }
}

impl Exchange {
    #[inline]
    pub(crate) fn open<B>(series: &'static HttpSeries, request: &Request<B>) -> Self {
        nesting::check(series);
        let method = Method::of(request.method());
        // All that is asked of the application comes first: if that panics, nothing is open yet.
        let labels = series.request_labels(request);
        let extras = series.trace(request).map(|trace| {
            Box::new(Extras {
                trace: Some(trace),
                reading: None,
            })
        });
        let endpoint = series.settings.endpoint_source.endpoint_of(request);
        let place = match series.find(method, endpoint) {
            Found::Measured(of) => Place::Open(Open::begin(series, of, labels)),
            Found::Unknown => Place::Waiting(endpoint.map(|name| Box::new(Endpoint::new(name)))),
            Found::Skipped => Place::Closed,
        };
        Self {
            series,
            method,
            labels,
            place,
            named: None,
            started: Instant::now(),
            stage: Stage::Calling,
            sent: 0,
            extras,
        }
    }

    /// Takes along what will be read of the request's body.
    pub(super) fn set_reading(&mut self, reading: Arc<Reading>) {
        self.extras.get_or_insert_default().reading = Some(reading);
    }

    /// Hands the open exchange on, leaving a closed one behind.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            series: self.series,
            method: self.method,
            labels: self.labels,
            place: std::mem::replace(&mut self.place, Place::Closed),
            named: self.named,
            started: self.started,
            stage: self.stage,
            sent: self.sent,
            extras: self.extras.take(),
        }
    }

    /// As [`watch`](Self::watch), where a request may pass this layer again further in.
    #[inline]
    pub(crate) fn watch_service<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let _around = Around::enter(self.series);
        self.watch(run)
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
    pub(crate) fn answer<B>(&mut self, response: &Response<B>, named: Option<&Endpoint>) {
        let seconds = match self.series.times_head() {
            true => self.started.elapsed_seconds(),
            false => f64::NAN,
        };
        self.stage = Stage::Answering(response.status(), HeadSeconds(seconds));
        self.series.response_labels(response, &mut self.labels);
        if named.is_some() || matches!(self.place, Place::Waiting(_)) {
            self.register(named);
        }
    }

    /// Registers where the request is counted from now on; where it is in progress stays.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        let series = self.series;
        let register = |endpoint: Option<&Endpoint>| {
            series.register(self.method, endpoint.map(Endpoint::as_str))
        };
        match (&self.place, named) {
            (Place::Waiting(endpoint), named) => {
                let of = register(named.or(endpoint.as_deref()));
                let open = of.map(|of| Place::Open(Open::begin(series, of, self.labels)));
                self.place = open.unwrap_or(Place::Closed);
            }
            (Place::Open(_), Some(named)) => {
                self.named = register(Some(named));
                if self.named.is_none() {
                    // Named one that is skipped: no trace, as of a scrape.
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
        let Place::Open(open) = std::mem::replace(&mut self.place, Place::Closed) else {
            return;
        };
        if let Some(status) = outcome.status() {
            let counted = self.named.unwrap_or(open.series);
            let extras = self.extras.as_deref();
            let measured = Measured {
                status,
                seconds: self.seconds(),
                head_seconds: self.stage.head_seconds(),
                response_bytes: outcome.has_body().then_some(self.sent),
                request: extras.and_then(|extras| Some(extras.reading.as_ref()?.measured())),
                trace: extras.and_then(|extras| extras.trace),
            };
            self.series.count(counted, self.labels, measured);
            if let Outcome::Aborted(_, reason) = outcome {
                self.series.count_aborted(counted, self.labels, reason);
            }
        }
        if let Some(in_progress) = open.in_progress {
            in_progress.end();
        }
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
        let Place::Open(open) = self.place else {
            return None;
        };
        let series = self.named.unwrap_or(open.series);
        self.series
            .connections(series, kind)
            .map(OpenConnection::open)
    }

    /// Bytes of the response's body passed.
    #[inline]
    pub(crate) fn send(&mut self, bytes: u64) {
        self.sent += bytes;
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
        match (self.series.settings.duration_to, self.stage.head_seconds()) {
            (DurationTo::Head, Some(seconds)) => seconds,
            _ => self.started.elapsed_seconds(),
        }
    }
}

impl Stage {
    fn head_seconds(self) -> Option<f64> {
        match self {
            Self::Calling => None,
            Self::Answering(_, seconds) => seconds.get(),
        }
    }

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
    use crate::{Family, HttpMetrics, Registry};

    /// A request whose head takes a second and whose body takes three more.
    fn measured(metrics: HttpMetrics) -> Registry {
        let registry = Registry::new();
        let layer = metrics.layer(&registry).unwrap();
        let mut exchange = Exchange::open(layer.series(), &Request::new(()));
        stepped::advance(Duration::from_secs(1));
        exchange.answer(&Response::new(()), None);
        stepped::advance(Duration::from_secs(3));
        exchange.end_body(None);
        stepped::advance(Duration::from_secs(5));
        drop(exchange);
        registry
    }

    fn rounded(registry: &Registry, family: &str) -> Option<f64> {
        let count = registry.value(&format!("{family}_count"), &[]);
        assert!(count.is_none_or(|count| count == 1.0), "{family}");
        registry
            .value(&format!("{family}_sum"), &[])
            .map(f64::round)
    }

    #[test]
    fn a_duration_ends_with_the_body_or_with_the_head() {
        for (end, seconds) in [(DurationTo::End, 4.0), (DurationTo::Head, 1.0)] {
            let registry = measured(HttpMetrics::server().duration_to(end));
            let duration = rounded(&registry, "http_request_duration_seconds");
            assert_eq!(duration, Some(seconds));
        }
    }

    #[test]
    fn the_time_to_the_head_is_measured_beside_it() {
        let registry = measured(HttpMetrics::server().measure(Family::HeadDuration));
        let head = rounded(&registry, "http_response_head_duration_seconds");
        assert_eq!(head, Some(1.0));
        let duration = rounded(&registry, "http_request_duration_seconds");
        assert_eq!(duration, Some(4.0));
    }
}
