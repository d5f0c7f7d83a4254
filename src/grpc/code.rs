//! [`Code`]: the gRPC status codes.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::grpc::code_format::CodeFormat;
use crate::sink::side::Side;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

impl Code {
    /// All codes, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::Ok,
        Self::Canceled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Reads `grpc-status` from trailers, or from the head of a response without a body. An invalid code is
    /// `Unknown`, as in gRPC clients.
    #[inline]
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let status = headers.get(&GRPC_STATUS)?;
        Some(Self::parse(status.as_bytes()).unwrap_or(Self::Unknown))
    }

    fn parse(status: &[u8]) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit().then(|| usize::from(byte - b'0'));
        let number = match *status {
            [ones] => digit(ones)?,
            [b'1', ones] => 10 + digit(ones)?,
            _ => return None,
        };
        Self::ALL.get(number).copied()
    }

    /// The code of a response without `grpc-status`, by gRPC's `http-grpc-status-mapping.md`.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The code of a call whose service or body returned an error. On a client, such an error comes from the
    /// connection.
    pub(crate) fn of_error(side: Side) -> Self {
        match side {
            Side::Server => Self::Unknown,
            Side::Client => Self::Unavailable,
        }
    }

    /// Whether a call with this code failed, by OpenTelemetry's semantic conventions for gRPC.
    pub(crate) fn is_failure(self, side: Side) -> bool {
        match side {
            Side::Server => matches!(
                self,
                Self::Unknown
                    | Self::DeadlineExceeded
                    | Self::Unimplemented
                    | Self::Internal
                    | Self::Unavailable
                    | Self::DataLoss
            ),
            Side::Client => self != Self::Ok,
        }
    }

    /// The code as a label value.
    pub(crate) fn name(self, format: CodeFormat) -> &'static str {
        NAMES[self as usize][format as usize]
    }
}

/// The forms of each code, in the order of [`CodeFormat`].
const NAMES: [[&str; 4]; Code::ALL.len()] = [
    ["OK", "OK", "ok", "0"],
    ["Canceled", "CANCELLED", "cancelled", "1"],
    ["Unknown", "UNKNOWN", "unknown", "2"],
    [
        "InvalidArgument",
        "INVALID_ARGUMENT",
        "invalid_argument",
        "3",
    ],
    [
        "DeadlineExceeded",
        "DEADLINE_EXCEEDED",
        "deadline_exceeded",
        "4",
    ],
    ["NotFound", "NOT_FOUND", "not_found", "5"],
    ["AlreadyExists", "ALREADY_EXISTS", "already_exists", "6"],
    [
        "PermissionDenied",
        "PERMISSION_DENIED",
        "permission_denied",
        "7",
    ],
    [
        "ResourceExhausted",
        "RESOURCE_EXHAUSTED",
        "resource_exhausted",
        "8",
    ],
    [
        "FailedPrecondition",
        "FAILED_PRECONDITION",
        "failed_precondition",
        "9",
    ],
    ["Aborted", "ABORTED", "aborted", "10"],
    ["OutOfRange", "OUT_OF_RANGE", "out_of_range", "11"],
    ["Unimplemented", "UNIMPLEMENTED", "unimplemented", "12"],
    ["Internal", "INTERNAL", "internal", "13"],
    ["Unavailable", "UNAVAILABLE", "unavailable", "14"],
    ["DataLoss", "DATA_LOSS", "data_loss", "15"],
    [
        "Unauthenticated",
        "UNAUTHENTICATED",
        "unauthenticated",
        "16",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_status_numbers_are_codes_and_other_values_are_unknown() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            assert_eq!(code.name(CodeFormat::Number), number.to_string());
            assert_eq!(Code::parse(number.to_string().as_bytes()), Some(code));
        }
        for wrong in ["", "17", "20", "-1", "00", "007", "0x1", "OK"] {
            assert_eq!(Code::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(Code::of_headers(&headers), None);
        headers.insert("grpc-status", "99".parse().unwrap());
        assert_eq!(Code::of_headers(&headers), Some(Code::Unknown));
    }

    #[test]
    fn http_status_is_mapped_as_the_grpc_specification_does() {
        let mapped = |status| {
            Code::of_http(StatusCode::from_u16(status).unwrap()).name(CodeFormat::PascalCase)
        };
        assert_eq!(mapped(200), "Unknown");
        assert_eq!(mapped(400), "Internal");
        assert_eq!(mapped(401), "Unauthenticated");
        assert_eq!(mapped(403), "PermissionDenied");
        assert_eq!(mapped(404), "Unimplemented");
        for status in [429, 502, 503, 504] {
            assert_eq!(mapped(status), "Unavailable");
        }
        assert_eq!(mapped(500), "Unknown");
    }
}
