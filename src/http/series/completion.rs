//! [`CompletionRecorder`]: the series of one status that the end of a request updates.

use crate::http::labels::abort_reason::BodyState;
use crate::model::trace::TraceId;
use crate::registry::handles::RequestCells;
use crate::sink::handles::{CounterHandle, HistogramHandle};

/// The series that are updated when a request ends with a certain status.
pub(super) enum CompletionRecorder {
    /// Only a counter and a histogram of a registry, and no warning is possible.
    Ordinary(RequestCells),
    Other(Box<Handles>),
}

/// The handles of the families that are recorded by status when a request ends, in any sink.
pub(super) struct Handles {
    pub(super) requests: Option<CounterHandle>,
    /// Only for a status of a response.
    pub(super) responses: Option<CounterHandle>,
    pub(super) duration: Option<HistogramHandle>,
    pub(super) head_duration: Option<HistogramHandle>,
    pub(super) response_size: Option<HistogramHandle>,
    pub(super) request_body_size: Option<HistogramHandle>,
    pub(super) request_body_duration: Option<HistogramHandle>,
}

/// The measurements of a request, other than its duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) head_seconds: Option<f64>,
    pub(crate) response_bytes: Option<u64>,
    pub(crate) request_body: Option<RequestBodyMeasured>,
    pub(crate) trace: Option<TraceId>,
}

/// The measurements of a request body, up to its end or the end of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestBodyMeasured {
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) state: BodyState,
}

impl Handles {
    // Not inlined, because most layers never call it.
    #[inline(never)]
    pub(super) fn count(&self, seconds: f64, measured: &Measured) {
        for counter in [&self.requests, &self.responses].into_iter().flatten() {
            counter.increment();
        }
        match (&self.duration, measured.trace) {
            (None, _) => {}
            (Some(duration), None) => duration.observe(seconds),
            (Some(duration), Some(trace)) => duration.observe_traced(seconds, trace),
        }
        if let (Some(head_duration), Some(seconds)) = (&self.head_duration, measured.head_seconds) {
            head_duration.observe(seconds);
        }
        if let (Some(size), Some(bytes)) = (&self.response_size, measured.response_bytes) {
            size.observe(bytes as f64);
        }
        if let Some(body) = measured.request_body {
            if let Some(size) = &self.request_body_size {
                size.observe(body.bytes as f64);
            }
            if let Some(duration) = &self.request_body_duration {
                duration.observe(body.seconds);
            }
        }
    }
}
