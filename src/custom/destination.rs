//! [`Destination`]: where a catalogue records.

use crate::sink::Sink;

/// Where a catalogue records.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Destination<'a> {
    On(&'a Sink),
    /// The recorder that is installed globally, now or later.
    Global,
}
