//! [`MethodRows`]: the series of a layer that can expire.

use std::cell::RefCell;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use crate::grpc::method::MethodSeries;
use crate::grpc::method_ref::MethodRef;
use crate::grpc::settings::{GrpcSettings, PreregisteredMethod};
use crate::http::config::http_label::On;
use crate::http::series::custom_labels::CustomLabels;
use crate::http::series::custom_values::{CustomValues, OpenTexts};
use crate::open_labels::cache::{Cached, RowCache};
use crate::open_labels::rows::{OpenRows, Row};
use crate::registry::lifetime::{Lifetime, RowSet};

/// The series of a layer that can expire, by the values of the open labels and the path of the method. A row is forgotten
/// when its series have expired.
///
/// Instead of a path, unknown methods have the empty string, and methods beyond the limit `overflow`.
pub(crate) struct MethodRows {
    rows: OpenRows<MethodSeries>,
    /// For each open label, whether all metrics have it.
    on_everything: Box<[bool]>,
}

impl MethodRows {
    /// `timeout` is the shortest time after which a series expires.
    pub(crate) fn new(settings: &GrpcSettings, custom: &CustomLabels, timeout: Duration) -> Self {
        let methods = settings.preregistered.len() + settings.max_methods;
        let limits = custom.open_limits().chain([methods]);
        let open = custom.open_labels();
        let on_everything = open.map(|label| settings.labels[label].on == On::Everything);
        Self {
            rows: OpenRows::new(limits, timeout),
            on_everything: on_everything.collect(),
        }
    }

    /// The rows, to clear them when the registry is dropped.
    pub(crate) fn as_set(&self) -> &dyn RowSet {
        &self.rows
    }

    /// The number of open labels, and the index of the path among the values of a row.
    fn open(&self) -> usize {
        self.on_everything.len()
    }

    /// Gives a preregistered method its place under the limit.
    pub(crate) fn preregister(&self, preregistered: &PreregisteredMethod) {
        self.rows.keep_value(self.open(), &preregistered.path());
    }

    /// Whether a method was learned, or is preregistered.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.rows.has_value(self.open(), path)
    }

    /// Whether a custom label has its maximum number of values. `label` is its index among the open labels.
    pub(crate) fn is_full(&self, label: usize) -> bool {
        self.rows.is_full(label)
    }

    /// The values of the open labels of a row.
    pub(crate) fn open_values<'a>(
        &self,
        method: Option<&'a MethodRef>,
    ) -> impl Iterator<Item = &'a str> {
        let values = method.into_iter().flat_map(MethodRef::values);
        values.take(self.open())
    }

    /// The row of calls in progress, if the calling thread has it in its cache.
    #[inline]
    pub(crate) fn cached_call(
        &self,
        values: &CustomValues<'_>,
        path: &str,
    ) -> Option<Arc<Row<MethodSeries>>> {
        self.with_call(values, path, |values| {
            self.rows.with_cached(values, Arc::clone)
        })
    }

    /// The row of calls in progress.
    #[inline]
    pub(crate) fn call(
        &'static self,
        values: &CustomValues<'_>,
        path: &str,
    ) -> Arc<Row<MethodSeries>> {
        self.with_call(values, path, |values| self.row(values))
    }

    /// The row of calls that end, if it is known.
    #[inline]
    pub(crate) fn known_end(
        &'static self,
        values: &CustomValues<'_>,
        path: &str,
    ) -> Option<Arc<Row<MethodSeries>>> {
        let row = with_end(values, path, |values| {
            let cached = self.rows.with_cached(values, Arc::clone);
            cached.or_else(|| self.rows.lookup_shared(values))
        });
        row.filter(|row| is_of(row, path))
    }

    /// The row of calls that end. The path is not replaced by `overflow`, even if the method is forgotten.
    #[cold]
    pub(crate) fn end(
        &'static self,
        values: &CustomValues<'_>,
        path: &str,
    ) -> Arc<Row<MethodSeries>> {
        let row = with_end(values, path, |values| self.row(values));
        match is_of(&row, path) {
            true => row,
            false => self.detached(&row, path),
        }
    }

    /// A row for the end of a call whose method is forgotten and has no place any more.
    #[cold]
    fn detached(&'static self, row: &Row<MethodSeries>, path: &str) -> Arc<Row<MethodSeries>> {
        let mut values = OpenTexts::of(row.values().take(self.open()));
        values.push(path);
        let content = MethodSeries::default();
        self.rows.detached(values.as_slice(), content)
    }

    /// The lifetime of a series in a row, of a metric that has the open labels for which `kept` is true. `is_static` is
    /// whether the series of the method never expire if it has no open labels.
    #[cold]
    pub(crate) fn lifetime(
        &'static self,
        row: &Arc<Row<MethodSeries>>,
        kept: impl Iterator<Item = bool>,
        is_static: bool,
    ) -> Lifetime {
        let kept = row.values().zip(kept.chain(iter::once(true)));
        let kept = kept.map(|(value, is_kept)| if is_kept { value } else { "" });
        let values = OpenTexts::of(kept);
        let values = values.as_slice();
        let mut open = values.iter().take(self.open());
        if is_static && open.all(|value| value.is_empty()) {
            return Lifetime::Permanent;
        }
        // The series belongs to the row that has only the labels of the metric, and is not forgotten.
        let is_of_other = row.is_forgotten() || row.values().ne(values.iter().copied());
        let admit = || self.rows.admit_all(values, MethodSeries::default);
        let other = is_of_other.then(admit).flatten();
        Row::lifetime(other.as_ref().unwrap_or(row))
    }

    /// Whether all metrics of a call have an open label.
    #[inline]
    pub(crate) fn is_call_open(&self, values: &CustomValues<'_>) -> bool {
        values.has_open()
            && self.with_call(values, "", |values| {
                values.iter().any(|value| !value.is_empty())
            })
    }

    /// Calls `then` with the values of the row of calls in progress: without the labels that not all metrics have.
    #[inline]
    fn with_call<T>(
        &self,
        values: &CustomValues<'_>,
        path: &str,
        then: impl FnOnce(&[&str]) -> T,
    ) -> T {
        values.with_open(|texts| {
            let texts = self.on_everything.iter().zip(texts.as_slice());
            let texts = texts.map(|(kept, text)| if *kept { *text } else { "" });
            let mut texts = OpenTexts::of(texts);
            texts.push(path);
            then(texts.as_slice())
        })
    }

    #[inline]
    fn row(&'static self, values: &[&str]) -> Arc<Row<MethodSeries>> {
        let cached = self.rows.with_cached(values, Arc::clone);
        cached.unwrap_or_else(|| self.rows.admit_shared(values, MethodSeries::default))
    }
}

/// Calls `then` with the values of the row of calls that end.
#[inline]
fn with_end<T>(values: &CustomValues<'_>, path: &str, then: impl FnOnce(&[&str]) -> T) -> T {
    values.with_open(|texts| {
        let mut texts = OpenTexts::of(texts.as_slice().iter().copied());
        texts.push(path);
        then(texts.as_slice())
    })
}

/// Whether a row is that of a path, not that of methods beyond the limit.
#[inline]
fn is_of(row: &Row<MethodSeries>, path: &str) -> bool {
    row.values().last() == Some(path)
}

impl Cached for MethodSeries {
    #[inline]
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T> {
        thread_local! {
            static CACHE: RefCell<RowCache<MethodSeries>> = const { RefCell::new(RowCache::new()) };
        }
        CACHE.try_with(then).ok()
    }
}
