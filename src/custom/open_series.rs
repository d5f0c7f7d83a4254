//! [`OpenSeries`]: a series of a metric with open labels.

use std::fmt;

use crate::custom::label_spec::pairs;
use crate::custom::node::{Node, OpenContent, SeriesHandle};
use crate::open_labels::cache::RowRef;
use crate::open_labels::rows::OpenRows;

/// A series of a metric with open labels.
pub struct OpenSeries<I: SeriesHandle> {
    row: RowRef<OpenContent<I>>,
    /// The row-major index of its closed values.
    index: u32,
}

impl<I: SeriesHandle> OpenSeries<I> {
    /// Returns the series with these values. `index` is the row-major index of the closed ones.
    #[inline]
    pub(super) fn with(node: &'static Node<I>, index: usize, open: &[&str]) -> Self {
        let index = index as u32;
        let Some(rows) = &node.rows else {
            let row = RowRef::none();
            return Self { row, index };
        };
        match rows.cached(open) {
            Some(row) => Self { row, index },
            None => Self::admit(node, rows, open, index),
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&I> {
        OpenContent::series(self.row.row()?)?.get(self.index as usize)
    }

    pub(super) fn get_unshared(&self) -> Option<&I> {
        if self.is_overflow() {
            return None;
        }
        self.get()
    }

    /// Removes the series from the page. Returns whether it was there.
    pub(super) fn remove(&self) -> bool {
        let Some(row) = self.row.row() else {
            return false;
        };
        let open: Vec<_> = row.values().collect();
        row.content().node().remove(self.index as usize, &open)
    }

    /// Registers the row of new open values, or of `overflow` beyond their limit.
    #[cold]
    fn admit(
        node: &'static Node<I>,
        rows: &'static OpenRows<OpenContent<I>>,
        open: &[&str],
        index: u32,
    ) -> Self {
        let (row, overflowed) = rows.admit_cached(open, || OpenContent::new(node));
        for label in overflowed.labels() {
            node.family.count_overflow(label, open[label].len());
        }
        let series = Self { row, index };
        if !(I::OVERFLOW_ON_USE && series.is_overflow()) {
            series.get();
        }
        series
    }

    fn is_overflow(&self) -> bool {
        self.row.row().is_some_and(|row| row.is_overflow())
    }
}

impl<I: SeriesHandle> Clone for OpenSeries<I> {
    fn clone(&self) -> Self {
        Self {
            row: self.row.clone(),
            index: self.index,
        }
    }
}

impl<I: SeriesHandle> fmt::Debug for OpenSeries<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(row) = self.row.row() else {
            return Ok(());
        };
        let node = row.content().node();
        node.fmt(f)?;
        let open: Vec<_> = row.values().collect();
        let labels = pairs(node.family.labels, self.index as usize, &open);
        f.debug_map().entries(labels).finish()
    }
}
