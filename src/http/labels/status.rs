//! The `status` label: a code, its class, or how a request ended without a response.

use std::borrow::Cow;

use http::StatusCode;

/// The value of a `status` label. A number, so that comparing it, as every request does, is cheap.
///
/// | number | meaning |
/// |---|---|
/// | 1 to 9 | a class |
/// | 20 to 22 | no response |
/// | 30 to 99 | the service returned an error of a known kind |
/// | 100 and above | the status code |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u16);

impl Status {
    /// The service returned an error.
    pub(crate) const ERROR: Self = Self(20);
    /// The future was dropped before the response: the client disconnected, or a timeout of an outer layer
    /// expired.
    pub(crate) const CANCELLED: Self = Self(21);
    /// The service panicked.
    pub(crate) const PANICKED: Self = Self(22);

    const FIRST_KIND: u16 = 30;

    /// The service returned an error. `kind` is the index of its kind among those of the layer, if they are recorded.
    pub(crate) fn failed(kind: Option<u8>) -> Self {
        kind.map_or(Self::ERROR, |kind| Self(Self::FIRST_KIND + u16::from(kind)))
    }

    /// The index of the kind of an error.
    pub(crate) fn error_kind(self) -> Option<usize> {
        let kind = self.0.checked_sub(Self::FIRST_KIND)?;
        (!self.is_code()).then_some(kind.into())
    }

    /// The status code; `None` without a response.
    pub(crate) fn code(self) -> Option<u16> {
        self.is_code().then_some(self.0)
    }

    /// The service responded with this code.
    #[inline]
    pub(crate) fn of(code: StatusCode) -> Self {
        Self(code.as_u16())
    }

    /// The status of a code; `None` for 0.
    #[inline]
    pub(crate) fn from_code(code: u16) -> Option<Self> {
        (code != 0).then_some(Self(code))
    }

    /// The class of a code, such as `2xx`. Any other status is its own class.
    // Not inlined: most layers do not need the class, but the compiler would compute it anyway.
    #[inline(never)]
    pub(crate) fn class(self) -> Self {
        if self.is_code() {
            Self(self.0 / 100)
        } else {
            self
        }
    }

    /// Every class that a status code can have: `1xx` to `9xx`.
    pub(crate) fn classes() -> impl Iterator<Item = Self> {
        (1..=9).map(Self)
    }

    fn is_code(self) -> bool {
        self.0 >= 100
    }

    fn is_class(self) -> bool {
        self.0 < 10
    }

    /// Whether the status is 404 or 405, the usual response to scanners.
    pub(crate) fn is_unknown_route(self) -> bool {
        matches!(self.0, 404 | 405)
    }

    /// Whether there was a response, with any code.
    pub(crate) fn is_response(self) -> bool {
        self.is_code() || self.is_class()
    }

    pub(crate) fn label(self) -> Cow<'static, str> {
        match self {
            failed if failed == Self::ERROR || failed.error_kind().is_some() => "error".into(),
            Self::CANCELLED => "cancelled".into(),
            Self::PANICKED => "panicked".into(),
            class if class.is_class() => format!("{}xx", self.0).into(),
            _ => self.0.to_string().into(),
        }
    }

    /// OpenTelemetry's `error.type`: the status of a response that `is_error`, the reason without a response, otherwise
    /// empty.
    pub(crate) fn error_type(self, is_error: fn(Self) -> bool) -> Cow<'static, str> {
        match self.is_response() && !is_error(self) {
            true => "".into(),
            false => self.label(),
        }
    }

    pub(crate) fn is_server_error(self) -> bool {
        self.class() == Self(5)
    }

    /// Whether the status is 4xx or 5xx.
    pub(crate) fn is_error(self) -> bool {
        self.is_server_error() || self.class() == Self(4)
    }

    /// A number that is unique to this status.
    pub(crate) fn number(self) -> u64 {
        self.0.into()
    }
}
