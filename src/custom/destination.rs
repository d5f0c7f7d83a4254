//! [`Destination`]: the sink or the global recorder that a catalogue records into.

use crate::sink::Sink;

/// The sink or the global recorder that a catalogue records into.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Destination<'a> {
    On(&'a Sink),
    /// The global recorder, which may be installed later.
    Global,
}
