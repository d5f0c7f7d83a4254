//! [`SeriesRef`]: a reference to series of a layer.

use std::ops::Deref;
use std::sync::Arc;

/// A reference to series of a layer.
pub(crate) enum SeriesRef<T: 'static> {
    /// Series that are never freed.
    Static(&'static T),
    /// Series of a row, which stay in memory while they are used.
    InRow(Arc<T>),
}

impl<T> Deref for SeriesRef<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Static(series) => series,
            Self::InRow(series) => series,
        }
    }
}

impl<T> Clone for SeriesRef<T> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Static(series) => Self::Static(series),
            Self::InRow(series) => Self::InRow(Arc::clone(series)),
        }
    }
}
