//! [`HttpExchange`]: one request. It starts before the service runs and ends exactly once, at the latest when
//! it is dropped. If the response starts a long-lived connection, the exchange goes on until the response body ends. A
//! guard may keep the connection open for longer.

use std::fmt;
use std::sync::Arc;

use bytes::Buf;
use http::{HeaderMap, Request, StatusCode};

use crate::clock::Instant;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::error_kind::ErrorKind;
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::labels::method::Method;
use crate::http::labels::outcome::RequestOutcome;
use crate::http::labels::request_end::RequestEnd;
use crate::http::labels::status::Status;
use crate::http::middleware::body_progress::BodyProgress;
use crate::http::middleware::in_flight::{ENDED, Extras, InFlight, LongLivedBody};
use crate::http::middleware::long_lived::LongLived;
use crate::http::middleware::nesting;
use crate::http::middleware::response_status::ResponseStatus;
use crate::http::series::completion::Measured;
use crate::http::series::endpoint::EndpointSeries;
use crate::http::series::layer::LayerSeries;
use crate::lifecycle::end::{End, Exchange, ResponseExchange};
use crate::lifecycle::on_drop::OnDrop;
use crate::model::trace::TraceId;

pub(crate) struct HttpExchange {
    in_flight: InFlight,
    started: Instant,
    /// The time to the response head in seconds, if it is measured; NaN before the head.
    head_seconds: f64,
    /// Bytes of the response body so far.
    body_bytes: u64,
    response_status: ResponseStatus,
}

// Exchanges are moved often: from the future to the body, and between stack frames.
const _: () = assert!(size_of::<HttpExchange>() <= 56);

impl HttpExchange {
    #[inline]
    pub(crate) fn start<B>(layer: &'static LayerSeries, request: &Request<B>) -> Self {
        nesting::check(layer);
        match layer.start_known(request.method(), request.extensions()) {
            Some(series) => Self::new(InFlight::at(series)),
            None => Self::start_from_head(layer, RequestHead::new(request)),
        }
    }

    /// Slow path of [`start`](Self::start): the series is not found by route and method alone.
    // Not inlined, to keep the code that is generic over the service small.
    #[inline(never)]
    fn start_from_head(layer: &'static LayerSeries, request: RequestHead<'_>) -> Self {
        let Some(active) = layer.active() else {
            return Self::new(ENDED);
        };
        // A layer that waited for its recorder is replaced by another one.
        if !std::ptr::eq(active, layer) {
            nesting::check(active);
        }
        active.with_endpoint(request, |name| Self::start_at(active, name, request))
    }

    fn start_at(layer: &'static LayerSeries, name: Option<&str>, request: RequestHead<'_>) -> Self {
        let method = layer.method(request.method());
        let endpoint = layer.endpoint(name);
        if endpoint.is_some_and(EndpointSeries::is_skipped) {
            // A skipped request leaves no trace, not even in the tables of label values.
            return Self::new(ENDED);
        }
        if layer.has_rows() {
            return Self::start_with_rows(layer, endpoint, name, request);
        }
        // Functions of the application run first: if one panics, nothing has started yet.
        let labels = layer.request_labels(request);
        let trace = layer.trace(request);
        let in_flight = match endpoint.and_then(|endpoint| endpoint.get(method, labels)) {
            Some(series) => InFlight::start(series),
            None => InFlight::deferred(layer, method, name, labels, None),
        };
        Self::new_traced(in_flight, trace)
    }

