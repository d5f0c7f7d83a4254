//! [`Exchange`]: one request, opened before the service runs and closed exactly once, at the latest
//! when it is dropped.

use std::fmt;
use std::sync::Arc;

use http::{Request, StatusCode};

use crate::clock::Instant;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::labels::method::Method;
use crate::http::labels::status::Status;
use crate::http::middleware::in_flight::{CLOSED, Extras, InFlight, SeriesPair};
use crate::http::middleware::long_lived::OpenConnection;
use crate::http::middleware::nesting;
use crate::http::middleware::outcome::RequestEnd;
use crate::http::middleware::request_body::BodyProgress;
use crate::http::series::completion::Measured;
use crate::http::series::endpoint::EndpointSeries;
use crate::http::series::http::HttpSeries;
use crate::http::series::request::RequestSeries;
use crate::lifecycle::panic_guard::OnPanic;

pub(crate) struct Exchange {
    place: InFlight,
    started: Instant,
    /// How long the head took, where that is measured; not a number before it is there.
    head_seconds: f64,
    /// Bytes of the response's body so far.
    sent: u64,
    answered: Answered,
}

// It moves from the future to the body, and from one stack to another.
const _: () = assert!(size_of::<Exchange>() <= 56);

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

impl Exchange {
    /// Opens the exchange of a request that begins.
    #[inline]
    pub(crate) fn open<B>(layer: &'static HttpSeries, request: &Request<B>) -> Self {
        nesting::check(layer);
        match layer.begin_known(request.method(), request.extensions()) {
            Some(series) => Self::at(InFlight::begun(series)),
            None => Self::open_asking(layer, RequestHead::new(request)),
        }
    }

    /// Opens what is not found by its route and its method alone.
    // Not inlined: what is generic over the service stays small.
    #[inline(never)]
    fn open_asking(layer: &'static HttpSeries, request: RequestHead<'_>) -> Self {
        let method = Method::of(request.method());
        let name = layer.endpoint_of(request);
        let endpoint = layer.endpoint(name);
        if endpoint.is_some_and(EndpointSeries::is_skipped) {
            // It leaves no trace, not even among the values of labels.
            return Self::at(CLOSED);
        }
        // All that is asked of the application comes first: if that panics, nothing is open yet.
        let labels = layer.request_labels(request);
        let trace = layer.trace(request);
        let mut place = match endpoint.and_then(|endpoint| endpoint.get(method, labels)) {
            Some(series) => InFlight::open(series),
            None => InFlight::waiting(layer, method, name, labels),
        };
        if let Some(trace) = trace
            && let Some(extras) = place.extras()
        {
            extras.trace = Some(trace);
        }
        Self::at(place)
    }

    #[inline]
    fn at(place: InFlight) -> Self {
        Self {
            place,
            started: Instant::now(),
            head_seconds: f64::NAN,
            sent: 0,
            answered: Answered::NOT_YET,
        }
    }

    /// Takes along what will be read of the request's body.
    pub(super) fn set_reading(&mut self, reading: Arc<BodyProgress>) {
        if let Some(extras) = self.place.extras() {
            extras.reading = Some(reading);
        }
    }

