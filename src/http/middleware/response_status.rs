//! [`ResponseStatus`]: the status of a response, and how far its body is.

use http::StatusCode;

use crate::http::labels::status::Status;

/// The status of the response, once the response head has arrived, and how far its body is. They decide what a drop or a
/// panic means.
///
/// A full word, because an exchange is moved several times and copies around padding are slow. The bits above the
/// status are flags.
#[derive(Clone, Copy)]
pub(super) struct ResponseStatus(u64);

const POLLED: u64 = 1 << 16;
const AWAITS_TRAILERS: u64 = 1 << 17;
const LAST_BYTE_PASSED: u64 = 1 << 18;

impl ResponseStatus {
    /// Before the response head.
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) fn with(code: StatusCode) -> Self {
        Self(code.as_u16().into())
    }

    /// The status; `None` before the response head.
    #[inline]
    pub(super) fn status(self) -> Option<Status> {
        Status::from_code(self.0 as u16)
    }

    /// Notes that the body is polled.
    #[inline]
    pub(super) fn set_polled(&mut self) {
        self.0 |= POLLED;
    }

    pub(super) fn is_polled(self) -> bool {
        self.0 & POLLED != 0
    }

    /// Notes that labels are read when the request ends, perhaps from trailers, so it does not end with the last
    /// announced byte of its body.
    pub(super) fn set_awaits_trailers(&mut self) {
        self.0 |= AWAITS_TRAILERS;
    }

    #[inline]
    pub(super) fn awaits_trailers(self) -> bool {
        self.0 & AWAITS_TRAILERS != 0
    }

    /// Notes that all announced bytes of the body have passed, and trailers may follow.
    #[inline]
    pub(super) fn set_last_byte_passed(&mut self) {
        self.0 |= LAST_BYTE_PASSED;
    }

    pub(super) fn has_last_byte_passed(self) -> bool {
        self.0 & LAST_BYTE_PASSED != 0
    }
}
