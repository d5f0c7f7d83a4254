//! [`Code`]: the gRPC status codes.

use http::{HeaderMap, HeaderName, StatusCode};

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

    /// The value of the label `grpc_code`: the name of the code in grpc-go.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Canceled => "Canceled",
            Self::Unknown => "Unknown",
            Self::InvalidArgument => "InvalidArgument",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::PermissionDenied => "PermissionDenied",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::Aborted => "Aborted",
            Self::OutOfRange => "OutOfRange",
            Self::Unimplemented => "Unimplemented",
            Self::Internal => "Internal",
            Self::Unavailable => "Unavailable",
            Self::DataLoss => "DataLoss",
            Self::Unauthenticated => "Unauthenticated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_status_numbers_are_codes_and_other_values_are_unknown() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
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
        let mapped = |status| Code::of_http(StatusCode::from_u16(status).unwrap()).label();
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
