//! [`RequestEnd`]: how a request ended. One value for each row of the table in the crate's documentation.

use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::status::Status;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnd {
    /// The response's body reached its end, or had none to reach.
    Complete(Status),
    /// The response's body did not reach its end.
    Aborted(Status, AbortReason),
    /// The response began something long: it is counted at its head.
    LongLived(Status),
    /// The service returned an error.
    Failed,
    /// The future was dropped before there was a response.
    Cancelled,
    /// The service panicked in `call` or while its future was polled.
    Panicked,
    /// A metrics page was served: as if nothing had been.
    SkipMetrics,
}

impl RequestEnd {
    /// The status it is counted as, if it is counted.
    #[inline]
    pub(crate) fn status(self) -> Option<Status> {
        match self {
            Self::Complete(status) | Self::Aborted(status, _) | Self::LongLived(status) => {
                Some(status)
            }
            Self::Failed => Some(Status::ERROR),
            Self::Cancelled => Some(Status::CANCELLED),
            Self::Panicked => Some(Status::PANICKED),
            Self::SkipMetrics => None,
        }
    }

    /// Whether there was a body whose size can be told: a long life has none yet.
    #[inline]
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Complete(_) | Self::Aborted(..))
    }
}
