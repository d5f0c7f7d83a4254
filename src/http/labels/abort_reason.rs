//! [`AbortReason`]: the `reason` label of aborted bodies.

/// Why a body was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortReason {
    /// The body returned an error.
    Error,
    /// The body was dropped, by the client or by the server.
    Dropped,
    /// The body panicked.
    Panicked,
    /// The body was dropped before it was polled. Only for clients: they drop a response that they do not need,
    /// such as one that is retried.
    Unread,
}

impl AbortReason {
    pub(crate) const SERVER: [Self; 3] = [Self::Error, Self::Dropped, Self::Panicked];
    pub(crate) const REQUEST: [Self; 2] = [Self::Error, Self::Dropped];
    pub(crate) const CLIENT: [Self; 4] = [Self::Error, Self::Dropped, Self::Panicked, Self::Unread];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Dropped => "dropped",
            Self::Panicked => "panicked",
            Self::Unread => "unread",
        }
    }
}

/// How far a request body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyState {
    NotPolled,
    Reading,
    Complete,
    Failed,
}
