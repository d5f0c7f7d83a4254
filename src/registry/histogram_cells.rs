//! [`HistogramCells`]: the cells of one series of a histogram, for classic and for native buckets.

use std::sync::Arc;

use crate::model::bounds::Buckets;
use crate::registry::cells::CellId;
use crate::registry::native::NativeCells;

/// The cells of the buckets of one series. At least one kind of buckets is there.
#[derive(Clone)]
pub(crate) struct HistogramCells {
    pub(crate) classic: Option<ClassicCells>,
    pub(crate) native: Option<Arc<NativeCells>>,
}

/// The cells of classic buckets, one for each bound and one for `+Inf`.
#[derive(Clone)]
pub(crate) struct ClassicCells {
    pub(crate) first: CellId,
    pub(crate) bounds: Buckets,
}

impl HistogramCells {
    /// The cell that identifies the series.
    pub(crate) fn first(&self) -> CellId {
        let native = || self.native.as_ref().map_or(0, |native| native.zero());
        self.classic
            .as_ref()
            .map_or_else(native, |classic| classic.first)
    }
}