    /// Like [`start_at`](Self::start_at), for a layer whose open labels are in rows.
    // Not inlined, because the values of the labels take much of the stack.
    #[inline(never)]
    fn start_with_rows(
        layer: &'static LayerSeries,
        endpoint: Option<&'static EndpointSeries>,
        name: Option<&str>,
        request: RequestHead<'_>,
    ) -> Self {
        let method = layer.method(request.method());
        let values = layer.custom.values_of_request(request);
        let trace = layer.trace(request);
        let open = values.has_open().then_some(&values);
        let known = endpoint.and_then(|endpoint| match open {
            Some(values) => {
                let series = layer.find_in_row(endpoint, method, values)?;
                Some(InFlight::start_in_row(series))
            }
            None => Some(InFlight::start(endpoint.get(method, values.ids)?)),
        });
        let deferred = || InFlight::deferred(layer, method, name, values.ids, open);
        Self::new_traced(known.unwrap_or_else(deferred), trace)
    }

    #[inline]
    fn new_traced(mut in_flight: InFlight, trace: Option<TraceId>) -> Self {
        if let Some(trace) = trace
            && let Some(extras) = in_flight.extras()
        {
            extras.trace = Some(trace);
        }
        Self::new(in_flight)
    }

    #[inline]
    fn new(in_flight: InFlight) -> Self {
        Self {
            in_flight,
            started: Instant::now(),
            head_seconds: f64::NAN,
            body_bytes: 0,
            response_status: ResponseStatus::NONE,
        }
    }

    /// Attaches the progress of the request body, which is recorded at the end.
    pub(super) fn set_body_progress(&mut self, progress: Arc<BodyProgress>) {
        if let Some(extras) = self.in_flight.extras() {
            extras.progress = Some(progress);
        }
    }

