//! [`Ended`]: the series of the requests that ended in one way.

use super::{LabelIds, SlotKey};
use crate::labels::{Status, TraceId};
use crate::middleware::AbortReason;
use crate::registry::Writer;
use crate::target::{Counter, Histogram};

/// What tells the series of ended requests apart, beyond method and endpoint.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct EndKey {
    pub(super) status: Status,
    pub(super) labels: LabelIds,
}

impl SlotKey for EndKey {
    fn bits(self) -> u64 {
        self.status.bits() ^ self.labels.bits()
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct AbortKey {
    pub(super) reason: AbortReason,
    pub(super) labels: LabelIds,
}

impl SlotKey for AbortKey {
    fn bits(self) -> u64 {
        self.reason as u64 ^ self.labels.bits()
    }
}

/// All that moves when a request ends in one way.
pub(super) struct Ended {
    pub(super) requests: Option<Counter>,
    pub(super) duration: Option<Histogram>,
    /// Whether its labels tell that something is out of the ordinary.
    pub(super) is_notable: bool,
    /// Apart, so that what every request needs lies together.
    pub(super) more: Option<Box<More>>,
}

/// What only some layers measure.
pub(super) struct More {
    pub(super) head_duration: Option<Histogram>,
    pub(super) response_size: Option<Histogram>,
    pub(super) request_size: Option<Histogram>,
    pub(super) request_duration: Option<Histogram>,
}

/// What was measured of a request beside its duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) head_seconds: Option<f64>,
    pub(crate) response_bytes: Option<u64>,
    /// Bytes and seconds of the request's body.
    pub(crate) request: Option<(u64, f64)>,
    pub(crate) trace: Option<TraceId>,
}

impl Ended {
    /// Counts a request of a layer that measures nothing more.
    #[inline]
    pub(super) fn record(&self, writer: Option<Writer<'_>>, seconds: f64) {
        // What nearly every request is, at one glance.
        if let (
            Some(writer),
            Some(Counter::Registry(requests)),
            Some(Histogram::Registry(duration)),
        ) = (writer, &self.requests, &self.duration)
        {
            requests.add_by(writer, 1);
            duration.observe_by(writer, seconds);
            return;
        }
        self.record_anywhere(seconds);
    }

    fn record_anywhere(&self, seconds: f64) {
        if let Some(requests) = &self.requests {
            requests.increment();
        }
        if let Some(duration) = &self.duration {
            duration.observe(seconds);
        }
    }

    /// Counts a request with all that was measured of it.
    pub(super) fn record_all(&self, seconds: f64, measured: &Measured) {
        if let Some(requests) = &self.requests {
            requests.increment();
        }
        match (&self.duration, measured.trace) {
            (None, _) => {}
            (Some(duration), None) => duration.observe(seconds),
            (Some(duration), Some(trace)) => duration.observe_traced(seconds, trace),
        }
        if let Some(more) = &self.more {
            more.record(measured);
        }
    }
}

impl More {
    fn record(&self, measured: &Measured) {
        if let (Some(head_duration), Some(seconds)) = (&self.head_duration, measured.head_seconds) {
            head_duration.observe(seconds);
        }
        if let (Some(size), Some(bytes)) = (&self.response_size, measured.response_bytes) {
            size.observe(bytes as f64);
        }
        if let Some((bytes, seconds)) = measured.request {
            if let Some(size) = &self.request_size {
                size.observe(bytes as f64);
            }
            if let Some(duration) = &self.request_duration {
                duration.observe(seconds);
            }
        }
    }
}
