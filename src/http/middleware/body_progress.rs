//! [`BodyProgress`]: how far a request body has been read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Instant;
use crate::http::labels::abort_reason::BodyState;
use crate::http::series::completion::RequestBodyMeasured;

/// How far a request body has been read. Shared by the body, which the inner service owns, and the exchange,
/// which records the progress when it ends.
#[derive(Debug, Default)]
pub(crate) struct BodyProgress {
    bytes: AtomicU64,
    started: OnceLock<Instant>,
    end: OnceLock<BodyEnd>,
}

/// The seconds from the first poll to the end, and what the end is.
#[derive(Clone, Copy, Debug)]
struct BodyEnd {
    seconds: f64,
    state: BodyState,
}

impl BodyProgress {
    /// Starts the measurement. Only the first call counts.
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
    }

    pub(crate) fn pass(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the measurement: the body is complete or has failed, or the request has ended while it was read. Only the
    /// first call after [`start`](Self::start) counts.
    pub(crate) fn end(&self, state: BodyState) {
        if let Some(started) = self.started.get() {
            self.end.get_or_init(|| BodyEnd {
                seconds: started.elapsed_seconds(),
                state,
            });
        }
    }

    /// Ends the measurement and returns it; 0 s for a body that was never polled.
    pub(crate) fn finish(&self) -> RequestBodyMeasured {
        self.end(BodyState::Reading);
        let not_polled = BodyEnd {
            seconds: 0.0,
            state: BodyState::NotPolled,
        };
        let BodyEnd { seconds, state } = self.end.get().copied().unwrap_or(not_polled);
        RequestBodyMeasured {
            bytes: self.bytes.load(Ordering::Relaxed),
            seconds,
            state,
        }
    }
}
