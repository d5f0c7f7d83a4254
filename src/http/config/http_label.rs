//! [`HttpLabel`]: a custom label of an HTTP layer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::http::labels::head::{RequestHead, ResponseHead};

type RequestValue = dyn for<'a> Fn(RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;
type ResponseValue = dyn for<'a> Fn(ResponseHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// A custom label of an HTTP layer, read from the request or the response, with a limited number of values.
///
/// If clients choose the value, as in a header, they can exhaust the limit: the values seen first are kept
/// until the process ends, and all others are recorded as `overflow`. List the values with
/// [`values`](Self::values) if they are known.
///
/// By default, only `http_requests_total` has the label. [`on_histograms`](Self::on_histograms) adds it to
/// durations and sizes.
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
/// The function runs for every request, so it must be fast and must not block.
///
/// Two layers on the same registry, with a label of the same name:
///
/// | the second layer has | series | limit |
/// |---|---|---|
/// | a clone of the same `HttpLabel` and the same configuration | the same | one for both layers |
/// | a label that was created separately, even with an equal closure (closures are compared by identity), or another configuration | the same: both layers record into them | one for each layer, so together up to twice as many values are exported |
#[derive(Clone)]
#[must_use = "a label does nothing until it is added to a layer"]
pub struct HttpLabel {
    pub(crate) name: String,
    from_request: Option<Arc<RequestValue>>,
    from_response: Option<Arc<ResponseValue>>,
    pub(crate) values: AllowedValues,
    pub(crate) on: On,
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
    pub fn from_request(
        name: impl Into<String>,
        value: impl for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        let mut label = Self::new(name.into());
        label.from_request = Some(Arc::new(move |request| value(request).map(Cow::Borrowed)));
        label
    }

    /// Creates a label that is computed from the request, such as a value converted to lower case.
    ///
    /// The function allocates a string for each request. [`from_request`](Self::from_request) needs no
    /// allocation.
    pub fn from_request_owned(
        name: impl Into<String>,
        value: impl Fn(RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let mut label = Self::new(name.into());
        label.from_request = Some(Arc::new(move |request| value(request).map(Cow::Owned)));
        label
    }

    /// Creates a label that is read from the response head. The function returns a borrowed value.
    ///
    /// Without a response, the value is the empty string.
    pub fn from_response(
        name: impl Into<String>,
        value: impl for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name.into()).or_from_response(value)
    }

    /// Creates a label that is computed from the response head, such as a value converted to lower case.
    ///
    /// Without a response, the value is the empty string.
    pub fn from_response_owned(
        name: impl Into<String>,
        value: impl Fn(ResponseHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let mut label = Self::new(name.into());
        label.from_response = Some(Arc::new(move |response| value(response).map(Cow::Owned)));
        label
    }

    fn new(name: String) -> Self {
        Self {
            name,
            from_request: None,
            from_response: None,
            values: AllowedValues::AtMost(Self::MAX_VALUES),
            on: On::Requests,
        }
    }

    /// Adds a function of the response head. If it returns a value, that value replaces the one from the
    /// request.
    pub fn or_from_response(
        mut self,
        value: impl for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.from_response = Some(Arc::new(move |response| value(response).map(Cow::Borrowed)));
        self
    }

    /// Allows only these values, 1 to 10,000. All others are recorded as `overflow`.
    ///
    /// Replaces [`max_values`](Self::max_values).
    ///
    /// [Preregistered](crate::HttpMetrics::preregister) routes are exported with each of them.
    pub fn values<V: Into<String>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.values = AllowedValues::Listed(values.into_iter().map(V::into).collect());
        self
    }

    /// Sets the maximum number of values, 1 to 10,000. The default is 50.
    ///
    /// The values seen first are kept until the process ends; further ones are recorded as `overflow`. If clients
    /// choose the values, they can use up the limit: list known values with [`values`](Self::values) instead.
    /// [`preregister`](crate::HttpMetrics::preregister) needs listed values.
    ///
    /// Replaces [`values`](Self::values).
    pub fn max_values(mut self, values: usize) -> Self {
        self.values = AllowedValues::AtMost(values);
        self
    }

    /// Adds the label to durations and sizes, in addition to the number of requests.
    ///
    /// Each value then adds a series per bucket of each histogram.
    pub fn on_histograms(mut self) -> Self {
        self.on = On::Histograms;
        self
    }

    /// Adds the label to all metrics. Only for values that depend on the request alone, because the
    /// in-progress gauge is incremented before the response.
    pub(crate) fn on_everything(mut self) -> Self {
        self.on = On::Everything;
        self
    }

    pub(crate) fn of_request<'a>(&self, request: RequestHead<'a>) -> Option<Cow<'a, str>> {
        self.from_request.as_ref().and_then(|value| value(request))
    }

    pub(crate) fn of_response<'a>(&self, response: ResponseHead<'a>) -> Option<Cow<'a, str>> {
        self.from_response
            .as_ref()
            .and_then(|value| value(response))
    }

    pub(crate) fn reads_response(&self) -> bool {
        self.from_response.is_some()
    }
}

/// Closures are compared by identity.
impl PartialEq for HttpLabel {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            name,
            from_request,
            from_response,
            values,
            on,
        } = self;
        *name == other.name
            && *values == other.values
            && *on == other.on
            && is_same_closure(from_request.as_ref(), other.from_request.as_ref())
            && is_same_closure(from_response.as_ref(), other.from_response.as_ref())
    }
}

pub(crate) fn is_same_closure<F: ?Sized>(one: Option<&Arc<F>>, other: Option<&Arc<F>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
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
