//! [`RequestOutcome`]: the argument of functions for labels that are read when a request ends.

use http::{HeaderMap, StatusCode};

use crate::http::labels::request_end::RequestEnd;

/// How a request ended, as passed to the functions of [`HttpLabel::from_outcome`](crate::http::HttpLabel::from_outcome).
///
/// Only for HTTP layers, which can also be put around gRPC services; a [`GrpcMetrics`](crate::GrpcMetrics) layer cannot use
/// it. The front page lists [how requests end](crate#how-requests-end).
#[derive(Clone, Copy, Debug)]
pub struct RequestOutcome<'a> {
    end: RequestEnd,
    trailers: Option<&'a HeaderMap>,
}

impl<'a> RequestOutcome<'a> {
    pub(crate) fn new(end: RequestEnd, trailers: Option<&'a HeaderMap>) -> Self {
        Self { end, trailers }
    }

    /// Returns the status code; `None` without a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.end.status()?.code()?).ok()
    }

    /// Returns the trailers of the response, which follow its body.
    ///
    /// `None` if
    ///
    /// - the response has no trailers,
    /// - the body failed, panicked or was dropped before them,
    /// - the server or the client stopped reading the body after its last announced byte.
    ///
    /// A gRPC error without messages has `grpc-status` in the response head instead: read it with
    /// [`from_response`](crate::http::HttpLabel::from_response).
    #[must_use]
    pub fn trailers(&self) -> Option<&'a HeaderMap> {
        self.trailers
    }

    /// Returns the first trailer of this name; `None` if it is absent or not visible ASCII.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&'a str> {
        self.trailers?.get(name)?.to_str().ok()
    }

    /// Returns whether the response was completed. A [long-lived](crate::http::LongLived) connection is complete when
    /// it starts.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.end, RequestEnd::Complete(_) | RequestEnd::LongLived(_))
    }

    /// Returns whether the response body failed, panicked or was dropped before its end.
    ///
    /// `false` for a [long-lived](crate::http::LongLived) connection, also if its body fails later: the function runs at
    /// the response head.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self.end, RequestEnd::Aborted(..))
    }

    /// Returns whether the inner service returned an error instead of a response.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.end, RequestEnd::Failed(_))
    }

    /// Returns whether the request was cancelled before there was a response.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.end, RequestEnd::Cancelled)
    }

    /// Returns whether the inner service panicked before there was a response.
    #[must_use]
    pub fn is_panicked(&self) -> bool {
        matches!(self.end, RequestEnd::Panicked)
    }
}
