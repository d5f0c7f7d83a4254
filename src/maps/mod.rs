//! Maps that only grow and are read without locks.
//!
//! | map | keys | used for |
//! |---|---|---|
//! | [`table`] | strings, up to a limit, allocated up front | endpoints, gRPC methods, custom label values |
//! | [`slots`] | a few small values | statuses of requests, abort reasons, label combinations |

mod branching;
pub(crate) mod slots;
pub(crate) mod table;

/// The maximum length of a name in bytes. Names are kept until the process ends and can come from clients, whose
/// headers can have hundreds of kilobytes.
pub(crate) const MAX_NAME_LEN: usize = 1024;
