//! [`OpenSeries`]: a series of a metric with open labels.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::custom::label_spec::pairs;
use crate::custom::labels::{LabelSet, LabelsOf};
use crate::custom::node::{Node, SeriesHandle};
use crate::custom::series::{GuardedSeries, MetricSeries};
use crate::open_labels::cache::{Cached, RowCache, RowRef};
use crate::open_labels::rows::{OpenRows, Row};
use crate::sink::owned_key;

/// A series of a metric with open labels.
pub struct OpenSeries<I: SeriesHandle> {
    row: RowRef<OpenContent<I>>,
    /// The row-major index of its closed values.
    index: u32,
}

/// The series of a metric with the same open values.
#[expect(
    missing_debug_implementations,
    reason = "public only as part of a bound; it cannot be named outside of the crate"
)]
pub struct OpenContent<I: 'static> {
    node: &'static Node<I>,
    /// One for each combination of closed values. Empty until there is a sink.
    series: OnceLock<Box<[I]>>,
}

impl<I: SeriesHandle> Cached for OpenContent<I> {
    #[inline]
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T> {
        I::with_cache(then)
    }
}

impl<I: SeriesHandle> OpenContent<I> {
    #[cold]
    fn resolve(row: &Arc<Row<Self>>) -> Option<&[I]> {
        let content = row.content();
        let series = content.node.register(row.values(), &Row::lifetime(row))?;
        // Another thread may have set the same series first.
        let _ = content.series.set(series);
        content.series.get().map(|series| &**series)
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
        let make = || OpenContent {
            node,
            series: OnceLock::new(),
        };
        let (row, overflowed) = rows.admit_cached(open, make);
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

impl<I: SeriesHandle> MetricSeries<I> for OpenSeries<I> {
    #[inline]
    fn with<Labels: LabelSet>(node: &'static Node<I>, labels: &impl LabelsOf<Labels>) -> Self {
        let index = labels.closed() as u32;
        let open = labels.open();
        let Some(rows) = &node.rows else {
            let row = RowRef::none();
            return Self { row, index };
        };
        match rows.cached(open.as_slice()) {
            Some(row) => Self { row, index },
            None => Self::admit(node, rows, open.as_slice(), index),
        }
    }

    fn find<Labels: LabelSet>(
        node: &'static Node<I>,
        labels: &impl LabelsOf<Labels>,
    ) -> Option<Self> {
        let index = labels.closed() as u32;
        let row = node.rows.as_ref()?.find(labels.open().as_slice())?;
        let row = RowRef::uncached(row);
        Some(Self { row, index })
    }

    #[inline]
    fn get(&self) -> Option<&I> {
        let row = self.row.row()?;
        let series = match row.content().series.get() {
            Some(series) => series,
            None => OpenContent::resolve(row)?,
        };
        series.get(self.index as usize)
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
        let OpenContent { node, series } = row.content();
        if series.get().is_none() {
            return false;
        }
        let Some(sink) = node.family.recording_sink() else {
            return false;
        };
        let open: Vec<_> = row.values().collect();
        let labels = pairs(node.family.labels, self.index as usize, &open);
        sink.upgrade()
            .remove(I::INSTRUMENT, &owned_key(node.family.name(), &labels))
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
        let node = row.content().node;
        node.fmt(f)?;
        let open: Vec<_> = row.values().collect();
        let labels = pairs(node.family.labels, self.index as usize, &open);
        f.debug_map().entries(labels).finish()
    }
}
