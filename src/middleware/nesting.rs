//! Noticing that a request passes the same layer twice, and would be counted twice.

use std::cell::Cell;

use crate::series::HttpSeries;

thread_local! {
    /// The layer whose inner service runs on this thread.
    static AROUND: Cell<Option<&'static HttpSeries>> = const { Cell::new(None) };
}

/// While it lives, the inner service of a layer runs on this thread.
pub(super) struct Around {
    before: Option<&'static HttpSeries>,
}

impl Around {
    /// Only the first requests of a layer are looked at: a stack that counts twice does so from the start.
    #[inline]
    pub(super) fn enter(series: &'static HttpSeries) -> Option<Self> {
        series.is_new().then(|| Self {
            before: AROUND.replace(Some(series)),
        })
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        AROUND.set(self.before);
    }
}

/// Warns once if a request of a layer came out of the inner service of the same.
#[inline]
pub(super) fn check(series: &'static HttpSeries) {
    if series.is_new() {
        let around = AROUND.get();
        let nested = around.is_some_and(|around| std::ptr::eq(around, series));
        series.grow_older(nested);
    }
}
