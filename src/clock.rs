//! The clock that times requests: that of std, or of quanta with the feature `quanta`.
//!
//! In the unit tests of this crate, it can be advanced manually.

use std::time::Duration;

#[cfg(feature = "quanta")]
type Reading = quanta::Instant;
#[cfg(not(feature = "quanta"))]
type Reading = std::time::Instant;

/// A time of a monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant(Reading);

impl Instant {
    #[inline]
    pub(crate) fn now() -> Self {
        let now = Reading::now();
        #[cfg(test)]
        let now = now + stepped::offset();
        Self(now)
    }

    /// Returns the time since this instant in seconds, Prometheus' unit of time.
    #[inline]
    pub(crate) fn elapsed_seconds(self) -> f64 {
        Self::now().since(self).as_secs_f64()
    }

    /// Returns the time from `earlier` to this instant.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// Calibrates quanta's clock, which takes up to 200 ms once per process, so that no request waits for it.
pub(crate) fn calibrate() {
    Instant::now();
}

#[cfg(test)]
pub(crate) mod stepped {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static OFFSET: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// Advances the clock of this thread.
    pub(crate) fn advance(by: Duration) {
        OFFSET.set(OFFSET.get() + by);
    }

    pub(super) fn offset() -> Duration {
        OFFSET.get()
    }
}
