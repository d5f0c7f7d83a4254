//! [`HttpLabel`]: a custom label of an HTTP or gRPC layer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::Errors;
use crate::http::config::closure::Closure;
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::labels::outcome::RequestOutcome;
use crate::model::description::LabelDescription;
use crate::sink::overflow::OVERFLOW;

type RequestValue = dyn for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;
type ResponseValue = dyn for<'a> Fn(ResponseHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;
type OutcomeValue = dyn for<'a> Fn(RequestOutcome<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// A custom label of an HTTP or gRPC layer, with a limited number of values. It is read from the request, from the
/// response head, or, only for HTTP layers, when the request ends.
///
/// If clients choose the value, as in a header, they can exhaust the limit: the values seen first are kept, and all others
/// are recorded as `overflow`. List the values with [`values`](Self::values) if they are known. Without an [idle
/// timeout](Self::max_values), values are kept until the process ends.
///
/// By default, only the counters of requests and responses, or of gRPC calls that ended, have the label.
/// [`on_histograms`](Self::on_histograms) adds it to durations, and on HTTP layers to sizes;
/// [`on_everything`](Self::on_everything) adds it to all metrics of the layer. With the presets of OpenTelemetry, these
/// counters are off: a label needs `on_histograms`, `on_everything` or a counter that `measure` turns on. Otherwise,
/// [`build`](crate::HttpMetrics::build) returns an error.
///
/// ```
/// use tower_prometheus::http::HttpLabel;
/// use tower_prometheus::{HttpMetrics, Registry};
///
/// let layer = HttpMetrics::server()
///     .label(HttpLabel::from_request("client", |request| request.header("x-client")).max_values(20))
///     .label(HttpLabel::from_response("cache", |response| response.header("x-cache")).values(["hit", "miss"]))
///     .build(&Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// | the function returns | label value |
/// |---|---|
/// | `None` or an empty string | the empty string, because all series of a metric have the same labels |
/// | one of [`values`](Self::values), or one of the first [`max_values`](Self::max_values) | that value |
/// | any other value, or one longer than 1024 bytes | `overflow`; increments `metrics_label_overflow_total`, and logs a warning the first time |
///
/// The function runs for every request, so it must be fast and must not block or panic.
///
/// Two layers on the same registry, with a label of the same name:
///
/// | the second layer has | series | limit |
/// |---|---|---|
/// | the same configuration: the label is a clone, or the same line of code creates it and its function captures nothing | the same | one for both layers |
/// | a closure that captures a value, or another configuration | the same: both layers record into them | one for each layer, so together up to twice as many values are exported |
#[derive(Clone, PartialEq)]
#[must_use = "a label does nothing until it is added to a layer"]
pub struct HttpLabel {
    pub(crate) name: String,
    from_request: Option<Closure<RequestValue>>,
    from_response: Option<Closure<ResponseValue>>,
    from_outcome: Option<Closure<OutcomeValue>>,
    pub(crate) values: AllowedValues,
    /// Values that differ only in ASCII case are one value, in lower case.
    pub(crate) ignores_case: bool,
    pub(crate) on: On,
    /// Whether the label belongs to a preset, so that users cannot change its values.
    pub(crate) is_preset: bool,
}

/// The allowed values of a label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AllowedValues {
    Listed(Vec<String>),
    AtMost(usize),
}

impl AllowedValues {
    /// The values that are known at start-up.
    pub(crate) fn listed(&self) -> Option<&[String]> {
        match self {
            Self::Listed(values) => Some(values),
            Self::AtMost(_) => None,
        }
    }

    /// The maximum number of values, if they are not listed.
    pub(crate) fn limit(&self) -> Option<usize> {
        match self {
            Self::Listed(_) => None,
            Self::AtMost(limit) => Some(*limit),
        }
    }
}

/// The metrics that have a label. Ordered: each variant includes the metrics of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Requests,
    Histograms,
    Everything,
}

/// The maximum number of custom labels of a layer.
pub(crate) const MAX_LABELS: usize = 8;

impl HttpLabel {
    const MAX_VALUES: usize = 50;

