//! [`CallRef`]: the series of a call in progress.

use crate::grpc::method::CallSeries;
use crate::grpc::methods::MethodRef;
use crate::http::series::label_values::LabelIds;

/// The series of a call in progress. The method is not freed before.
#[derive(Clone)]
pub(crate) struct CallRef {
    pub(crate) method: MethodRef,
    /// The labels that all metrics have.
    labels: LabelIds,
}

impl CallRef {
    /// The series of `method` with these labels must be registered.
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

    /// Records request messages that were read before the series was known. Sizes may be of fewer messages.
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
