//! The `status` label: a code, or how a request ended that never got one.

use std::borrow::Cow;

use http::StatusCode;

/// The value of a `status` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The service answered with this code.
    Code(StatusCode),
    /// The service returned an error.
    Error,
    /// The future was dropped before there was a response: the client left, or a timeout outside.
    Cancelled,
    /// The service panicked.
    Panicked,
}

impl Status {
    pub(crate) fn label(self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Owned(code.as_str().to_owned()),
            Self::Error => Cow::Borrowed("error"),
            Self::Cancelled => Cow::Borrowed("cancelled"),
            Self::Panicked => Cow::Borrowed("panicked"),
        }
    }
}
