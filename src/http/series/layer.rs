//! [`LayerSeries`]: all series of one HTTP layer, registered on first use.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::Extensions;
use metrics::{Key, Label};

use crate::http::config::families::LabelSource;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::kept_parameter::with_values;
use crate::http::config::settings::HttpSettings;
use crate::http::labels::abort_reason::AbortReason;
use crate::http::labels::endpoint::endpoint_of_request;
use crate::http::labels::head::RequestHead;
use crate::http::labels::method::Method;
use crate::http::labels::status::Status;
use crate::http::series::completion::{CompletionRecorder, Handles};
use crate::http::series::connection::{ConnectionKey, ConnectionSeries};
use crate::http::series::custom_labels::{CustomLabels, CustomValue};
use crate::http::series::custom_values::CustomValues;
use crate::http::series::endpoint::{EndpointKind, EndpointSeries};
use crate::http::series::label_values::LabelIds;
use crate::http::series::needs::Needs;
use crate::http::series::request::RequestSeries;
use crate::http::series::row::{HttpRow, SeriesLabels};
use crate::http::series::series_ref::SeriesRef;
use crate::maps::table::Table;
use crate::model::bounds::Buckets;
use crate::model::trace::TraceId;
use crate::open_labels::rows::OpenRows;
use crate::registry::cells::Writer;
use crate::registry::handles::RequestCells;
use crate::registry::lifetime::Lifetime;
use crate::sink::Writing;
use crate::sink::activation::Activation;
use crate::sink::handles::{CounterHandle, HistogramHandle, InProgressHandle};
use crate::sink::overflow::Overflow;
use crate::sink::side::Side;
use crate::sink::weak::WeakSink;

/// The series of a layer. Leaked, for the reason that the [module](super) gives.
///
/// The fields that every request reads come first, in two cache lines.
#[repr(C, align(64))]
pub(crate) struct LayerSeries {
    pub(super) needs: Needs,
    /// Whether any request has had an endpoint.
    pub(super) matched: AtomicBool,
    pub(super) writing: Writing,
    pub(super) endpoints: Table<EndpointSeries>,
    pub(super) duration_bounds: Buckets,
    pub(super) unmatched: EndpointSeries,
    pub(super) overflow: EndpointSeries,
    pub(crate) settings: HttpSettings,
    pub(super) sink: WeakSink,
    /// The full names of the measured families.
    pub(super) names: [Option<String>; HttpMetric::COUNT],
    /// The labels of the families, without those that only one family has and without constant labels.
    pub(super) label_sources: [Vec<LabelSource>; HttpMetric::COUNT],
    pub(crate) custom: CustomLabels,
    /// The series of requests with open labels. `None` if no label is open, or if series never expire: those labels then
    /// have ids.
    pub(super) rows: Option<OpenRows<HttpRow>>,
    pub(super) endpoint_overflow: Overflow,
    /// The number of responses without an endpoint, counted until a request has an endpoint.
    pub(super) unmatched_responses: AtomicU32,
    /// Whether the inner service of this layer has sent a request through this layer.
    pub(super) is_nested: AtomicBool,
    pub(super) activation: Activation<HttpSettings, Self>,
    /// Whether any metric has the endpoint label.
    pub(super) has_endpoint_label: bool,
}

impl LayerSeries {
    /// The layer that measures: this one, or the one that replaces it once a global recorder is installed. `None` if
    /// nothing is measured.
    #[inline]
    pub(crate) fn active(&'static self) -> Option<&'static Self> {
        self.activation.active(self)
    }

    /// The writer for the start and the end of a request; `None` if the sink is not a registry, or if it
    /// cannot give this thread a writer.
    #[inline]
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        self.writing.writer()
    }

    /// Whether the time to the response head is needed.
    #[inline]
    pub(crate) fn times_head(&self) -> bool {
        self.needs.head_time
    }

    /// Whether the duration of a request ends at its response head.
    #[inline]
    pub(crate) fn ends_at_head(&self) -> bool {
        self.needs.duration_to_head
    }

