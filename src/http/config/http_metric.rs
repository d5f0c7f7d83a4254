//! [`HttpMetric`]: what a layer can measure.

use metrics::Unit;

use crate::model::kind::Instrument;

/// What a layer can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpMetric {
    /// Requests that ended, by how they ended.
    Requests,
    /// Time from a request's arrival to the end of its response.
    Duration,
    /// Requests whose response has not ended.
    InProgress,
    /// Response bodies that did not reach their end.
    AbortedBodies,
    /// Long-lived connections that are open.
    OpenConnections,
    /// Time from a request's arrival to the head of its response. Off unless asked for.
    HeadDuration,
    /// Bytes of response bodies, as they passed. Off unless asked for.
    ResponseBodySize,
    /// Bytes of request bodies, as the service read them. Needs
    /// [`with_request_body`](crate::HttpMetrics::with_request_body), which turns it on.
    RequestBodySize,
    /// Time from the first look at a request's body to its end. Needs
    /// [`with_request_body`](crate::HttpMetrics::with_request_body), which turns it on.
    RequestBodyDuration,
}

impl HttpMetric {
    pub(crate) const COUNT: usize = 9;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Requests,
        Self::Duration,
        Self::InProgress,
        Self::AbortedBodies,
        Self::OpenConnections,
        Self::HeadDuration,
        Self::ResponseBodySize,
        Self::RequestBodySize,
        Self::RequestBodyDuration,
    ];

    /// The label that it has beside those of every request.
    pub(crate) fn own_label(self) -> Option<&'static str> {
        match self {
            Self::AbortedBodies => Some("reason"),
            Self::OpenConnections => Some("kind"),
            _ => None,
        }
    }

    /// What it is measured with, in which unit, and what its HELP says.
    pub(crate) fn about(self) -> (Instrument, Option<Unit>, &'static str) {
        use Unit::{Bytes, Seconds};
        match self {
            HttpMetric::Requests => (
                Instrument::Counter,
                None,
                "HTTP requests that ended, by how they ended.",
            ),
            HttpMetric::Duration => (
                Instrument::Histogram,
                Some(Seconds),
                "Time from a request's arrival to the end of its response, in seconds.",
            ),
            HttpMetric::InProgress => (
                Instrument::InProgress,
                None,
                "HTTP requests whose response has not ended.",
            ),
            HttpMetric::AbortedBodies => (
                Instrument::Counter,
                None,
                "HTTP response bodies that did not reach their end.",
            ),
            HttpMetric::OpenConnections => (
                Instrument::InProgress,
                None,
                "Long-lived connections that are open: upgrades, tunnels, event streams.",
            ),
            HttpMetric::HeadDuration => (
                Instrument::Histogram,
                Some(Seconds),
                "Time from a request's arrival to the head of its response, in seconds.",
            ),
            HttpMetric::ResponseBodySize => (
                Instrument::Histogram,
                Some(Bytes),
                "Bytes of response bodies, as they passed.",
            ),
            HttpMetric::RequestBodySize => (
                Instrument::Histogram,
                Some(Bytes),
                "Bytes of request bodies, as the service read them.",
            ),
            HttpMetric::RequestBodyDuration => (
                Instrument::Histogram,
                Some(Seconds),
                "Time from the first look at a request's body to its end, in seconds.",
            ),
        }
    }
}