    /// Hands the open exchange on, leaving a closed one behind.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            place: self.place.take(),
            ..*self
        }
    }

    /// The layer that measures the request.
    #[inline]
    pub(super) fn layer(&self) -> Option<&'static HttpSeries> {
        self.place.layer()
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
        self.answer_alone(code);
        Some(method)
    }

    /// As [`answer`](Self::answer), where only the status matters.
    #[inline]
    pub(super) fn answer_alone(&mut self, code: StatusCode) {
        self.answered = Answered::with(code);
    }

    /// Whether it is in progress, and of a response's head only the status matters.
    #[inline]
    pub(super) fn takes_status_alone(&self) -> bool {
        self.place.takes_status_alone()
    }

    /// A response has the last word about labels, and about the endpoint if it has `named` one.
    pub(super) fn learn(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        self.place.learn(response, named);
    }

    /// Closes the exchange. Only the first call counts.
    pub(crate) fn close(&mut self, outcome: RequestEnd) {
        if outcome.status().is_some() {
            self.settle();
        }
        self.close_after(self.started.elapsed_seconds(), outcome);
    }

    /// Closes the exchange of a request that is complete, as nearly all are: by a few numbers of this
    /// thread, if that is all there is to it.
    #[inline(never)]
    fn complete(&mut self) {
        let Some(status) = self.answered.status() else {
            return;
        };
        let seconds = self.started.elapsed_seconds();
        if let &InFlight::SeriesPair(SeriesPair { began, counted }) = &self.place
            && counted.count_ordinary(began, status, seconds)
        {
            self.place = CLOSED;
        } else {
            self.close_after(seconds, RequestEnd::Complete(status));
        }
    }

    /// Closes the exchange of a request that took so long altogether.
    fn close_after(&mut self, seconds: f64, outcome: RequestEnd) {
        let Some((SeriesPair { began, counted }, extras)) = self.place.take_open() else {
            return;
        };
        // Last, and also if a recorder of another crate, or who listens to a warning, panics.
        let _ending = Ending(began);
        if let Some(status) = outcome.status() {
            let measured = self.measured(outcome, &extras);
            let seconds = match measured.head_seconds {
                Some(head_seconds) if counted.layer().ends_at_head() => head_seconds,
                _ => seconds,
            };
            counted.count(status, seconds, &measured);
        }
        if let RequestEnd::Aborted(_, reason) = outcome {
            counted.count_aborted(reason);
        }
    }

    fn measured(&self, outcome: RequestEnd, extras: &Extras) -> Measured {
        let head = self.head_seconds;
        Measured {
            head_seconds: (!head.is_nan()).then_some(head),
            response_bytes: outcome.has_body().then_some(self.sent),
            request: extras.reading.as_ref().map(|reading| reading.measured()),
            trace: extras.trace,
        }
    }

    /// A connection that outlives its request, in the gauge until it is dropped.
    pub(crate) fn connection(&self, kind: &'static str) -> Option<OpenConnection> {
        let SeriesPair { counted, .. } = self.place.opened()?;
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
        match (aborted, self.answered.status()) {
            (None, _) => self.complete(),
            (Some(reason), Some(status)) => self.close(RequestEnd::Aborted(status, reason)),
            (Some(_), None) => {}
        }
    }
}

/// Ends what is in progress when it is dropped.
struct Ending(&'static RequestSeries);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl OnPanic for Exchange {
    #[cold]
    fn on_panic(&mut self) {
        self.close(match self.answered.status() {
            None => RequestEnd::Panicked,
            Some(status) => RequestEnd::Aborted(status, AbortReason::Panicked),
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
            None => RequestEnd::Cancelled,
            Some(status) => RequestEnd::Aborted(status, AbortReason::Dropped),
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

    use super::*;
    use crate::clock::stepped;
    use crate::http::config::http_metric::HttpMetric;
    use crate::http::config::http_metrics::HttpMetrics;
    use crate::http::config::settings::MeasureUntil;
    use crate::registry::Registry;

    /// A request whose head takes a second and whose body takes three more.
    fn measured(metrics: HttpMetrics) -> Registry {
        let registry = Registry::new();
        let layer = metrics.build(&registry).unwrap();
        let mut exchange = Exchange::open(layer.series(), &Request::new(()));
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
        let count = registry.sum(&format!("{family}_count"), &[]);
        assert!(count.is_none_or(|count| count == 1.0), "{family}");
        registry
            .value(&format!("{family}_sum"), &[])
            .map(f64::round)
    }

    #[test]
    fn a_duration_ends_with_the_body_or_with_the_head() {
        for (end, seconds) in [(MeasureUntil::BodyEnd, 4.0), (MeasureUntil::Head, 1.0)] {
            let registry = measured(HttpMetrics::server().measure_until(end));
            let duration = rounded(&registry, "http_request_duration_seconds");
            assert_eq!(duration, Some(seconds));
        }
    }

    #[test]
    fn the_time_to_the_head_is_measured_beside_it() {
        let registry = measured(HttpMetrics::server().measure(HttpMetric::HeadDuration));
        let head = rounded(&registry, "http_response_head_duration_seconds");
        assert_eq!(head, Some(1.0));
        let duration = rounded(&registry, "http_request_duration_seconds");
        assert_eq!(duration, Some(4.0));
    }
}
