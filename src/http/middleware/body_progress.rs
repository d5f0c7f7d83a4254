//! [`BodyProgress`]: how far a request body has been read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Instant;

/// How far a request body has been read. Shared by the body, which the inner service owns, and the exchange,
/// which records the progress when it ends.
#[derive(Debug, Default)]
pub(crate) struct BodyProgress {
    bytes: AtomicU64,
    started: OnceLock<Instant>,
    /// The seconds from the first poll to the end.
    end: OnceLock<f64>,
}

impl BodyProgress {
    /// Starts the measurement. Only the first call counts.
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
    }

    pub(crate) fn pass(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the measurement. Only the first call after [`start`](Self::start) counts.
    pub(crate) fn end(&self) {
        if let Some(started) = self.started.get() {
            self.end.get_or_init(|| started.elapsed_seconds());
        }
    }

    /// Ends the measurement and returns bytes and seconds; 0 s for a body that was never polled.
    pub(crate) fn measured(&self) -> (u64, f64) {
        self.end();
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes, self.end.get().copied().unwrap_or(0.0))
    }
}
