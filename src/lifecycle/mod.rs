//! How one exchange of request and response ends: end of stream, drop or panic.
//!
//! HTTP and gRPC use the same rules.

pub(crate) mod panic_guard;
