//! [`AbortReason`]: the `reason` label of aborted response bodies.

/// Why a response body was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortReason {
    /// The body returned an error.
    Error,
    /// The body was dropped, by the client or by the server.
    Dropped,
    /// The body panicked.
    Panicked,
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