    /// Creates a label that is read from the request. The function returns a borrowed value.
    ///
    /// If the value comes from a place of which the borrow checker knows no lifetime, or is computed, use
    /// [`from_request_owned`](Self::from_request_owned).
    pub fn from_request<F>(name: impl Into<String>, value: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        let mut label = Self::new(name.into());
        label.from_request = Some(Closure::of::<F>(Arc::new(move |request| {
            value(request).map(Cow::Borrowed)
        })));
        label
    }

    /// Creates a label with the [host](RequestHead::host) of the request, in lower case and without the port.
    ///
    /// It has the limit of any label: 50 values, unless [`max_values`](Self::max_values) sets another. The label `host` of
    /// [`HttpMetrics::client`](crate::HttpMetrics::client) has 100, which cannot be changed.
    ///
    /// Around tonic's `Channel`, the host is empty; see [`port`](Self::port).
    ///
    /// Clients choose the `host` header: on a server, list your hosts with [`values`](Self::values).
    pub fn host(name: impl Into<String>) -> Self {
        Self::from_request(name, |request| request.host()).ignore_case()
    }

    /// Creates a label with the [port](RequestHead::port) that the URI or the `host` header names, not the one that the
    /// server listens on.
    ///
    /// It is empty if none is named, as is usual for the default port of a scheme. `server_port` of
    /// [`open_telemetry_client`](crate::HttpMetrics::open_telemetry_client) is then 80 or 443, by the scheme of the URI;
    /// without a scheme, it is empty.
    ///
    /// Around tonic's `Channel`, both the host and the port are empty, because the channel adds them to the URI inside
    /// the layer. They are set if the client is created with its origin:
    ///
    /// | client | with the origin |
    /// |---|---|
    /// | without an interceptor | `GreeterClient::with_origin(measured, origin)` |
    /// | with an interceptor | `GreeterClient::with_origin(InterceptedService::new(measured, interceptor), origin)` |
    ///
    /// Clients choose the port: on a server, list your ports with [`values`](Self::values). To tell the listeners of a
    /// process apart, give the layer of each one a [`constant_label`](crate::HttpMetrics::constant_label) of the same name
    /// with another value.
    pub fn port(name: impl Into<String>) -> Self {
        Self::from_request(name, |request| request.port_text())
    }

    /// Creates a label that is computed from the request, such as a value converted to lower case.
    ///
    /// The function allocates a string for each request. [`from_request`](Self::from_request) needs no
    /// allocation.
    pub fn from_request_owned<F>(name: impl Into<String>, value: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    {
        let mut label = Self::new(name.into());
        label.from_request = Some(Closure::of::<F>(Arc::new(move |request| {
            value(request).map(Cow::Owned)
        })));
        label
    }

    /// Creates a label that is read from the response head. The function returns a borrowed value.
    ///
    /// Without a response, the value is the empty string.
    pub fn from_response<F>(name: impl Into<String>, value: F) -> Self
    where
        F: for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        Self::new(name.into()).or_from_response(value)
    }

    /// Creates a label that is computed from the response head, such as a value converted to lower case.
    ///
    /// Without a response, the value is the empty string.
    pub fn from_response_owned<F>(name: impl Into<String>, value: F) -> Self
    where
        F: Fn(ResponseHead<'_>) -> Option<String> + Send + Sync + 'static,
    {
        let mut label = Self::new(name.into());
        label.from_response = Some(Closure::of::<F>(Arc::new(move |response| {
            value(response).map(Cow::Owned)
        })));
        label
    }

    /// Creates a label that is read when the request ends: from the trailers of the response, or from how the request
    /// ended.
    ///
    /// Only for HTTP layers: [`GrpcMetrics::build`](crate::GrpcMetrics::build) returns an error. To label gRPC calls by a
    /// trailer, put an [`HttpMetrics`](crate::HttpMetrics) layer around the same service. Around a tonic server it sees no
    /// routes: name the methods, `route_patterns(["/shop.Orders/Place"])`.
    ///
    /// The function also runs for requests without a response. If
    /// [`or_from_response`](Self::or_from_response) is added, a value of this function replaces the one from the response.
    ///
    /// ```
    /// use tower_prometheus::http::HttpLabel;
    ///
    /// let checksum = HttpLabel::from_outcome("checksum", |outcome| {
    ///     outcome.trailer("x-checksum").map(|_| "sent")
    /// });
    /// let result = HttpLabel::from_outcome("result", |outcome| {
    ///     let is_success = outcome.is_complete() && outcome.status().is_some_and(|status| status.is_success());
    ///     Some(if is_success { "ok" } else { "failed" })
    /// })
    /// .values(["ok", "failed"]);
    /// # let _ = (checksum, result);
    /// ```
    pub fn from_outcome<F>(name: impl Into<String>, value: F) -> Self
    where
        F: for<'a> Fn(RequestOutcome<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        let mut label = Self::new(name.into());
        label.from_outcome = Some(Closure::of::<F>(Arc::new(move |outcome| {
            value(outcome).map(Cow::Borrowed)
        })));
        label
    }

