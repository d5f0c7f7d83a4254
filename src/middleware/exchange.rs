//! [`Exchange`]: one request, opened before the service runs and closed exactly once, at the latest
//! when it is dropped.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::long_lived::OpenConnection;
use super::nesting::{self, Around};
use super::request_body::Reading;
use super::{AbortReason, DurationTo, Outcome};
use crate::clock::Instant;
use crate::labels::{Endpoint, Method, RequestHead, ResponseHead, Status, TraceId};
use crate::registry::Writer;
use crate::series::{Found, HttpSeries, LabelIds, Measured, MethodSeries};
use crate::target::InProgress;
use crate::watch::Watched;

pub(crate) struct Exchange {
    series: &'static HttpSeries,
    place: Place,
    started: Instant,
    labels: LabelIds,
    /// How long the head took, where that is measured; not a number before it is there.
    head_seconds: f64,
    /// Bytes of the response's body so far.
    sent: u64,
    /// What only some layers ask for.
    extras: Option<Box<Extras>>,
    answered: Answered,
}

/// The response's status, if there is a response: what a drop or a panic means depends on it.
///
/// A whole word: an exchange is moved several times, and processors are slow to copy gaps.
#[derive(Clone, Copy)]
struct Answered(u64);

impl Answered {
    const NOT_YET: Self = Self(0);

    #[inline]
    fn with(code: StatusCode) -> Self {
        Self(code.as_u16().into())
    }

    #[inline]
    fn status(self) -> Option<Status> {
        Status::from_code(self.0 as u16)
    }
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
    Waiting(Box<Waiting>),
    /// Ended, or never to be measured.
    Closed,
}

#[derive(Clone, Copy)]
struct Open {
    /// Where the request will be counted; the response may still name another endpoint.
    series: &'static MethodSeries,
    in_progress: Option<&'static InProgress>,
}

struct Waiting {
    method: Method,
    endpoint: Option<Endpoint>,
}

impl Open {
    #[inline(always)]
    fn begin(series: &'static HttpSeries, of: &'static MethodSeries, labels: LabelIds) -> Self {
        let in_progress = series.in_progress(of, labels);
        if let Some(in_progress) = in_progress {
            in_progress.begin_by(series.writer());
        }
        Self {
            series: of,
            in_progress,
        }
    }
}

impl Exchange {
    // Not inlined: what is generic over the service stays small.
    #[inline(never)]
    pub(crate) fn open(series: &'static HttpSeries, request: RequestHead<'_>) -> Self {
        nesting::check(series);
        let method = Method::of(request.method());
        let endpoint = series.settings.endpoint_source.endpoint_of(request);
        let found = series.find(method, endpoint);
        if let Found::Skipped = found {
            return Self::closed(series);
        }
        // All that is asked of the application comes first: if that panics, nothing is open yet.
        let labels = series.request_labels(request);
        let extras = series.trace(request).map(|trace| {
            Box::new(Extras {
                trace: Some(trace),
                reading: None,
            })
        });
        let place = match found {
            Found::Measured(of) => Place::Open(Open::begin(series, of, labels)),
            Found::Unknown => Place::waiting(method, endpoint),
            Found::Skipped => Place::Closed,
        };
        Self {
            series,
            place,
            started: Instant::now(),
            labels,
            head_seconds: f64::NAN,
            sent: 0,
            extras,
            answered: Answered::NOT_YET,
        }
    }

    /// Of a request that leaves no trace, not even among the values of labels.
    #[cold]
    fn closed(series: &'static HttpSeries) -> Self {
        Self {
            series,
            place: Place::Closed,
            started: Instant::now(),
            labels: LabelIds::default(),
            head_seconds: f64::NAN,
            sent: 0,
            extras: None,
            answered: Answered::NOT_YET,
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
            place: std::mem::replace(&mut self.place, Place::Closed),
            extras: self.extras.take(),
            ..*self
        }
    }

    /// Says that the inner service runs, so that it is noticed if the request passes this layer again.
    #[inline]
    pub(super) fn enter(&self) -> Option<Around> {
        Around::enter(self.series)
    }

    /// The service made us wait, so this was no scrape of ours.
    #[inline]
    pub(crate) fn wait(&mut self) {
        if let Place::Waiting(_) = self.place {
            self.register(None);
        }
    }

    /// The head of the response is there; `named` is what it says the endpoint is.
    #[inline(always)]
    pub(crate) fn answer(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        if self.series.times_head() {
            self.head_seconds = self.started.elapsed_seconds();
        }
        self.answered = Answered::with(response.status());
        self.series.response_labels(response, &mut self.labels);
        if named.is_some() || matches!(self.place, Place::Waiting(_)) {
            self.register(named);
        }
    }

