//! The clock that requests are timed with: std's, or quanta's with the feature `quanta`.
//!
//! The crate's own tests step it by hand; nothing else can.

#[cfg(feature = "quanta")]
type Reading = quanta::Instant;
#[cfg(not(feature = "quanta"))]
type Reading = std::time::Instant;

/// A moment that never runs backwards.
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

    /// Time since this moment, in the unit Prometheus counts time in.
    #[inline]
    pub(crate) fn elapsed_seconds(self) -> f64 {
        Self::now()
            .0
            .saturating_duration_since(self.0)
            .as_secs_f64()
    }
}

/// Calibrates the processor's counter, so that no request pays for it (up to 200 ms, once a process).
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

    /// Moves this thread's clock ahead.
    pub(crate) fn advance(by: Duration) {
        OFFSET.set(OFFSET.get() + by);
    }

    pub(super) fn offset() -> Duration {
        OFFSET.get()
    }
}
