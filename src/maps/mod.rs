//! Maps that only grow and are read without locks.
//!
//! | map | keys | used for |
//! |---|---|---|
//! | [`table`] | strings, up to a limit, allocated up front | endpoints, gRPC methods, custom label values |
//! | [`tree`] | lists of strings | series with open labels of a catalogue |
//! | [`name_set`] | strings, up to a limit, allocated as needed | values of an open label |
//! | [`slots`] | a few small values | statuses of requests, abort reasons, label combinations |

mod branching;
pub(crate) mod name_set;
pub(crate) mod slots;
pub(crate) mod table;
pub(crate) mod tree;

/// The maximum length of a name in bytes. Names are kept until the process ends and can come from clients, whose
/// headers can have hundreds of kilobytes.
pub(crate) const MAX_NAME_LEN: usize = 1024;