    fn new(name: String) -> Self {
        Self {
            name,
            from_request: None,
            from_response: None,
            from_outcome: None,
            values: AllowedValues::AtMost(Self::MAX_VALUES),
            ignores_case: false,
            on: On::Requests,
            is_preset: false,
        }
    }

    /// Adds a function of the response head. If it returns a value, that value replaces the one from the
    /// request. A value from the [outcome](Self::from_outcome) replaces both. The label then no longer reads the request
    /// alone, so [`on_everything`](Self::on_everything) is not possible.
    pub fn or_from_response<F>(mut self, value: F) -> Self
    where
        F: for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        self.from_response = Some(Closure::of::<F>(Arc::new(move |response| {
            value(response).map(Cow::Borrowed)
        })));
        self
    }

    /// Allows only these values, 1 to 10,000. All others are recorded as `overflow`.
    ///
    /// Replaces [`max_values`](Self::max_values).
    ///
    /// [Preregistered](crate::HttpMetrics::preregister) routes are exported with each of them.
    pub fn values<V: Into<String>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.values = AllowedValues::Listed(values.into_iter().map(V::into).collect());
        self.in_lower_case()
    }

    /// Sets the maximum number of values, 1 to 10,000. The default is 50.
    ///
    /// The values seen first are kept; further ones are recorded as `overflow`. If clients choose the values, they can use
    /// up the limit: list known values with [`values`](Self::values) instead.
    /// [`preregister`](crate::HttpMetrics::preregister) needs listed values.
    ///
    /// A value is kept until the process ends, or, if the registry has an
    /// [idle timeout](crate::RegistryBuilder::idle_timeout), until all its series of this layer have left the page:
    ///
    /// | | effect |
    /// |---|---|
    /// | its place | is free for another value. A value that was `overflow` gets its name with its next request |
    /// | its memory, with the text of the label | is reused |
    /// | a request or call of the value that is still in progress | ends in the series of the value |
    /// | a thread that has sent requests of the value and is idle now | keeps its memory until it handles new values |
    /// | a value that never gets a series, because the response adds another value or is marked [`SkipMetrics`](crate::http::SkipMetrics) | is forgotten when the limit is reached, at the latest after twice the shortest timeout of the registry |
    ///
    /// A request with such a value then costs about 0.1 µs more. Requests without one cost the same.
    ///
    /// Replaces [`values`](Self::values).
    pub fn max_values(mut self, values: usize) -> Self {
        self.values = AllowedValues::AtMost(values);
        self
    }

    /// Treats values that differ only in the case of ASCII letters as one value, which is exported in lower case.
    ///
    /// No request allocates for it.
    pub fn ignore_case(mut self) -> Self {
        self.ignores_case = true;
        self.in_lower_case()
    }

    /// Converts the listed values to lower case, if case is ignored.
    fn in_lower_case(mut self) -> Self {
        if let (true, AllowedValues::Listed(values)) = (self.ignores_case, &mut self.values) {
            values
                .iter_mut()
                .for_each(|value| value.make_ascii_lowercase());
        }
        self
    }

    /// Adds the label to durations, and on HTTP layers to sizes, in addition to the counters.
    ///
    /// | layer | the label is on |
    /// |---|---|
    /// | HTTP | counters of requests and responses, durations, sizes; bytes of response bodies. Not on requests in progress, aborted bodies, connections and their lifetimes |
    /// | HTTP, read [from the outcome](Self::from_outcome) | the same without bytes of response bodies, which are counted before the outcome is known |
    /// | gRPC | the counter of calls that ended, and their durations; not on sizes |
    ///
    /// Each value then adds bounds + 3 series to each histogram.
    ///
    /// A label must be on at least one metric that is on. With the presets of OpenTelemetry, which turn the counters
    /// off, it needs `on_histograms` or [`on_everything`](Self::on_everything), or the counter must be on:
    /// `measure(HttpMetric::Requests)` or `measure(GrpcMetric::Handled)`.
    pub fn on_histograms(mut self) -> Self {
        self.on = On::Histograms;
        self
    }

    /// Adds the label to all metrics of an HTTP or gRPC layer, also to requests in progress, aborted bodies and open
    /// connections. `metrics_label_overflow_total` never has it.
    ///
    /// These metrics include those of [`on_histograms`](Self::on_histograms). If both are called, the last call replaces
    /// the first: `on_everything().on_histograms()` is the same as `on_histograms()`.
    ///
    /// Only for labels that are read from the request alone, because the in-progress gauge is incremented before there
    /// is a response. For other labels, [`build`](crate::HttpMetrics::build) returns an error.
    pub fn on_everything(mut self) -> Self {
        self.on = On::Everything;
        self
    }

    pub(crate) fn preset(mut self) -> Self {
        self.is_preset = true;
        self
    }

    /// Adds an error for each setting that is not allowed.
    fn check(&self, errors: &mut Errors) {
        const MAX_VALUES: usize = 10_000;
        let name = &self.name;
        let (what, values) = match &self.values {
            AllowedValues::Listed(values) => {
                (format!("number of values of label {name:?}"), values.len())
            }
            AllowedValues::AtMost(values) => (format!("max_values of label {name:?}"), *values),
        };
        errors.add_range(what, values, 1..=MAX_VALUES);
        if self.on == On::Everything && (self.reads_response() || self.reads_outcome()) {
            errors.push(format!(
                "label {name:?}: on_everything is only for labels that are read from the request alone; use \
                 on_histograms"
            ));
        }
    }

    /// Adds the values to the description of this label.
    pub(crate) fn describe(&self, label: LabelDescription) -> LabelDescription {
        let label = label.fallback("");
        let Some(values) = self.values.listed() else {
            return label;
        };
        let values = values.iter().map(|value| value.clone().into());
        label.values::<Cow<'static, str>>(values.chain(["".into(), OVERFLOW.into()]))
    }

    pub(crate) fn of_request<'a>(&self, request: RequestHead<'a>) -> Option<Cow<'a, str>> {
        (self.from_request.as_ref()?.get())(request)
    }

    pub(crate) fn of_response<'a>(&self, response: ResponseHead<'a>) -> Option<Cow<'a, str>> {
        (self.from_response.as_ref()?.get())(response)
    }

    pub(crate) fn of_outcome<'a>(&self, outcome: RequestOutcome<'a>) -> Option<Cow<'a, str>> {
        (self.from_outcome.as_ref()?.get())(outcome)
    }

    pub(crate) fn reads_response(&self) -> bool {
        self.from_response.is_some()
    }

    pub(crate) fn reads_outcome(&self) -> bool {
        self.from_outcome.is_some()
    }
}

/// Adds an error for each setting of the custom labels of a layer that is not allowed.
///
/// `is_used` returns whether a measured metric has the label with this index. `counters` is the start of the reason if
/// no metric has it, such as "GrpcMetric::Handled is"; the message adds "off".
pub(crate) fn check_labels(
    labels: &[HttpLabel],
    is_used: impl Fn(usize) -> bool,
    counters: &str,
    errors: &mut Errors,
) {
    if labels.len() > MAX_LABELS {
        errors.push(format!(
            "too many custom labels: at most {MAX_LABELS} are allowed, got {}",
            labels.len()
        ));
    }
    for (i, label) in labels.iter().enumerate() {
        label.check(errors);
        if !is_used(i) {
            errors.push(format!(
                "label {:?} is on no metric: {counters} off; use on_histograms",
                label.name
            ));
        }
    }
}

impl fmt::Debug for HttpLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLabel")
            .field("name", &self.name)
            .field("values", &self.values)
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}
