//! [`Exchange`]: one request, opened before the service runs and closed exactly once, at the latest
//! when it is dropped.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::long_lived::OpenConnection;
use super::nesting;
use super::place::{CLOSED, Open, Place};
use super::request_body::Reading;
use super::{AbortReason, Outcome};
use crate::clock::Instant;
use crate::labels::{Endpoint, Method, RequestHead, ResponseHead, Status, TraceId};
use crate::registry::Writer;
use crate::series::{EndpointSeries, HttpSeries, Measured, RequestSeries};
use crate::watch::Watched;

pub(crate) struct Exchange {
    place: Place,
    started: Instant,
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

impl Exchange {
    // Not inlined: what is generic over the service stays small.
    #[inline(never)]
    pub(crate) fn open(layer: &'static HttpSeries, request: RequestHead<'_>) -> Self {
        nesting::check(layer);
        let method = Method::of(request.method());
        let name = layer.endpoint_of(request);
        let endpoint = layer.endpoint(name);
        if endpoint.is_some_and(EndpointSeries::is_skipped) {
            // It leaves no trace, not even among the values of labels.
            return Self::at(CLOSED, None);
        }
        // All that is asked of the application comes first: if that panics, nothing is open yet.
        let labels = layer.request_labels(request);
        let extras = layer.trace(request).map(|trace| {
            Box::new(Extras {
                trace: Some(trace),
                reading: None,
            })
        });
        let place = match endpoint.and_then(|endpoint| endpoint.get(method, labels)) {
            Some(series) => Place::open(series),
            None => Place::waiting(layer, method, name, labels),
        };
        Self::at(place, extras)
    }

    #[inline]
    fn at(place: Place, extras: Option<Box<Extras>>) -> Self {
        Self {
            place,
            started: Instant::now(),
            head_seconds: f64::NAN,
            sent: 0,
            extras,
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
            place: self.place.take(),
            extras: self.extras.take(),
            ..*self
        }
    }

    /// The layer that measures the request.
    #[inline]
    pub(super) fn layer(&self) -> Option<&'static HttpSeries> {
        Some(self.place.measured_by()?.0)
    }

    /// Whether it is measured and has not ended.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.place.is_live()
    }

    /// This was no scrape of ours: the service made us wait, or has answered.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.place.settle();
    }

    /// The head of the response is there, with this status; gives the method, if the request is measured.
    #[inline]
    pub(crate) fn answer(&mut self, code: StatusCode) -> Option<Method> {
        let (layer, method) = self.place.measured_by()?;
        if layer.times_head() {
            self.head_seconds = self.started.elapsed_seconds();
        }
        self.answered = Answered::with(code);
        Some(method)
    }

    /// Whether a response can change the labels.
    #[inline]
    pub(super) fn asks_response(&self) -> bool {
        self.layer().is_some_and(HttpSeries::asks_response)
    }

    /// A response has the last word about labels, and about the endpoint if it has `named` one.
    pub(super) fn learn(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        self.place.learn(response, named);
    }

    /// Closes the exchange. Only the first call counts.
    #[inline]
    pub(crate) fn close(&mut self, outcome: Outcome) {
        self.close_as(outcome.status(), outcome);
    }

    /// The status of an outcome is known where it closes: it need not be worked out here.
    #[inline(never)]
    fn close_as(&mut self, status: Option<Status>, outcome: Outcome) {
        if status.is_some() {
            self.settle();
        }
        let Place::Open(Open { began, counted }) = self.place.take() else {
            return;
        };
        let layer = counted.layer();
        let writer = layer.writer();
        // Last, and also if a recorder of another crate, or who listens to a warning, panics.
        let _ending = Ending { began, writer };
        if let Some(status) = status {
            let measured = || self.measured(outcome);
            counted.count(writer, status, self.seconds(layer), measured);
        }
        if let Outcome::Aborted(_, reason) = outcome {
            counted.count_aborted(reason);
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

    /// A connection that outlives its request, in the gauge until it is dropped.
    pub(crate) fn connection(&self, kind: &'static str) -> Option<OpenConnection> {
        let Place::Open(Open { counted, .. }) = self.place else {
            return None;
        };
        let gauge = counted.layer().connections(counted, kind);
        gauge.map(OpenConnection::open)
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
    fn seconds(&self, layer: &HttpSeries) -> f64 {
        match layer.ends_at_head() && !self.head_seconds.is_nan() {
            true => self.head_seconds,
            false => self.started.elapsed_seconds(),
        }
    }
}

/// Ends what is in progress when it is dropped.
struct Ending<'a> {
    began: &'static RequestSeries,
    writer: Option<Writer<'a>>,
}

impl Drop for Ending<'_> {
    #[inline]
    fn drop(&mut self) {
        self.began.end(self.writer);
    }
}

impl Watched for Exchange {
    #[cold]
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
        if self.is_live() {
            self.dropped();
        }
    }
}

impl Exchange {
    /// Nobody waits any more.
    #[cold]
    fn dropped(&mut self) {
        self.close(match self.answered.status() {
            None => Outcome::Cancelled,
            Some(status) => Outcome::Aborted(status, AbortReason::Dropped),
        });
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("answered", &self.answered.status())
            .field("open", &self.is_live())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::clock::stepped;
    use crate::{DurationTo, Family, HttpMetrics, Registry};

    /// A request whose head takes a second and whose body takes three more.
    fn measured(metrics: HttpMetrics) -> Registry {
        let registry = Registry::new();
        let layer = metrics.layer(&registry).unwrap();
        let mut exchange = Exchange::open(layer.series(), RequestHead::new(&Request::new(())));
        stepped::advance(Duration::from_secs(1));
        exchange.settle();
        exchange.answer(StatusCode::OK);
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
