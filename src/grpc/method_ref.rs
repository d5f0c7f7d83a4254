//! [`MethodRef`] and [`CallRef`]: the series of a method and of a call, kept while they are used.

use std::ops::Deref;
use std::sync::Arc;

use crate::grpc::method::{CallSeries, Method, MethodSeries};
use crate::http::series::label_values::LabelIds;
use crate::open_labels::rows::Row;

/// The series of a method, which exist at least as long as this.
#[derive(Clone)]
pub(crate) enum MethodRef {
    Static(&'static Method),
    /// Series that can expire: those of a learned method, or with values of open labels.
    Row(Arc<Row<MethodSeries>>),
}

/// The series of a call in progress.
#[derive(Clone)]
pub(crate) struct CallRef {
    pub(crate) method: MethodRef,
    /// The labels that all metrics have.
    labels: LabelIds,
}

impl MethodRef {
    /// The values of the open labels and the path; empty if all open labels are absent.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> + Clone {
        let row = match self {
            Self::Static(_) => None,
            Self::Row(row) => Some(row),
        };
        row.into_iter().flat_map(|row| row.values())
    }

    /// Whether a value is `overflow`.
    #[inline]
    pub(crate) fn is_overflow(&self) -> bool {
        matches!(self, Self::Row(row) if row.is_overflow())
    }

    /// The path; empty for unknown methods, and `overflow` for those beyond the limit.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Static(method) => method.path,
            Self::Row(row) => row.values().last().unwrap_or_default(),
        }
    }
}

impl Deref for MethodRef {
    type Target = MethodSeries;

    #[inline]
    fn deref(&self) -> &MethodSeries {
        match self {
            Self::Static(method) => &method.series,
            Self::Row(row) => row.content(),
        }
    }
}

impl CallRef {
    /// The series of a call to `method` with these labels must be registered.
    #[inline]
    pub(crate) fn new(method: MethodRef, labels: LabelIds) -> Self {
        Self { method, labels }
    }

    #[inline]
    fn series(&self) -> Option<&CallSeries> {
        self.method.calls.get(self.labels)
    }

    #[inline]
    pub(crate) fn start(&self) {
        if let Some(series) = self.series() {
            series.start();
        }
    }

    #[inline]
    pub(crate) fn end(&self) {
        if let Some(series) = self.series() {
            series.end();
        }
    }

    /// Records a message of the request, of this many bytes.
    #[inline]
    pub(crate) fn record_request(&self, bytes: u32) {
        if let Some(series) = self.series() {
            series.request.record(bytes);
        }
    }

    /// Records messages of the request that passed before the method was known. `sizes` may be those of fewer messages.
    pub(crate) fn record_early_requests(&self, count: u64, sizes: &[u32]) {
        if let Some(series) = self.series() {
            series.request.count(count);
            sizes
                .iter()
                .for_each(|bytes| series.request.observe(*bytes));
        }
    }

    /// Records a message of the response, of this many bytes.
    #[inline]
    pub(crate) fn record_response(&self, bytes: u32) {
        if let Some(series) = self.series() {
            series.response.record(bytes);
        }
    }
}
