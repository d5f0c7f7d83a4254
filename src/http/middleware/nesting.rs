//! Detects requests that pass the same layer twice, and would be counted twice.

use std::cell::Cell;

use crate::http::series::layer::LayerSeries;

thread_local! {
    /// The innermost layer whose inner service runs on this thread.
    static CURRENT: Cell<Option<&'static LayerSeries>> = const { Cell::new(None) };
}

/// A guard that exists while the inner service of a layer runs on this thread. Restores the previous layer
/// when it is dropped.
pub(crate) struct InnerServiceScope(Option<&'static LayerSeries>);

impl InnerServiceScope {
    #[inline]
    pub(crate) fn enter(layer: Option<&'static LayerSeries>) -> Self {
        Self(CURRENT.replace(layer))
    }
}

impl Drop for InnerServiceScope {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Warns if the request came from the inner service of the same layer.
#[inline]
pub(crate) fn check(series: &'static LayerSeries) {
    if CURRENT
        .get()
        .is_some_and(|current| std::ptr::eq(current, series))
    {
        series.warn_of_nesting();
    }
}
