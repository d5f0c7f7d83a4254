//! [`Ended`]: the series of the requests that ended in one way.

use super::{LabelIds, SlotKey};
use crate::labels::{Status, TraceId};
use crate::middleware::AbortReason;
use crate::target::{Counter, Histogram};

/// What tells the series of ended requests apart, beyond method and endpoint.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct EndKey {
    pub(super) status: Status,
    pub(super) labels: LabelIds,
}

impl SlotKey for EndKey {
    fn bits(self) -> u64 {
        self.status.bits() ^ (self.labels.bits() << 10)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct AbortKey {
    pub(super) reason: AbortReason,
    pub(super) labels: LabelIds,
}

impl SlotKey for AbortKey {
    fn bits(self) -> u64 {
        self.reason as u64 ^ (self.labels.bits() << 2)
    }
}

/// All that moves when a request ends in one way.
pub(super) struct Ended {
    pub(super) requests: Option<Counter>,
    pub(super) duration: Option<Histogram>,
    pub(super) head_duration: Option<Histogram>,
    pub(super) response_size: Option<Histogram>,
    pub(super) request_size: Option<Histogram>,
    pub(super) request_duration: Option<Histogram>,
    /// The labels, by their number, that overflowed.
    pub(super) overflowed: Vec<usize>,
}

/// What was measured of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) status: Status,
    pub(crate) seconds: f64,
    pub(crate) head_seconds: Option<f64>,
    pub(crate) response_bytes: Option<u64>,
    /// Bytes and seconds of the request's body.
    pub(crate) request: Option<(u64, f64)>,
    pub(crate) trace: Option<TraceId>,
}

impl Ended {
    #[inline]
    pub(super) fn record(&self, measured: &Measured) {
        let Self {
            requests,
            duration,
            head_duration,
            response_size,
            request_size,
            request_duration,
            overflowed: _,
        } = self;
        if let Some(requests) = requests {
            requests.increment();
        }
        match (duration, measured.trace) {
            (None, _) => {}
            (Some(duration), None) => duration.observe(measured.seconds),
            (Some(duration), Some(trace)) => duration.observe_traced(measured.seconds, trace),
        }
        if let (Some(head_duration), Some(seconds)) = (head_duration, measured.head_seconds) {
            head_duration.observe(seconds);
        }
        if let (Some(size), Some(bytes)) = (response_size, measured.response_bytes) {
            size.observe(bytes as f64);
        }
        if let Some((bytes, seconds)) = measured.request {
            if let Some(size) = request_size {
                size.observe(bytes as f64);
            }
            if let Some(duration) = request_duration {
                duration.observe(seconds);
            }
        }
    }
}
