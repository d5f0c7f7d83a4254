//! [`Outcome`]: how a request ended. One value for each row of the table in the crate's documentation.

use crate::labels::Status;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
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
    Scrape,
}

/// Why a response's body did not reach its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortReason {
    /// The body gave an error.
    Error,
    /// The body was dropped: the client left, or the server did.
    Dropped,
    /// The body panicked.
    Panicked,
}

impl Outcome {
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
            Self::Scrape => None,
        }
    }

    /// Whether there was a body whose size can be told: a long life has none yet.
    #[inline]
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Complete(_) | Self::Aborted(..))
    }
}

impl AbortReason {
    pub(crate) const ALL: [Self; 3] = [Self::Error, Self::Dropped, Self::Panicked];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Dropped => "dropped",
            Self::Panicked => "panicked",
        }
    }
}
