//! [`HttpLabel`]: a label of one's own, from a request or a response, with a bound.

use std::fmt;
use std::sync::Arc;

use crate::http::labels::head::{RequestHead, ResponseHead};

type FromRequest = dyn for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync;
type FromResponse = dyn for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync;

/// A label of one's own on `http_requests_total`, and if asked on the durations and sizes.
///
/// ```
/// use tower_prometheus::{HttpMetrics, HttpLabel, Registry};
///
/// let layer = HttpMetrics::server()
///     .label(HttpLabel::from_request("client", |request| request.header("x-client")).max_values(20))
///     .label(HttpLabel::from_response("cache", |response| response.header("x-cache")).values(["hit", "miss"]))
///     .build(&Registry::new())?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// A value that is absent is the empty string, so that every series has the same labels. A value that
/// was not declared, or comes after the cap is reached, is `overflow`; the first of them is warned
/// of, and each is counted in `metrics_label_overflow_total`.
///
/// The function runs for every request: it should only look.
#[derive(Clone)]
#[must_use = "a label does nothing until a layer has it"]
pub struct HttpLabel {
    pub(crate) name: String,
    from_request: Option<Arc<FromRequest>>,
    from_response: Option<Arc<FromResponse>>,
    pub(crate) values: AllowedValues,
    pub(crate) on: On,
}

/// Which values a label may have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AllowedValues {
    Declared(Vec<String>),
    AtMost(usize),
}

/// Which families a label is on, the poorest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Requests,
    Durations,
    Everything,
}

impl HttpLabel {
    const MAX_VALUES: usize = 50;

    /// A label whose value is known when the request arrives.
    pub fn from_request(
        name: impl Into<String>,
        value: impl for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        let mut label = Self::new(name.into());
        label.from_request = Some(Arc::new(value));
        label
    }

    /// A label whose value is known when the response is there; absent if there is none.
    pub fn from_response(
        name: impl Into<String>,
        value: impl for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        let mut label = Self::new(name.into());
        label.from_response = Some(Arc::new(value));
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

    /// Lets the response have the last word about a label of the request.
    pub fn or_from_response(
        mut self,
        value: impl for<'a> Fn(ResponseHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.from_response = Some(Arc::new(value));
        self
    }

    /// The values that it may have. Declared routes start at 0 with each of them.
    pub fn values<V: Into<String>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.values = AllowedValues::Declared(values.into_iter().map(V::into).collect());
        self
    }

    /// How many values it may have, whichever come first; 50 unless said otherwise.
    pub fn max_values(mut self, values: usize) -> Self {
        self.values = AllowedValues::AtMost(values);
        self
    }

    /// Puts it on the durations and sizes too: each value is then as many series as there are buckets.
    pub fn on_histograms(mut self) -> Self {
        self.on = On::Durations;
        self
    }

    /// On every family: only for what is known from the start.
    pub(crate) fn on_everything(mut self) -> Self {
        self.on = On::Everything;
        self
    }

    pub(crate) fn of_request<'a>(&self, request: RequestHead<'a>) -> Option<&'a str> {
        self.from_request.as_ref().and_then(|value| value(request))
    }

    pub(crate) fn of_response<'a>(&self, response: ResponseHead<'a>) -> Option<&'a str> {
        self.from_response
            .as_ref()
            .and_then(|value| value(response))
    }

    pub(crate) fn asks_response(&self) -> bool {
        self.from_response.is_some()
    }
}

/// Whether two labels are one: functions cannot be compared, so the same one is what is the same.
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
            && same(from_request.as_ref(), other.from_request.as_ref())
            && same(from_response.as_ref(), other.from_response.as_ref())
    }
}

pub(crate) fn same<F: ?Sized>(one: Option<&Arc<F>>, other: Option<&Arc<F>>) -> bool {
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
