//! [`RequestEnd`]: how a request ended. One value for each row of the table in the crate's documentation.

use crate::http::labels::abort_reason::{AbortReason, BodyState};
use crate::http::labels::status::Status;
use crate::lifecycle::end::End;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnd {
    /// The response body was completed, or there was none to send.
    Complete(Status),
    /// The response body was not completed.
    Aborted(Status, AbortReason),
    /// The response started a long-lived connection: the request is counted at the response head.
    LongLived(Status),
    /// The service returned an error. With the index of its kind, if the layer records kinds.
    Failed(Option<u8>),
    /// The future was dropped before there was a response.
    Cancelled,
    /// The service panicked in `call` or while its future was polled.
    Panicked,
    /// The response is not measured.
    Skipped,
}

impl RequestEnd {
    /// The end of an exchange, before or after the response head; `None` for an exchange that is complete
    /// without a response, which does not happen.
    pub(crate) fn of(end: End, response_status: Option<Status>) -> Option<Self> {
        Some(match (end, response_status) {
            (End::Complete, status) => Self::Complete(status?),
            (End::Failed, None) => Self::Failed(None),
            (End::Dropped, None) => Self::Cancelled,
            (End::Panicked, None) => Self::Panicked,
            (End::Failed, Some(status)) => Self::Aborted(status, AbortReason::Error),
            (End::Dropped, Some(status)) => Self::Aborted(status, AbortReason::Dropped),
            (End::Panicked, Some(status)) => Self::Aborted(status, AbortReason::Panicked),
        })
    }

    /// The status that the request is counted as, if it is counted.
    #[inline]
    pub(crate) fn status(self) -> Option<Status> {
        match self {
            Self::Complete(status) | Self::Aborted(status, _) | Self::LongLived(status) => {
                Some(status)
            }
            Self::Failed(kind) => Some(Status::failed(kind)),
            Self::Cancelled => Some(Status::CANCELLED),
            Self::Panicked => Some(Status::PANICKED),
            Self::Skipped => None,
        }
    }

    /// Why the request body counts as aborted, if it does: it failed, or the request was cancelled while it was read.
    pub(crate) fn request_body_aborted(self, body: BodyState) -> Option<AbortReason> {
        match (body, self) {
            (BodyState::Failed, _) => Some(AbortReason::Error),
            (BodyState::Reading, Self::Cancelled) => Some(AbortReason::Dropped),
            _ => None,
        }
    }

    /// Whether the size of the response body is recorded. The request of a long-lived connection ends before
    /// the size is known.
    #[inline]
    pub(crate) fn records_body_size(self) -> bool {
        matches!(self, Self::Complete(_) | Self::Aborted(..))
    }
}
