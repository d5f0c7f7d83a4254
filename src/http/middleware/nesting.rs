//! Noticing that a request passes the same layer twice, and would be counted twice.

use std::cell::Cell;

use crate::http::middleware::exchange::Exchange;
use crate::http::series::http::HttpSeries;
use crate::lifecycle::panic_guard::PanicGuard;

thread_local! {
    /// The layer whose inner service runs on this thread.
    static AROUND: Cell<Option<&'static HttpSeries>> = const { Cell::new(None) };
}

/// While it lives, the inner service of an exchange's layer runs on this thread; unless it is left, the
/// service panicked.
pub(super) struct Inside<'a> {
    // First, because what was around is so again before the exchange closes.
    around: Around,
    guard: PanicGuard<'a, Exchange>,
}

impl<'a> Inside<'a> {
    #[inline]
    pub(super) fn enter(exchange: &'a mut Exchange) -> Self {
        Self {
            around: Around(AROUND.replace(exchange.layer())),
            guard: PanicGuard::new(exchange),
        }
    }

    #[inline]
    pub(super) fn leave(self) {
        drop(self.around);
        self.guard.defuse();
    }
}

/// The layer that was around before.
struct Around(Option<&'static HttpSeries>);

impl Drop for Around {
    #[inline]
    fn drop(&mut self) {
        AROUND.set(self.0);
    }
}

/// Notices a request that came out of the inner service of its own layer.
#[inline]
pub(super) fn check(series: &'static HttpSeries) {
    if AROUND
        .get()
        .is_some_and(|around| std::ptr::eq(around, series))
    {
        series.notice_nesting();
    }
}
