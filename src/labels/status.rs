//! The `status` label: a code or its class, or how a request ended that never got one.

use std::borrow::Cow;

use http::StatusCode;

/// The value of a `status` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The service answered with this code.
    Code(StatusCode),
    /// The service answered with a code of this hundred.
    Class(u8),
    /// The service returned an error.
    Error,
    /// The future was dropped before there was a response: the client left, or a timeout outside.
    Cancelled,
    /// The service panicked.
    Panicked,
}

impl Status {
    /// The class of a code, `2xx`; anything else is its own class.
    pub(crate) fn class(self) -> Self {
        match self {
            Self::Code(code) => Self::Class((code.as_u16() / 100) as u8),
            other => other,
        }
    }

    pub(crate) fn label(self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Owned(code.as_str().to_owned()),
            Self::Class(hundreds) => Cow::Owned(format!("{hundreds}xx")),
            Self::Error => Cow::Borrowed("error"),
            Self::Cancelled => Cow::Borrowed("cancelled"),
            Self::Panicked => Cow::Borrowed("panicked"),
        }
    }

    /// OpenTelemetry's `error.type`: the status of a failed response, how it ended without one.
    pub(crate) fn error_type(self) -> Cow<'static, str> {
        match self {
            Self::Code(code) if !code.is_server_error() => Cow::Borrowed(""),
            Self::Class(hundreds) if hundreds != 5 => Cow::Borrowed(""),
            failed => failed.label(),
        }
    }

    /// A number of its own, for hashing.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Code(code) => u64::from(code.as_u16()),
            Self::Class(hundreds) => u64::from(hundreds),
            Self::Error => 20,
            Self::Cancelled => 21,
            Self::Panicked => 22,
        }
    }
}