    /// Moves the exchange out and leaves an ended one.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            in_flight: self.in_flight.take(),
            ..*self
        }
    }

    /// The layer that measures the exchange, unless it has ended.
    #[inline]
    pub(super) fn layer(&self) -> Option<&'static LayerSeries> {
        self.in_flight.layer()
    }

    /// Whether the exchange is measured and has not ended. Also true for a long-lived connection, whose request has ended.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.in_flight.is_live()
    }

    /// Registers a deferred request whose future is pending, or which ends without a response.
    #[inline]
    pub(crate) fn register_deferred(&mut self) {
        self.in_flight.register_deferred(None);
    }

    /// Records the status and, if needed, the time to the response head. If labels are read when the request ends, the
    /// end waits for trailers. Returns the method, if the request is measured and has not ended.
    #[inline]
    pub(crate) fn record_head(&mut self, code: StatusCode) -> Option<Method> {
        let (layer, method) = self.in_flight.measured_by()?;
        if layer.times_head() {
            self.head_seconds = self.started.elapsed_seconds();
        }
        self.record_status(code);
        if layer.reads_outcome() {
            self.response_status.set_awaits_trailers();
        }
        Some(method)
    }

    /// Like [`record_head`](Self::record_head), if only the status matters.
    #[inline]
    pub(super) fn record_status(&mut self, code: StatusCode) {
        self.response_status = ResponseStatus::with(code);
    }

    /// Whether the request is in progress and only the status of its response head matters.
    #[inline]
    pub(super) fn needs_only_status(&self) -> bool {
        self.in_flight.needs_only_status()
    }

    /// Applies the labels of the response, and its endpoint if it has `named` one.
    pub(super) fn apply_response(&mut self, response: ResponseHead<'_>, named: Option<&Endpoint>) {
        self.in_flight.apply_response(response, named);
    }

    /// Ends the request. Only the first call counts. The exchange ends with it, unless [`keep_for`](Self::keep_for) keeps it
    /// for a connection.
    pub(crate) fn end_as(&mut self, end: RequestEnd) {
        if end.status().is_some() {
            self.register_deferred();
        }
        self.record_end(self.started.elapsed_seconds(), end, None);
    }

    /// Ends the exchange of a request whose response ended with trailers, if the layer reads them.
    #[inline]
    fn end_with_trailers(&mut self, trailers: &HeaderMap) {
        if self.layer().is_some_and(LayerSeries::reads_outcome)
            && let Some(status) = self.response_status.status()
        {
            let seconds = self.started.elapsed_seconds();
            self.record_end(seconds, RequestEnd::Complete(status), Some(trailers));
        }
    }

    /// Ends the exchange of a request for which the service returned an error.
    #[cold]
    pub(super) fn fail(&mut self, kind: Option<ErrorKind>) {
        let layer = self.layer();
        let kind = layer
            .zip(kind)
            .and_then(|(layer, kind)| layer.settings.error_kind(kind));
        self.end_as(RequestEnd::Failed(kind));
    }

    /// Ends the exchange of a completed request: by the fast path
    /// [`count_ordinary`](crate::http::series::request::RequestSeries::count_ordinary) if possible.
    #[inline(never)]
    fn end_complete(&mut self) {
        let Some(status) = self.response_status.status() else {
            return;
        };
        let seconds = self.started.elapsed_seconds();
        if let Some((started, counted)) = self.in_flight.series()
            && counted.count_ordinary(started, status, seconds)
        {
            self.in_flight.set_ended();
        } else {
            self.end_other(status, seconds);
        }
    }

    /// Ends the exchange of a completed request, or of a long-lived connection, that is not on the fast path.
    // Not inlined, to keep the fast path short.
    #[inline(never)]
    fn end_other(&mut self, status: Status, seconds: f64) {
        if let Some(connection) = self.in_flight.take_connection() {
            connection.end(End::Complete);
        } else {
            self.record_end(seconds, RequestEnd::Complete(status), None);
        }
    }

    /// Ends the exchange of a request that took `seconds` in total.
    fn record_end(&mut self, seconds: f64, end: RequestEnd, trailers: Option<&HeaderMap>) {
        let Some((pair, extras)) = self.in_flight.take_series() else {
            return;
        };
        let mut counted = pair.counted().clone();
        let started = pair.started;
        // The gauge is decremented last, and also if another crate's recorder or tracing subscriber panics.
        let _ending = OnDrop(|| started.leave_progress());
        if let Some(status) = end.status() {
            if counted.layer().reads_outcome() {
                counted = counted.with_outcome(RequestOutcome::new(end, trailers));
            }
            let measured = self.measured(end, &extras);
            let seconds = match measured.head_seconds {
                Some(head_seconds) if counted.layer().ends_at_head() => head_seconds,
                _ => seconds,
            };
            counted.count(status, seconds, &measured);
            if let Some(reason) = measured
                .request_body
                .and_then(|body| end.request_body_aborted(body.state))
            {
                counted.count_aborted_request_body(reason);
            }
        }
        if let RequestEnd::Aborted(_, reason) = end {
            counted.count_aborted(reason);
        }
    }

    fn measured(&self, end: RequestEnd, extras: &Extras) -> Measured {
        let head = self.head_seconds;
        Measured {
            head_seconds: (!head.is_nan()).then_some(head),
            response_bytes: end.records_body_size().then_some(self.body_bytes),
            request_body: extras.progress.as_ref().map(|progress| progress.finish()),
            trace: extras.trace,
        }
    }

    /// Opens a long-lived connection, if the request is measured.
    pub(super) fn open_connection(&self, mark: &LongLived) -> Option<LongLivedBody> {
        let counted = self.in_flight.counted()?;
        let series = counted.layer().connections(&counted, mark.kind());
        let open = mark.open(series);
        Some(LongLivedBody { counted, open })
    }

    /// Keeps the exchange, whose request has ended, until the body of its long-lived connection ends. Without a
    /// connection, the exchange has ended.
    pub(super) fn keep_for(&mut self, connection: Option<LongLivedBody>) {
        if let Some(connection) = connection {
            self.in_flight = InFlight::connection(connection);
        }
    }

    /// All announced bytes of the response body have passed. If labels are read from trailers, the request ends with
    /// them; otherwise now.
    #[inline]
    pub(super) fn end_or_await_trailers(&mut self) {
        match self.response_status.awaits_trailers() {
            true => self.response_status.set_last_byte_passed(),
            false => self.end(End::Complete),
        }
    }
}

