//! [`CodeFormat`]: the form of status codes in labels.

/// The form of the status codes in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodeFormat {
    /// As in grpc-go: `OK`, `NotFound`, and `Canceled` with one l. The default.
    PascalCase,
    /// As in the gRPC specification: `OK`, `NOT_FOUND`, `CANCELLED`.
    UpperCase,
    /// `ok`, `not_found`, `cancelled`.
    LowerCase,
    /// `0`, `5`, `1`.
    Number,
}
