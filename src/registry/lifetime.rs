//! [`Lifetime`]: whether a series may expire.

use std::sync::Weak;

/// Whether a series may expire. A series that has several users is permanent if one of them needs that.
#[derive(Clone, Debug)]
pub(crate) enum Lifetime {
    /// It never expires: closed labels, preregistered routes, metrics without labels of a catalogue.
    Permanent,
    /// It can expire, and its cells are reused once its handles are dropped: macros.
    Expiring,
    /// Like `Expiring`, and this row of open label values learns when the series leaves the page and returns.
    OfRow(Weak<dyn SeriesRow>),
}

/// The series that have the same open label values. Called while the series is locked, so it must not record.
pub(crate) trait SeriesRow: Send + Sync {
    /// One of the series is on the page from now on.
    fn series_listed(&self);

    /// One of the series has left the page.
    fn series_unlisted(&self);
}

/// The rows of a metric or layer, which live as long as the program.
pub(crate) trait RowSet: Send + Sync {
    /// Forgets all rows. Called when their registry is dropped.
    fn clear(&self);
}

impl std::fmt::Debug for dyn SeriesRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeriesRow")
    }
}

impl Lifetime {
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent)
    }
}
