//! [`Series`] and [`OpenSeries`]: a series of a metric of a catalogue.

use std::fmt;

use crate::custom::label_spec::pairs;
use crate::custom::node::{Node, OpenContent, SeriesHandle};
use crate::open_labels::cache::RowRef;
use crate::open_labels::rows::OpenRows;

/// A series of a metric, or the metric itself if it has labels.
pub trait MetricSeries<I: SeriesHandle>: Clone + fmt::Debug {
    /// Returns the series of a metric with these values. `closed` is the row-major index of the closed ones.
    fn with(node: &'static Node<I>, closed: usize, open: &[&str]) -> Self;

    /// Removes the series with these values from the page, if it has open labels. Returns whether it was there.
    fn remove_from(node: &'static Node<I>, closed: usize, open: &[&str]) -> bool;

    /// The handle, if there is a recorder.
    fn get(&self) -> Option<&I>;

    /// The handle, if there is a recorder and no other series is recorded as this one.
    fn get_unshared(&self) -> Option<&I>;

    /// Returns the series for a guard, which keeps it, if there is a recorder.
    fn guarded(self) -> Option<GuardedSeries<I>>;

    /// Removes the series from the page, if it has open labels. Returns whether it was there.
    fn remove(&self) -> bool;
}

/// A series without open labels, or the metric itself if it has labels.
pub struct Series<I: SeriesHandle> {
    node: &'static Node<I>,
    index: u32,
}

/// A series of a metric with open labels.
pub struct OpenSeries<I: SeriesHandle> {
    row: RowRef<OpenContent<I>>,
    /// The row-major index of its closed values.
    index: u32,
}

impl<I: SeriesHandle> Series<I> {
    /// Returns the series without labels. If the metric has labels, its series are looked up from it.
    pub(super) fn root(node: &'static Node<I>) -> Self {
        Self { node, index: 0 }
    }

    #[inline]
    fn handle(self) -> Option<&'static I> {
        self.node.closed(self.index as usize)
    }

    #[inline]
    pub(super) fn node(self) -> &'static Node<I> {
        self.node
    }
}

impl<I: SeriesHandle> OpenSeries<I> {
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

impl<I: SeriesHandle> MetricSeries<I> for Series<I> {
    #[inline]
    fn with(node: &'static Node<I>, closed: usize, _: &[&str]) -> Self {
        let index = closed as u32;
        Self { node, index }
    }

    fn remove_from(_: &'static Node<I>, _: usize, _: &[&str]) -> bool {
        false
    }

    #[inline]
    fn get(&self) -> Option<&I> {
        self.handle()
    }

    #[inline]
    fn get_unshared(&self) -> Option<&I> {
        self.get()
    }

    #[inline]
    fn guarded(self) -> Option<GuardedSeries<I>> {
        self.handle().map(GuardedSeries::Closed)
    }

    fn remove(&self) -> bool {
        false
    }
}

impl<I: SeriesHandle> MetricSeries<I> for OpenSeries<I> {
    #[inline]
    fn with(node: &'static Node<I>, closed: usize, open: &[&str]) -> Self {
        let index = closed as u32;
        let Some(rows) = &node.rows else {
            let row = RowRef::none();
            return Self { row, index };
        };
        match rows.cached(open) {
            Some(row) => Self { row, index },
            None => Self::admit(node, rows, open, index),
        }
    }

    fn remove_from(node: &'static Node<I>, closed: usize, open: &[&str]) -> bool {
        node.remove(closed, open)
    }

    #[inline]
    fn get(&self) -> Option<&I> {
        OpenContent::series(self.row.row()?)?.get(self.index as usize)
    }

    fn get_unshared(&self) -> Option<&I> {
        if self.is_overflow() {
            return None;
        }
        self.get()
    }

    fn guarded(self) -> Option<GuardedSeries<I>> {
        self.get()?;
        Some(GuardedSeries::Open(self))
    }

    fn remove(&self) -> bool {
        let Some(row) = self.row.row() else {
            return false;
        };
        let open: Vec<_> = row.values().collect();
        row.content().node().remove(self.index as usize, &open)
    }
}

/// A series that a guard keeps.
#[expect(
    missing_debug_implementations,
    reason = "public only as part of a bound; it cannot be named outside of the crate"
)]
pub enum GuardedSeries<I: SeriesHandle> {
    Closed(&'static I),
    Open(OpenSeries<I>),
}

impl<I: SeriesHandle> GuardedSeries<I> {
    #[inline]
    pub(super) fn get(&self) -> Option<&I> {
        match self {
            Self::Closed(handle) => Some(handle),
            Self::Open(series) => series.get(),
        }
    }
}

impl<I: SeriesHandle> Clone for Series<I> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: SeriesHandle> Copy for Series<I> {}

impl<I: SeriesHandle> fmt::Debug for Series<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)?;
        let labels = self.node.family.labels;
        if self.node.family.has_open_labels() {
            return Ok(());
        }
        let labels = pairs(labels, self.index as usize, &[]);
        f.debug_map().entries(labels).finish()
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