    /// Registers where the request is counted from now on; where it is in progress stays.
    #[cold]
    fn register(&mut self, named: Option<&Endpoint>) {
        let (series, labels) = (self.series, self.labels);
        self.place = match (std::mem::replace(&mut self.place, Place::Closed), named) {
            (Place::Waiting(waiting), named) => {
                let endpoint = named.or(waiting.endpoint.as_ref());
                let of = series.register(waiting.method, endpoint.map(Endpoint::as_str));
                of.map_or(Place::Closed, |of| {
                    Place::Open(Open::begin(series, of, labels))
                })
            }
            (Place::Open(open), Some(named)) => {
                match series.register(open.series.method(), Some(named.as_str())) {
                    Some(series) => Place::Open(Open { series, ..open }),
                    // Named one that is skipped: no trace, as of a scrape.
                    None => {
                        open.in_progress.inspect(|gauge| gauge.end());
                        Place::Closed
                    }
                }
            }
            (place, _) => place,
        };
    }

    /// Closes the exchange. Only the first call counts.
    #[inline(never)]
    pub(crate) fn close(&mut self, outcome: Outcome) {
        if let Place::Waiting(_) = self.place {
            match outcome {
                Outcome::Scrape => self.place = Place::Closed,
                _ => self.register(None),
            }
        }
        let Place::Open(open) = self.place else {
            return;
        };
        self.place = Place::Closed;
        let writer = self.series.writer();
        // Last, and also if a recorder of another crate, or who listens to a warning, panics.
        let _ending = Ending { open, writer };
        if let Some(status) = outcome.status() {
            self.count(writer, open.series, status, outcome);
        }
    }

    #[inline]
    fn count(
        &self,
        writer: Option<Writer<'_>>,
        of: &'static MethodSeries,
        status: Status,
        outcome: Outcome,
    ) {
        let measured = || self.measured(outcome);
        self.series
            .count(writer, of, self.labels, status, self.seconds(), measured);
        if let Outcome::Aborted(_, reason) = outcome {
            self.series.count_aborted(of, self.labels, reason);
        }
    }

    fn measured(&self, outcome: Outcome) -> Measured {
        let extras = self.extras.as_deref();
        let head = self.head_seconds;
        Measured {
            head_seconds: (!head.is_nan()).then_some(head),
            response_bytes: outcome.has_body().then_some(self.sent),
            request: extras.and_then(|extras| Some(extras.reading.as_ref()?.measured())),
            trace: extras.and_then(|extras| extras.trace),
        }
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.place, Place::Closed)
    }

    /// The method of a request that is measured.
    #[inline]
    pub(crate) fn method(&self) -> Option<Method> {
        match &self.place {
            Place::Open(open) => Some(open.series.method()),
            Place::Waiting(waiting) => Some(waiting.method),
            Place::Closed => None,
        }
    }

    /// A connection that outlives its request, in the gauge until it is dropped.
    pub(crate) fn connection(&self, kind: &'static str) -> Option<OpenConnection> {
        let Place::Open(open) = &self.place else {
            return None;
        };
        self.series
            .connections(open.series, kind)
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
        if let Some(status) = self.answered.status() {
            self.close(match aborted {
                None => Outcome::Complete(status),
                Some(reason) => Outcome::Aborted(status, reason),
            });
        }
    }

    #[inline]
    fn seconds(&self) -> f64 {
        match self.series.settings.duration_to {
            DurationTo::Head if !self.head_seconds.is_nan() => self.head_seconds,
            _ => self.started.elapsed_seconds(),
        }
    }

    /// What it means that nobody waits any more.
    fn dropped(&self) -> Outcome {
        match self.answered.status() {
            None => Outcome::Cancelled,
            Some(status) => Outcome::Aborted(status, AbortReason::Dropped),
        }
    }
}

/// Ends what is in progress when it is dropped.
struct Ending<'a> {
    open: Open,
    writer: Option<Writer<'a>>,
}

impl Drop for Ending<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(in_progress) = self.open.in_progress {
            in_progress.end_by(self.writer);
        }
    }
}

impl Place {
    #[cold]
    fn waiting(method: Method, endpoint: Option<&str>) -> Self {
        let endpoint = endpoint.map(Endpoint::new);
        Self::Waiting(Box::new(Waiting { method, endpoint }))
    }
}

impl Watched for Exchange {
    fn panicked(&mut self) {
        self.close(match self.answered.status() {
            None => Outcome::Panicked,
            Some(status) => Outcome::Aborted(status, AbortReason::Panicked),
        });
    }
}

impl Drop for Exchange {
    #[inline]
    fn drop(&mut self) {
        if self.is_open() {
            self.abandon();
        }
    }
}

impl Exchange {
    #[cold]
    fn abandon(&mut self) {
        self.close(self.dropped());
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("answered", &self.answered.status())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, Response};

    use super::*;
    use crate::clock::stepped;
    use crate::{Family, HttpMetrics, Registry};

    /// A request whose head takes a second and whose body takes three more.
    fn measured(metrics: HttpMetrics) -> Registry {
        let registry = Registry::new();
        let layer = metrics.layer(&registry).unwrap();
        let mut exchange = Exchange::open(layer.series(), RequestHead::new(&Request::new(())));
        stepped::advance(Duration::from_secs(1));
        exchange.answer(ResponseHead::new(&Response::new(())), None);
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