impl Exchange for HttpExchange {
    #[inline]
    fn end(&mut self, end: End) {
        match end {
            End::Complete => self.end_complete(),
            end => self.end_incomplete(end),
        }
    }
}

impl ResponseExchange for HttpExchange {
    #[inline]
    fn on_poll(&mut self) {
        self.response_status.set_polled();
    }

    #[inline]
    fn on_data(&mut self, _: &impl Buf, len: u64) {
        self.body_bytes += len;
        if let Some(series) = self.in_flight.counts_bytes() {
            series.count_bytes(len);
        }
    }

    #[inline]
    fn on_last_byte(&mut self) {
        self.end_or_await_trailers();
    }

    #[inline]
    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.end_with_trailers(trailers);
    }
}

impl Drop for HttpExchange {
    #[inline]
    fn drop(&mut self) {
        if self.is_live() {
            self.end_incomplete(End::Dropped);
        }
    }
}

impl HttpExchange {
    #[cold]
    fn end_incomplete(&mut self, end: End) {
        if let Some(connection) = self.in_flight.take_connection() {
            return connection.end(end);
        }
        let end = match end {
            // All announced bytes have passed, and the reader did not poll for trailers: the response is complete.
            End::Dropped if self.response_status.has_last_byte_passed() => End::Complete,
            end => end,
        };
        if let Some(end) = RequestEnd::of(end, self.response_status.status()) {
            self.end_as(self.or_unread(end));
        }
    }

    /// In a client layer, the reason of a body that is dropped before its first poll is `unread` instead of `dropped`: the
    /// caller did not need it.
    fn or_unread(&self, end: RequestEnd) -> RequestEnd {
        let is_polled = self.response_status.is_polled();
        match end {
            RequestEnd::Aborted(status, AbortReason::Dropped)
                if !is_polled && self.layer().is_some_and(LayerSeries::is_client) =>
            {
                RequestEnd::Aborted(status, AbortReason::Unread)
            }
            end => end,
        }
    }
}

impl fmt::Debug for HttpExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpExchange")
            .field("response_status", &self.response_status.status())
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

    /// Records a request whose response head arrives after 1 s and whose body ends 3 s later.
    fn measured(metrics: HttpMetrics) -> Registry {
        let registry = Registry::new();
        let layer = metrics.build(&registry).unwrap();
        let mut exchange = HttpExchange::start(layer.series(), &Request::new(()));
        stepped::advance(Duration::from_secs(1));
        exchange.register_deferred();
        exchange.record_head(StatusCode::OK);
        stepped::advance(Duration::from_secs(3));
        exchange.end(End::Complete);
        stepped::advance(Duration::from_secs(5));
        drop(exchange);
        registry
    }

    fn rounded(registry: &Registry, family: &str) -> Option<f64> {
        let count = registry.sum(&format!("{family}_count"), &[]);
        assert!(count.is_none_or(|count| count == 1.0), "{family}");
        registry.sum(&format!("{family}_sum"), &[]).map(f64::round)
    }

    #[test]
    fn request_duration_ends_with_the_body_or_the_head() {
        for (end, seconds) in [(MeasureUntil::BodyEnd, 4.0), (MeasureUntil::Head, 1.0)] {
            let registry = measured(HttpMetrics::server().measure_until(end));
            let duration = rounded(&registry, "http_request_duration_seconds");
            assert_eq!(duration, Some(seconds));
        }
    }

    #[test]
    fn head_duration_is_measured_in_addition_to_the_request_duration() {
        let registry = measured(HttpMetrics::server().measure(HttpMetric::HeadDuration));
        let head = rounded(&registry, "http_response_head_duration_seconds");
        assert_eq!(head, Some(1.0));
        let duration = rounded(&registry, "http_request_duration_seconds");
        assert_eq!(duration, Some(4.0));
    }
}
