//! [`Lifetime`]: whether a series may expire.

/// Whether a series may expire, and what remains of it. If it has several users, the first in this order applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Lifetime {
    /// It never expires: closed labels, preregistered routes, metrics without labels of a catalogue.
    Permanent,
    /// It can expire, but keeps its cells, because a layer or a catalogue keeps its handle: open labels.
    Kept,
    /// It can expire, and its cells are reused once its handles are dropped: macros.
    Expiring,
}
