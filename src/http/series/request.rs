//! [`RequestSeries`]: the series, of all metrics, of requests with the same endpoint, method and labels.

use std::sync::OnceLock;

use crate::http::config::http_metric::HttpMetric;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::method::Method;
use crate::http::labels::status::Status;
use crate::http::series::completion::{CompletionRecorder, Measured};
use crate::http::series::endpoint::{EndpointKind, EndpointSeries};
use crate::http::series::layer::LayerSeries;
use crate::http::series::row::SeriesLabels;
use crate::maps::slots::{SlotKey, Slots};
use crate::registry::handles::InProgressCells;
use crate::sink::handles::{CounterHandle, InProgressHandle};

/// The series, of all metrics, of requests with the same endpoint, method and labels.
///
/// The fields that most requests read are in the first cache line.
#[repr(C, align(64))]
pub(crate) struct RequestSeries {
    layer: &'static LayerSeries,
    /// The cells of the in-progress gauge, if it is measured and in a registry.
    in_progress_cells: OnceLock<InProgressCells>,
    pub(super) method: Method,
    /// Whether such a request may cause a warning: the endpoint or a custom label is `overflow`, or the
    /// endpoint is `unmatched`.
    pub(super) may_warn: bool,
    /// Whether only the status of a response head matters: the layer reads no labels from the head and does not
    /// time it, and the method is neither HEAD nor CONNECT.
    needs_only_status: bool,
    /// Whether the bytes of response bodies are counted as they pass.
    counts_bytes: bool,
    recorders: Slots<Status, CompletionRecorder>,
    pub(super) endpoint: &'static EndpointSeries,
    pub(super) labels: SeriesLabels,
    in_progress: OnceLock<Option<InProgressHandle>>,
    /// Allocated when the first body is aborted.
    aborted: OnceLock<Box<Slots<AbortedBody, Option<CounterHandle>>>>,
    response_bytes: OnceLock<Option<CounterHandle>>,
}

/// A body that was not completed: which one, and why.
#[derive(Clone, Copy, PartialEq)]
struct AbortedBody {
    metric: HttpMetric,
    reason: AbortReason,
}

impl SlotKey for Status {
    fn bits(self) -> u64 {
        self.number()
    }
}

impl SlotKey for AbortedBody {
    fn bits(self) -> u64 {
        (self.metric as u64) << 8 | self.reason as u64
    }
}

impl RequestSeries {
    pub(super) fn new(
        layer: &'static LayerSeries,
        endpoint: &'static EndpointSeries,
        method: Method,
        labels: SeriesLabels,
    ) -> Self {
        let overflowed = labels.ids.overflowed().next().is_some()
            || labels.open.as_ref().is_some_and(|open| open.is_overflow);
        Self {
            layer,
            in_progress_cells: OnceLock::new(),
            method,
            needs_only_status: layer.needs_only_status() && !method.may_lack_body(),
            may_warn: overflowed || endpoint.kind != EndpointKind::Route,
            counts_bytes: layer.needs.bytes,
            recorders: Slots::default(),
            endpoint,
            labels,
            in_progress: OnceLock::new(),
            aborted: OnceLock::new(),
            response_bytes: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn layer(&self) -> &'static LayerSeries {
        self.layer
    }

    #[inline]
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    #[inline]
    pub(crate) fn needs_only_status(&self) -> bool {
        self.needs_only_status
    }

    #[inline]
    pub(crate) fn counts_bytes(&self) -> bool {
        self.counts_bytes
    }

    /// Increments the in-progress gauge.
    #[inline(always)]
    pub(crate) fn enter_progress(&self) {
        match (self.layer.writer(), self.in_progress_cells.get()) {
            (Some(writer), Some(cells)) => cells.start(writer),
            _ => self.enter_progress_slow(),
        }
    }

    #[cold]
    fn enter_progress_slow(&self) {
        if let Some(in_progress) = self.in_progress() {
            in_progress.start();
        }
    }

    /// Decrements the in-progress gauge.
    pub(crate) fn leave_progress(&self) {
        if let Some(in_progress) = self.in_progress() {
            in_progress.end();
        }
    }

    /// The in-progress gauge, if it is measured. It is registered, as 0, by the first call.
    pub(super) fn in_progress(&self) -> Option<&InProgressHandle> {
        let in_progress = self
            .in_progress
            .get_or_init(|| self.layer.new_in_progress(self))
            .as_ref();
        if let Some(cells) = in_progress.and_then(InProgressHandle::cells) {
            self.in_progress_cells.get_or_init(|| cells);
        }
        in_progress
    }

    /// Fast path: counts a completed request and decrements the in-progress gauge of `started_in`.
    ///
    /// Returns `false`, without recording anything, unless all of it is in cells of the calling thread's
    /// shard and there is nothing to warn of.
    #[inline]
    pub(crate) fn count_ordinary(&self, started_in: &Self, status: Status, seconds: f64) -> bool {
        let layer = self.layer;
        let Some(CompletionRecorder::Ordinary(cells)) =
            self.recorders.get(layer.exported_status(status))
        else {
            return false;
        };
        let Some(writer) = layer.writer() else {
            return false;
        };
        let last = cells.count(writer, layer.duration_bounds(), seconds);
        // Set at the start of the request, if the gauge is measured.
        if let Some(cells) = started_in.in_progress_cells.get() {
            cells.end(writer, last);
        }
        true
    }

    /// Counts a request that ended.
    pub(crate) fn count(&self, status: Status, seconds: f64, measured: &Measured) {
        match self.recorder(status) {
            CompletionRecorder::Ordinary(cells) => self.layer.count_anywhere(cells, seconds),
            CompletionRecorder::Other(handles) => handles.count(seconds, measured),
        }
        if self.may_warn {
            self.layer.notice(self, status);
        }
    }

    /// The series for requests that end with this status, registered on first use.
    pub(super) fn recorder(&self, status: Status) -> &CompletionRecorder {
        let status = self.layer.exported_status(status);
        self.recorders
            .get_or_insert(status, || self.layer.new_recorder(self, status))
    }

    /// Counts a response body that was not completed.
    pub(crate) fn count_aborted(&self, reason: AbortReason) {
        self.count_aborted_in(HttpMetric::AbortedBodies, reason);
    }

    /// Counts a request body that was not completed.
    pub(crate) fn count_aborted_request_body(&self, reason: AbortReason) {
        self.count_aborted_in(HttpMetric::AbortedRequestBodies, reason);
    }

    #[cold]
    fn count_aborted_in(&self, metric: HttpMetric, reason: AbortReason) {
        let aborted = self.aborted.get_or_init(Box::default);
        let new = || self.layer.new_aborted(self, metric, reason);
        let counter = aborted.get_or_insert(AbortedBody { metric, reason }, new);
        if let Some(counter) = counter {
            counter.increment();
        }
    }

    /// Counts bytes of a response body. Only if [`counts_bytes`](Self::counts_bytes).
    // Not inlined, because most layers never call it.
    #[inline(never)]
    pub(crate) fn count_bytes(&self, bytes: u64) {
        if let Some(counter) = self.response_bytes() {
            counter.add(bytes);
        }
    }

    /// The counter of the bytes of response bodies, if they are counted. It is registered, as 0, by the first call.
    pub(super) fn response_bytes(&self) -> Option<&CounterHandle> {
        let counter = self
            .response_bytes
            .get_or_init(|| self.layer.new_response_bytes(self));
        counter.as_ref()
    }
}
