//! The application's own metrics: a catalogue, on any recorder, and the operations it measures.

mod catalogue;
mod operations;
#[cfg(feature = "summary")]
mod summary;