    /// Whether only the status of a response head is needed.
    pub(super) fn needs_only_status(&self) -> bool {
        self.needs.only_status
    }

    /// The trace of a request, if the layer records exemplars.
    #[inline]
    pub(crate) fn trace(&self, request: RequestHead<'_>) -> Option<TraceId> {
        match self.needs.trace {
            true => self.settings.exemplar.as_ref()?.of(request),
            false => None,
        }
    }

    /// The method of a request, also if the configuration adds it.
    #[inline]
    pub(crate) fn method(&self, method: &http::Method) -> Method {
        Method::among(method, &self.settings.methods)
    }

    #[inline]
    pub(crate) fn is_client(&self) -> bool {
        self.settings.side == Side::Client
    }

    /// Whether the layer has labels that are read when a request ends.
    #[inline]
    pub(crate) fn reads_outcome(&self) -> bool {
        self.needs.outcome
    }

    /// Fast path: starts a request if the layer needs only its route and method, and their series is
    /// registered.
    // Not inlined, to keep the code that is generic over the service small.
    #[inline(never)]
    pub(crate) fn start_known(
        &'static self,
        method: &http::Method,
        extensions: &Extensions,
    ) -> Option<&'static RequestSeries> {
        if !self.needs.only_route {
            return None;
        }
        let name = endpoint_of_request(extensions)?;
        self.note_match();
        let endpoint = self.endpoints.get(name)?;
        let series = endpoint.get_plain(Method::of(method))?;
        debug_assert!(!endpoint.is_skipped(), "a skipped endpoint has no series");
        series.enter_progress();
        Some(series)
    }

    /// Calls `then` with the name of the endpoint of a request, if it is known.
    #[inline]
    pub(crate) fn with_endpoint<R>(
        &self,
        request: RequestHead<'_>,
        then: impl FnOnce(Option<&str>) -> R,
    ) -> R {
        let name = match self.needs.only_router {
            true => endpoint_of_request(request.extensions()),
            false => self.settings.endpoint_source.endpoint_of(request),
        };
        with_values(&self.settings.kept_parameters, name, request, then)
    }

    /// Whether the series of requests with open labels are in rows. `needs` is read first, because it is in the first cache
    /// line.
    #[inline]
    pub(crate) fn has_rows(&self) -> bool {
        self.needs.labels && self.rows.is_some()
    }

    /// The ids of the custom label values that are read from the request.
    #[inline]
    pub(crate) fn request_labels(&self, request: RequestHead<'_>) -> LabelIds {
        match self.needs.labels {
            true => self.custom.of_request(request),
            false => LabelIds::default(),
        }
    }

    /// Looks up an endpoint without an allocation, a lock, or a write to a cache line that other cores often
    /// read. `None` if the endpoint is not registered yet.
    #[inline]
    pub(crate) fn endpoint(&'static self, name: Option<&str>) -> Option<&'static EndpointSeries> {
        let Some(name) = name else {
            return Some(&self.unmatched);
        };
        self.note_match();
        match self.endpoints.get(name) {
            Some(endpoint) => Some(endpoint),
            None => self.overflow_of(name),
        }
    }

    /// Notes that a request had an endpoint. Written once and then only read, so that cores do not invalidate
    /// each other's cache line.
    #[inline]
    fn note_match(&self) {
        if !self.matched.load(Ordering::Relaxed) {
            self.matched.store(true, Ordering::Relaxed);
        }
    }

    /// The series of an endpoint that the look-up did not find: `overflow` if the table is full, otherwise
    /// `None`.
    #[cold]
    fn overflow_of(&'static self, name: &str) -> Option<&'static EndpointSeries> {
        if !self.endpoints.is_full() {
            return None;
        }
        // Search again: the last free slot may have been filled with this name since the look-up.
        Some(self.endpoints.get(name).unwrap_or(&self.overflow))
    }

    /// The series of a request, registered on first use; `None` if the endpoint is skipped. `open` are all values, if open
    /// labels are in rows.
    pub(crate) fn register(
        &'static self,
        method: Method,
        endpoint: Option<&str>,
        labels: LabelIds,
        open: Option<&CustomValues<'_>>,
    ) -> Option<SeriesRef<RequestSeries>> {
        let endpoint = match endpoint {
            Some(name) => self.endpoint_named(name),
            None => &self.unmatched,
        };
        if endpoint.is_skipped() {
            return None;
        }
        Some(match open {
            Some(values) => self.series_of(endpoint, method, values),
            None => SeriesRef::Static(endpoint.make(self, method, labels)),
        })
    }

    /// The endpoint of this name, registered on first use.
    pub(super) fn endpoint_named(&'static self, name: &str) -> &'static EndpointSeries {
        self.note_match();
        self.endpoint_or_new(Some(name))
    }

    pub(super) fn endpoint_or_new(&'static self, name: Option<&str>) -> &'static EndpointSeries {
        let Some(name) = name else {
            return &self.unmatched;
        };
        let make = |name| self.settings.endpoint(name, EndpointKind::Route);
        let known = self.endpoints.get_or_insert(name, make);
        known.unwrap_or(&self.overflow)
    }

    /// The buckets of the durations, if the sink is a registry.
    #[inline]
    pub(super) fn duration_bounds(&self) -> &Buckets {
        &self.duration_bounds
    }

    /// Counts a request, whether or not the thread has a writer.
    pub(super) fn count_anywhere(&self, cells: &RequestCells, seconds: f64) {
        if let Some(store) = self.writing.store() {
            cells.count_anywhere(store, &self.duration_bounds, seconds);
        }
    }

    /// The status as it is exported: itself, or its class.
    #[inline]
    pub(super) fn exported_status(&self, status: Status) -> Status {
        if self.needs.status_class {
            return status.class();
        }
        status
    }

    /// The series of long-lived connections of this kind.
    pub(crate) fn connections(
        &'static self,
        series: &RequestSeries,
        kind: &'static str,
    ) -> SeriesRef<ConnectionSeries> {
        let labels = &self.labels_of(HttpMetric::OpenConnections, &series.labels);
        let new = || {
            let key = |metric| self.key(metric, series, labels, None, Some(kind));
            let lifetime = self.lifetime(labels);
            let sink = self.sink.upgrade();
            ConnectionSeries {
                open: key(HttpMetric::OpenConnections).map(|key| sink.in_progress(key, &lifetime)),
                duration: key(HttpMetric::ConnectionDuration)
                    .map(|key| sink.histogram(key, &lifetime)),
            }
        };
        if let Some(in_row) = self.connections_in_row(series.endpoint, kind, labels, new) {
            return SeriesRef::InRow(in_row);
        }
        let connections = series.endpoint.connections.get_or_init(Box::default);
        let labels = labels.ids;
        SeriesRef::Static(connections.get_or_insert(ConnectionKey { kind, labels }, new))
    }

    pub(super) fn new_in_progress(
        &'static self,
        series: &RequestSeries,
    ) -> Option<InProgressHandle> {
        let (key, lifetime) = self.series(HttpMetric::InProgress, series, None, None)?;
        Some(self.sink.upgrade().in_progress(key, &lifetime))
    }

    pub(super) fn new_aborted(
        &'static self,
        series: &RequestSeries,
        metric: HttpMetric,
        reason: AbortReason,
    ) -> Option<CounterHandle> {
        let (key, lifetime) = self.series(metric, series, None, Some(reason.label()))?;
        Some(self.sink.upgrade().counter(key, &lifetime))
    }

    pub(super) fn new_response_bytes(
        &'static self,
        series: &RequestSeries,
    ) -> Option<CounterHandle> {
        let (key, lifetime) = self.series(HttpMetric::ResponseBytes, series, None, None)?;
        Some(self.sink.upgrade().counter(key, &lifetime))
    }

    pub(super) fn new_recorder(
        &'static self,
        series: &RequestSeries,
        status: Status,
    ) -> CompletionRecorder {
        let sink = self.sink.upgrade();
        let of = |family| self.series(family, series, Some(status), None);
        let counter = |family| {
            let (key, lifetime) = of(family)?;
            Some(sink.counter(key, &lifetime))
        };
        let histogram = |family| {
            let (key, lifetime) = of(family)?;
            Some(sink.histogram(key, &lifetime))
        };
        let requests = counter(HttpMetric::Requests);
        let duration = histogram(HttpMetric::Duration);
        if let (Some(CounterHandle::Registry(requests)), Some(HistogramHandle::Registry(duration))) =
            (&requests, &duration)
            && !(self.settings.measures_more() || series.may_warn)
            && let Some(cells) = RequestCells::of(requests, duration, &self.duration_bounds)
        {
            return CompletionRecorder::Ordinary(cells);
        }
        let responses = status.is_response().then(|| counter(HttpMetric::Responses));
        CompletionRecorder::Other(Box::new(Handles {
            requests,
            responses: responses.flatten(),
            duration,
            head_duration: histogram(HttpMetric::HeadDuration),
            response_size: histogram(HttpMetric::ResponseBodySize),
            request_body_size: histogram(HttpMetric::RequestBodySize),
            request_body_duration: histogram(HttpMetric::RequestBodyDuration),
        }))
    }

    /// The key and the lifetime of a series; `None` if the family is not measured. `extra` is the value of the label that
    /// only this family has.
    fn series(
        &'static self,
        family: HttpMetric,
        series: &RequestSeries,
        status: Option<Status>,
        extra: Option<&'static str>,
    ) -> Option<(Key, Lifetime)> {
        self.name(family)?;
        let labels = self.labels_of(family, &series.labels);
        let key = self.key(family, series, &labels, status, extra)?;
        Some((key, self.lifetime(&labels)))
    }

    /// The name of the first measured family, which identifies the layer in warnings.
    pub(super) fn main_name(&self) -> &str {
        let first = self.names.iter().flatten().next();
        first.map_or("no family", String::as_str)
    }

    pub(super) fn name(&self, family: HttpMetric) -> Option<&str> {
        self.names[family as usize].as_deref()
    }

    /// The key of a series. No string is copied except values of rows, because the strings of a layer are leaked with it.
    fn key(
        &'static self,
        family: HttpMetric,
        series: &RequestSeries,
        labels: &SeriesLabels,
        status: Option<Status>,
        extra: Option<&'static str>,
    ) -> Option<Key> {
        let name = self.name(family)?;
        let settings = &self.settings;
        let naming = &settings.naming;
        let of_status =
            |value: &dyn Fn(Status) -> Cow<'static, str>| status.map_or("".into(), value);
        let value = |source| match source {
            LabelSource::Method => {
                let method = series.method.label(naming.other_method, &settings.methods);
                Cow::Borrowed(method)
            }
            LabelSource::Endpoint => series.endpoint.name.into(),
            LabelSource::Custom(i) => match self.custom.value(i, labels.ids) {
                CustomValue::Name(name) => name.into(),
                CustomValue::InRow(index) => labels
                    .open()
                    .nth(index)
                    .unwrap_or_default()
                    .to_owned()
                    .into(),
            },
            LabelSource::Status => of_status(&|status| naming.status_value(status)),
            LabelSource::ErrorKind => of_status(&|status| settings.kind_of(status).into()),
            LabelSource::ErrorType => of_status(&|status| settings.error_type(status)),
        };
        let constants = &self.settings.options.constant_labels;
        let sources = &self.label_sources[family as usize];
        let mut pairs = Vec::with_capacity(sources.len() + 1 + constants.len());
        pairs.extend(
            sources
                .iter()
                .map(|source| Label::new(self.settings.label_name(*source), value(*source))),
        );
        let extra = family.extra_label().zip(extra);
        pairs.extend(extra.map(|(name, value)| Label::from_static_parts(name, value)));
        pairs.extend(
            constants
                .iter()
                .map(|(name, value)| Label::from_static_parts(name, value)),
        );
        Some(Key::from_parts(name, pairs))
    }
}
