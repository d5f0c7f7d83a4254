//! Noticing that a request passes the same layer twice, and would be counted twice.

use std::cell::Cell;

use super::Exchange;
use crate::series::HttpSeries;
use crate::watch::Watched;

thread_local! {
    /// The layer whose inner service runs on this thread.
    static AROUND: Cell<Option<&'static HttpSeries>> = const { Cell::new(None) };
}

/// While it lives, the inner service of an exchange's layer runs on this thread; unless it is left, the
/// service panicked.
pub(super) struct Inside<'a> {
    exchange: &'a mut Exchange,
    before: Option<&'static HttpSeries>,
}

impl<'a> Inside<'a> {
    #[inline]
    pub(super) fn enter(exchange: &'a mut Exchange) -> Self {
        let before = AROUND.replace(exchange.layer());
        Self { exchange, before }
    }

    #[inline]
    pub(super) fn leave(self) {
        AROUND.set(self.before);
        std::mem::forget(self);
    }
}

impl Drop for Inside<'_> {
    #[cold]
    fn drop(&mut self) {
        AROUND.set(self.before);
        self.exchange.panicked();
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
