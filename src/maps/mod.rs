//! Lock-free maps that only grow.
//!
//! | map | keys | used for |
//! |---|---|---|
//! | [`table`] | names, up to a limit that is known at the start | endpoints, gRPC methods, values of custom labels |
//! | [`tree`] | lists of texts | open labels of a catalogue |
//! | [`slots`] | a few small values | statuses of an endpoint, abort reasons, label combinations |

pub(crate) mod slots;
pub(crate) mod table;
pub(crate) mod tree;

/// The longest name that a map keeps, in bytes. Names are kept for as long as the program runs and can come
/// from outside: a header can have hundreds of kilobytes.
pub(crate) const MAX_NAME_LEN: usize = 1024;
