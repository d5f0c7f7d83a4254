//! [`Lifetime`]: whether a series may expire.

use std::sync::Weak;

/// Whether a series may expire. A series that has several users is permanent if one of them needs that.
#[derive(Clone, Debug)]
pub(crate) enum Lifetime {
    /// It never expires: closed labels, preregistered routes, metrics without labels of a catalogue.
    Permanent,
    /// It can expire, and its cells are reused once its handles are dropped: macros, and open labels of layers that have no
    /// rows.
    Expiring,
    /// Like `Expiring`, and this row of open label values learns when the series leaves the page and returns.
    OfRow(Weak<dyn SeriesRow>),
}

/// The series that have the same open label values. Called while the series is locked, so it must not record.
pub(crate) trait SeriesRow: Send + Sync {
    /// Called when a series of the row is on the page from now on.
    fn series_listed(&self);

    /// Called when a series of the row has left the page.
    fn series_unlisted(&self);
}

/// The rows of a metric or layer, which live as long as the program.
pub(crate) trait RowSet: Send + Sync {
    /// Forgets all rows. Called when their registry is dropped.
    fn clear(&self);
}

/// The rows of one series: one for each layer or catalogue that records into it, and forgotten ones that are still used.
#[derive(Default)]
pub(crate) enum RowsOfSeries {
    #[default]
    None,
    One(Weak<dyn SeriesRow>),
    Several(Vec<Weak<dyn SeriesRow>>),
}

impl RowsOfSeries {
    fn iter(&self) -> impl Iterator<Item = &Weak<dyn SeriesRow>> {
        match self {
            Self::None => &[],
            Self::One(row) => std::slice::from_ref(row),
            Self::Several(rows) => rows,
        }
        .iter()
    }

    /// Adds a row. Returns `false` if the series has it already.
    pub(crate) fn add(&mut self, row: &Weak<dyn SeriesRow>) -> bool {
        if self.iter().any(|known| known.ptr_eq(row)) {
            return false;
        }
        let existing = self.iter().filter(|row| row.strong_count() > 0);
        let mut rows: Vec<_> = existing.cloned().collect();
        *self = match rows.is_empty() {
            true => Self::One(Weak::clone(row)),
            false => {
                rows.push(Weak::clone(row));
                Self::Several(rows)
            }
        };
        true
    }

    /// Tells the rows that the series is on the page from now on.
    pub(crate) fn listed(&self) {
        let rows = self.iter().filter_map(Weak::upgrade);
        rows.for_each(|row| row.series_listed());
    }

    /// Tells the rows that the series has left the page.
    pub(crate) fn unlisted(&self) {
        let rows = self.iter().filter_map(Weak::upgrade);
        rows.for_each(|row| row.series_unlisted());
    }
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
