//! [`HttpMetrics`]: the configuration of an HTTP layer.

use http::StatusCode;
use std::fmt;

use crate::error::{Error, Errors};
use crate::http::config::endpoint_source::{EndpointFunction, Patterns};
use crate::http::config::http_label::HttpLabel;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::kept_parameter::KeptParameter;
use crate::http::config::naming::Naming;
use crate::http::config::preset_labels;
use crate::http::config::settings::{ExemplarOf, HttpSettings, MeasureUntil, Route};
use crate::http::config::standard_label::StandardLabel;
use crate::http::labels::error_kind::ErrorKind;
use crate::http::labels::head::RequestHead;
use crate::http::labels::method::Method;
use crate::model::bounds::Buckets;
use crate::model::description::FamilyDescription;
use crate::model::layer::LayerDescription;
use crate::model::trace::TraceId;
use crate::registry::Registry;

/// The configuration of an HTTP metrics layer: its metrics, names, labels, buckets and endpoints.
///
/// [`build`](Self::build) checks it and returns an [`HttpMetricsLayer`](crate::HttpMetricsLayer).
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry};
///
/// let registry = Registry::new();
/// let layer = HttpMetrics::server()
///     .prefix("shop")
///     .constant_label("zone", "eu")
///     .duration_buckets([0.01, 0.1, 1.0])
///     .skip(["/internal/health"])
///     .build(&registry)?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// Some settings can be called more than once:
///
/// | setting | a second call |
/// |---|---|
/// | [`label`](Self::label), [`constant_label`](Self::constant_label) | adds; a label name that is used twice is an error of `build` |
/// | [`without_label`](Self::without_label), [`methods`](Self::methods), [`skip`](Self::skip), [`preregister`](Self::preregister), [`error_kinds`](Self::error_kinds) | adds |
/// | [`measure`](Self::measure), [`without`](Self::without), [`standard_labels`](Self::standard_labels), [`help`](Self::help) | adds; for the same metric, replaces |
/// | [`keep_parameter`](Self::keep_parameter) | adds; for the same parameter, is ignored |
/// | [`endpoint`](Self::endpoint), [`endpoint_fn`](Self::endpoint_fn) | replaces: they are one setting |
/// | [`prefix`](Self::prefix), [`naming`](Self::naming), [`enabled`](Self::enabled), [`duration_buckets`](Self::duration_buckets), [`size_buckets`](Self::size_buckets), [`connection_buckets`](Self::connection_buckets), [`measure_until`](Self::measure_until), [`route_patterns`](Self::route_patterns), [`max_endpoints`](Self::max_endpoints), [`exemplar`](Self::exemplar) | replaces |
/// | [`status_on_durations`](Self::status_on_durations), [`status_classes`](Self::status_classes), [`https`](Self::https) | is ignored |
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is built from it"]
pub struct HttpMetrics {
    pub(super) settings: HttpSettings,
    /// Invalid arguments, reported by [`build`](Self::build) together with all other errors.
    mistakes: Vec<String>,
}

impl HttpMetrics {
    /// Creates the default configuration for servers, with the names of [`Naming::classic`].
    ///
    /// See [`HttpMetric`] for the metrics that are on by default.
    pub fn server() -> Self {
        Self {
            settings: HttpSettings::server(),
            mistakes: Vec::new(),
        }
    }

    /// Prepends `prefix` and an underscore to the names of all metrics of this layer, except
    /// `metrics_label_overflow_total`.
    ///
    /// If the prefix ends with an underscore, no other one is added. By default, names have no prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.options.prefix = Some(prefix.into());
        self
    }

    /// Adds a label with a fixed value to all metrics of this layer, except `metrics_label_overflow_total`.
    ///
    /// Layers of one registry may have different values of the label. If they share a metric, all of them need it. The
    /// name of another label of the layer, such as `host` of [`client`](Self::client), is an error of
    /// [`build`](Self::build).
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.options.constant_labels.push(label);
        self
    }

    /// Adds a custom label.
    ///
    /// Each label has a limit, but their combinations have none: choose limits whose product you can store.
    ///
    /// By default, only the counters of requests and responses have the label. If both are off, as in the presets of
    /// OpenTelemetry, the label needs [`on_histograms`](HttpLabel::on_histograms),
    /// [`on_everything`](HttpLabel::on_everything) or a counter that [`measure`](Self::measure) turns on. Otherwise,
    /// [`build`](Self::build) returns an error.
    ///
    /// A layer can have 8 custom labels. These include those of the presets: one of [`client`](Self::client) (`host`),
    /// two of [`open_telemetry`](Self::open_telemetry) (`url_scheme` and `network_protocol_version`) and three of
    /// [`open_telemetry_client`](Self::open_telemetry_client).
    pub fn label(mut self, label: HttpLabel) -> Self {
        self.settings.labels.push(label);
        self
    }

    /// Leaves a standard label out of all metrics, except those whose labels
    /// [`standard_labels`](Self::standard_labels) sets.
    ///
    /// Requests that differ only in this label then share their series.
    ///
    /// ```
    /// use tower_prometheus::http::StandardLabel;
    /// use tower_prometheus::{HttpMetrics, Registry};
    ///
    /// let layer = HttpMetrics::server()
    ///     .without_label(StandardLabel::Method)
    ///     .build(&Registry::new())?; // http_requests_total{endpoint,status}
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn without_label(mut self, label: StandardLabel) -> Self {
        self.settings.left_out.push(label);
        self
    }

    /// Sets the standard labels of one metric, in place of its default ones. Custom labels are not changed.
    ///
    /// Takes precedence over [`without_label`](Self::without_label), and over the status that a preset or
    /// [`status_on_durations`](Self::status_on_durations) adds. List every label that you want:
    /// `standard_labels(HttpMetric::Duration, [StandardLabel::Endpoint, StandardLabel::Method])` removes the status
    /// from the durations of [`axum_prometheus`](Self::axum_prometheus).
    ///
    /// [`build`](Self::build) returns an error for a label that the metric cannot have:
    ///
    /// | label | not on |
    /// |---|---|
    /// | status | in progress, aborted bodies, response bytes, connections: they are recorded before the status is known, or without it |
    /// | method | open connections and their durations |
    ///
    /// ```
    /// use tower_prometheus::http::{HttpMetric, StandardLabel};
    /// use tower_prometheus::{HttpMetrics, Registry};
    ///
    /// let layer = HttpMetrics::server()
    ///     .standard_labels(HttpMetric::Requests, []) // http_requests_total
    ///     .standard_labels(HttpMetric::Responses, [StandardLabel::Status]) // http_responses_total{status}
    ///     .measure(HttpMetric::Responses)
    ///     .build(&Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn standard_labels(
        mut self,
        metric: HttpMetric,
        labels: impl IntoIterator<Item = StandardLabel>,
    ) -> Self {
        let labels = (metric, labels.into_iter().collect());
        self.settings.label_sets.push(labels);
        self
    }

    /// Sets the HELP text of a metric.
    pub fn help(mut self, metric: HttpMetric, text: impl Into<String>) -> Self {
        self.settings.helps.push((metric, text.into()));
        self
    }

    /// Records these methods by their names, instead of `OTHER`. At most 50, beside the ten standard ones.
    ///
    /// The ten standard methods are always recorded by their names: GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS,
    /// TRACE, PATCH and QUERY.
    ///
    /// For WebDAV: `methods(["PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK"])`. Methods are
    /// compared exactly: `propfind` is another method. An invalid method is an error of [`build`](Self::build).
    /// Repeated calls add methods.
    pub fn methods<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        for method in methods {
            let name = method.as_ref();
            match http::Method::from_bytes(name.as_bytes()) {
                Ok(method) if Method::among(&method, &self.settings.methods) == Method::OTHER => {
                    self.settings.methods.push(method);
                }
                Ok(_) => {}
                Err(_) => self.mistakes.push(format!(
                    "methods: {name:?} is not an HTTP method; a method is a token such as \"PROPFIND\""
                )),
            }
        }
        self
    }

    /// Turns the layer on or off. A layer that is off passes all requests through and registers no metrics. It is on by
    /// default.
    ///
    /// For a layer that the configuration of a service turns off: the types do not change, as they would with an
    /// optional layer.
    ///
    /// [`build`](Self::build) checks the configuration of a layer that is off as usual, but registers nothing and compares
    /// nothing with the registry. The same applies to [`build_global`](Self::build_global).
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.settings.enabled = enabled;
        self
    }

    /// Sets the upper bounds of the duration histograms, in seconds.
    ///
    /// The default is the registry's: [`buckets::DEFAULT`](crate::buckets::DEFAULT), 11 bounds from 0.005 to 10 s,
    /// unless the [builder](crate::RegistryBuilder::buckets) of the registry sets others. The presets of OpenTelemetry
    /// have 14 bounds from 0.005 to 10 s.
    ///
    /// All endpoints of a layer share the bounds. For other bounds on some routes, add a layer with another
    /// [`prefix`](Self::prefix) to these routes, and exclude them from the first layer with [`skip`](Self::skip).
    /// Without another prefix, `build` returns an error, because one metric cannot have two sets of bounds.
    ///
    /// Durations above the last bound are only in the bucket `+Inf`, so a
    /// quantile is never above 10 s with the default. If responses take longer, as streams of a language model do, set
    /// the defaults and higher bounds. The call replaces the defaults:
    ///
    /// ```
    /// use tower_prometheus::{HttpMetrics, Registry, buckets};
    ///
    /// let layer = HttpMetrics::server()
    ///     .duration_buckets([&buckets::DEFAULT[..], &[30.0, 60.0, 120.0]].concat())
    ///     .build(&Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// A response that a timeout cuts off takes a little longer than the timeout. If streams are cut off at 60 s, set a
    /// bound above it, such as 75. This applies to streams that are measured to their last byte: plain streamed bodies,
    /// event streams in response to another method than GET, and those marked
    /// [`FiniteStream`](crate::http::FiniteStream). The duration of a [GET event stream](crate#glossary) ends at its
    /// response head; its lifetime is in `http_connection_duration_seconds`, if
    /// [`HttpMetric::ConnectionDuration`] is on.
    ///
    /// The bounds apply to durations, head durations and request body durations. Lifetimes of connections have
    /// [`connection_buckets`](Self::connection_buckets).
    ///
    /// Bounds must be finite and increasing; `+Inf` is added. A recorder of another crate sets its own
    /// buckets: for it, this setting is ignored with a warning.
    pub fn duration_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.options.duration_buckets = Some(bounds.into());
        self
    }

    /// Sets the upper bounds of the size histograms, in bytes. The default is the powers of 4 from 256 B to
    /// 64 MiB.
    ///
    /// Bounds must be finite and increasing; `+Inf` is added. If no size is measured, [`build`](Self::build) returns an
    /// error. A recorder of another crate sets its own buckets: for it, this setting is ignored with a warning.
    pub fn size_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.size_buckets = Some(bounds.into());
        self
    }

    /// Sets the upper bounds of the lifetimes of connections, in seconds. The defaults are 1, 5, 15, 60, 300, 900, 3600
    /// (1 h), 10,800 (3 h), 21,600 (6 h), 43,200 (12 h) and 86,400 (1 day).
    ///
    /// If streams are cut off at 60 s, most lifetimes are a little above 60 and in the bucket up to 300, so quantiles
    /// are far too high. Set bounds on both sides, such as 55 and 65. The call replaces the defaults.
    ///
    /// Needs [`HttpMetric::ConnectionDuration`]. Bounds must be finite and increasing; `+Inf` is added. A recorder of
    /// another crate sets its own buckets: for it, this setting is ignored with a warning.
    pub fn connection_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.connection_buckets = Some(bounds.into());
        self
    }

    /// Sets where the duration of a request ends. The default is [`MeasureUntil::BodyEnd`].
    pub fn measure_until(mut self, end: MeasureUntil) -> Self {
        self.settings.measure_until = end;
        self
    }

    /// Adds the status label to durations and sizes. It is on `http_requests_total` only by default.
    ///
    /// Each status then adds a series per bucket of each histogram.
    /// [`status_classes`](Self::status_classes) limits them.
    pub fn status_on_durations(mut self) -> Self {
        self.settings.status_on_durations = true;
        self
    }

    /// Records the status class, such as `2xx`, instead of the status code.
    ///
    /// The status of requests without a response (`error`, `cancelled` and `panicked`) stays the same.
    pub fn status_classes(mut self) -> Self {
        self.settings.status_classes = true;
        self
    }

    /// Turns on a metric.
    ///
    /// [`HttpMetric`] lists those that are off by default. The metrics of request bodies also need
    /// [`with_request_body`](Self::with_request_body), which turns them on.
    pub fn measure(mut self, family: HttpMetric) -> Self {
        self.settings.measured[family as usize] = true;
        self
    }

    /// Turns off a metric: it is neither registered nor recorded.
    pub fn without(mut self, family: HttpMetric) -> Self {
        self.settings.measured[family as usize] = false;
        self
    }

    /// Sets the endpoint to the pattern that the path of the request matches.
    ///
    /// For services without a router, and for requests of a router whose route the layer does not see, such as those
    /// of a `nest_service`: with `route_patterns(["/assets/{*path}"])`, the files of a `ServeDir` at `/assets` have
    /// this endpoint from the start of the request:
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::Router;
    /// use tower_prometheus::{HttpMetrics, Registry};
    /// # let serve_dir = tower::service_fn(async |_: axum::extract::Request| {
    /// #     Ok::<axum::response::Response, std::convert::Infallible>(axum::response::Response::default())
    /// # });
    ///
    /// // `serve_dir` is tower_http::services::ServeDir::new("assets"), for example.
    /// let layer = HttpMetrics::server()
    ///     .route_patterns(["/assets/{*path}"])
    ///     .build(&Registry::new())?;
    /// let app: Router = Router::new().nest_service("/assets", serve_dir).layer(layer);
    /// # let _ = app;
    /// # }
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// Each pattern is a separate endpoint. If no pattern matches, the endpoint is `unmatched`; for clients and with
    /// OpenTelemetry's names, it is empty. All other
    /// [sources of the endpoint](crate::http::Endpoint#how-the-endpoint-is-determined) take precedence.
    ///
    /// | for | use |
    /// |---|---|
    /// | a service with routes, such as a router in a `nest_service` | the full template of each route: `["/v1/users", "/v1/users/{id}"]`. `/v1/{*path}` would be one endpoint for all of them |
    /// | `/files` and `/files/`, which `/files/{*path}` does not match | three endpoints: `["/files", "/files/", "/files/{*path}"]`. Below a `nest_service("/files", …)`, `/files` and `/files/` have axum's route, whatever the patterns |
    /// | one name for all files and the index page | [`EndpointLayer::named`](crate::http::EndpointLayer::named) |
    ///
    /// Add the layer to the outermost router: a layer on a router that is nested with `nest` or `nest_service` gets the
    /// path without the prefix.
    ///
    /// If a pattern is invalid or conflicts with another one, [`build`](Self::build) returns an error. A further call
    /// replaces the patterns.
    pub fn route_patterns<P: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Self {
        match Patterns::new(patterns.into_iter().map(P::into).collect()) {
            Ok(patterns) => self.settings.endpoint_source.patterns = Some(patterns),
            Err(error) => self.mistakes.push(error.to_string()),
        }
        self
    }

    /// Sets the endpoint of every request, for a service with only one endpoint.
    ///
    /// An [`Endpoint`](crate::http::Endpoint) extension takes precedence. Replaces
    /// [`endpoint_fn`](Self::endpoint_fn).
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        let endpoint = EndpointFunction::Constant(endpoint.into());
        self.settings.endpoint_source.function = Some(endpoint);
        self
    }

    /// Sets the function that returns the endpoint of a request. It must return a route template, never a path.
    ///
    /// If it returns paths, clients choose the values: the first
    /// [`max_endpoints`](Self::max_endpoints) paths fill the table. Further endpoints, including real routes, are
    /// then recorded as `overflow` until the process restarts.
    ///
    /// If it returns `None`, the next
    /// [source of the endpoint](crate::http::Endpoint#how-the-endpoint-is-determined) decides: the matched route of
    /// axum's router, for example. It runs for every request without an [`Endpoint`](crate::http::Endpoint) extension,
    /// so it must be fast and must not block.
    ///
    /// A later call replaces the earlier one, and [`endpoint`](Self::endpoint) too: put all groups of endpoints into one
    /// function. With this setting or `endpoint`, [`build`](Self::build) does not check the names for [`skip`](Self::skip)
    /// and [`preregister`](Self::preregister).
    ///
    /// Add the layer to the outermost router: on a router that is nested with `nest` or `nest_service`, the function
    /// gets the path without the prefix.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    ///
    /// let metrics = HttpMetrics::server().endpoint_fn(|request| match request.uri().path() {
    ///     "/" => Some("/"),
    ///     path if path.starts_with("/users/") => Some("/users/{id}"),
    ///     _ => None,
    /// });
    /// # let _ = metrics;
    /// ```
    pub fn endpoint_fn(
        mut self,
        endpoint: impl for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        let endpoint = EndpointFunction::closure(endpoint);
        self.settings.endpoint_source.function = Some(endpoint);
        self
    }

    /// Keeps the listed values of a path parameter in the endpoint: with `keep_parameter("region", ["eu", "us"])`,
    /// requests of `/{region}/orders` have the endpoints `/eu/orders` and `/us/orders`; other regions keep
    /// `/{region}/orders`.
    ///
    /// Each endpoint with values counts toward [`max_endpoints`](Self::max_endpoints). It is
    /// [skipped](Self::skip) and [preregistered](Self::preregister) by its own name: `skip(["/{region}/orders"])` skips
    /// only other regions, so list `/eu/orders` and `/us/orders` too.
    ///
    /// - The parameter is a whole segment of the template. A name that no template has is not an error, and has no effect.
    /// - Values are compared exactly with the segment of the path: upper and lower case differ, and percent-encoded
    ///   characters are not decoded.
    /// - Endpoints that a response names are not changed. So it has no effect on responses with an endpoint from an
    ///   [`EndpointLayer`](crate::http::EndpointLayer): let the metrics layer see the route, or use
    ///   [`route_patterns`](Self::route_patterns).
    ///
    /// Call it once for each parameter: of two calls for the same parameter, only the first has an effect.
    ///
    /// If a template ends with a catch-all such as `{*path}`, add the layer to the outermost router. A layer on a
    /// nested router of axum does not see the prefix of the path, and cannot tell the parameter's segment. With the
    /// route `/{region}/{*path}` in a router that is nested at `/api`, the template is `/api/{region}/{*path}`:
    ///
    /// | request | the layer sees | endpoint on the nested router | endpoint on the outermost router |
    /// |---|---|---|---|
    /// | `/api/eu/orders/7` | `/eu/orders/7` | `/api/{region}/{*path}` | `/api/eu/{*path}` |
    pub fn keep_parameter<V: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.settings.kept_parameters.push(KeptParameter {
            name: name.into(),
            values: values.into_iter().map(V::into).collect(),
        });
        self
    }

    /// Records the kind of the inner service's errors, as `error_kind` beside the `status` `error`. With the namings
    /// of OpenTelemetry, the label is `error_type`, beside an empty status.
    ///
    /// `kind` returns the kind of an error; [`ErrorKind::of`] recognizes many of them. It runs only for errors, and it
    /// must not panic. Without this setting, the error can be of any type.
    ///
    /// The parameter of `kind` is exactly the error type of the inner service:
    ///
    /// | inner service | `kind` |
    /// |---|---|
    /// | reqwest, with the adapter of [`client`](Self::client) | `\|error: &reqwest::Error\| ErrorKind::of(error)` |
    /// | tonic's `Channel`; [example](crate::grpc#how-calls-end) | `\|error: &tonic::transport::Error\| ErrorKind::of(error)` |
    /// | with a boxed error, such as tower's `TimeoutLayer` | `\|error: &BoxError\| ErrorKind::of(&**error)` |
    /// | a `Router` of axum, or one of its routes | useless: the error is `Infallible`, so no kind is ever recorded |
    ///
    /// An error of a response body, such as a timeout while `.json()` reads it, has no kind: the request keeps its
    /// status code, and its body is aborted with the reason `error`.
    ///
    /// Call it last, also after [`with_request_body`](Self::with_request_body): the result has only `build` and
    /// `build_global`. They return an `HttpMetricsLayer<ErrorKindFn<F>>`, after `with_request_body` a
    /// `RequestBodyMetricsLayer<ErrorKindFn<F>>`. The type of a closure cannot be written; for a
    /// field of a struct, use a function pointer (second example).
    ///
    /// ```
    /// use tower::{BoxError, Layer};
    /// use tower_prometheus::http::ErrorKind;
    /// use tower_prometheus::{HttpMetrics, Registry};
    ///
    /// let layer = HttpMetrics::client()
    ///     .with_error_kind(|error: &BoxError| ErrorKind::of(&**error))
    ///     .build(&Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// ```
    /// use tower::BoxError;
    /// use tower_prometheus::http::{ErrorKind, ErrorKindFn};
    /// use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry};
    ///
    /// type KindOf = fn(&BoxError) -> ErrorKind;
    ///
    /// struct Upstream {
    ///     metrics: HttpMetricsLayer<ErrorKindFn<KindOf>>,
    /// }
    ///
    /// fn kind(error: &BoxError) -> ErrorKind {
    ///     ErrorKind::of(&**error)
    /// }
    ///
    /// let metrics = HttpMetrics::client()
    ///     .with_error_kind(kind as KindOf)
    ///     .build(&Registry::new())?;
    /// let upstream = Upstream { metrics };
    /// # let _ = upstream.metrics;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn with_error_kind<E, F>(mut self, kind: F) -> WithErrorKind<Self, F>
    where
        F: Fn(&E) -> ErrorKind + Clone,
    {
        self.settings.records_error_kinds = true;
        WithErrorKind { config: self, kind }
    }

    /// Registers kinds of errors that [`with_error_kind`](Self::with_error_kind) may return, in addition to those that
    /// [`ErrorKind`] defines. At most 43. Repeated calls add kinds.
    pub fn error_kinds(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.settings.added_error_kinds.extend(kinds);
        self
    }

    /// Sets `url_scheme` to `https`, instead of `http`, for requests whose URI has no scheme.
    ///
    /// Only for [`open_telemetry`](Self::open_telemetry), which has the label `url_scheme`. Otherwise,
    /// [`build`](Self::build) returns an error.
    pub fn https(mut self) -> Self {
        let labels = &mut self.settings.labels;
        let scheme = labels
            .iter_mut()
            .find(|label| label.name == preset_labels::URL_SCHEME);
        match scheme {
            Some(scheme) => *scheme = preset_labels::url_scheme(true),
            None => self.mistakes.push(
                "https: only for HttpMetrics::open_telemetry(), which has the label url_scheme"
                    .to_owned(),
            ),
        }
        self
    }

    /// Adds the trace of a request to its duration bucket as an exemplar.
    ///
    /// Exemplars are exported in OpenMetrics, and in protobuf to Prometheus 3.0 and later.
    ///
    /// Each bucket keeps the latest exemplar, replaced at most once per second.
    /// [`TraceId::from_traceparent`] reads the trace from the `traceparent` header. Recorders of other crates
    /// discard exemplars.
    ///
    /// The function runs for every request, so it must be fast and must not block.
    pub fn exemplar(
        mut self,
        trace: impl Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync + 'static,
    ) -> Self {
        self.settings.exemplar = Some(ExemplarOf::new(trace));
        self
    }

    /// Excludes endpoints from all metrics, given as full route templates, including the prefix of `nest`:
    /// `/internal/health`. Repeated calls add endpoints.
    ///
    /// [`build`](Self::build) returns an error for a name that cannot be an endpoint:
    ///
    /// | name | result |
    /// |---|---|
    /// | starts with `/` and has no parameter in the syntax of axum 0.7, such as `/:id` or `/*path` | accepted, including `/assets/*`, a common name of an [`EndpointLayer`](crate::http::EndpointLayer::named) |
    /// | `unmatched`, or the word that [`Naming::unmatched`] sets, and `overflow` | accepted |
    /// | any other | an error |
    ///
    /// Names are not checked for clients, and not with [`endpoint_fn`](Self::endpoint_fn) or
    /// [`endpoint`](Self::endpoint). Whether a route with this name exists is never checked.
    ///
    /// A route that is added to an axum router after the metrics layer is not measured either, but the other
    /// layers added before it do not apply to it.
    ///
    /// [`SkipMetrics`](crate::http::SkipMetrics) excludes a single response instead.
    ///
    /// Requests without an endpoint are skipped by `unmatched`, or by the empty string with
    /// [`Naming::client`] and [`Naming::open_telemetry`]; also those whose response would name an endpoint, because
    /// they are skipped when they start.
    pub fn skip<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.settings
            .skip
            .extend(endpoints.into_iter().map(E::into));
        self
    }

    /// Sets the maximum number of endpoints, 1 to 1,000,000. The default is 1000.
    ///
    /// [Preregistered](Self::preregister) endpoints count; those excluded by [`skip`](Self::skip) do not. The endpoints
    /// seen first are kept until the process ends, also if series can
    /// [expire](crate::RegistryBuilder::idle_timeout). Further endpoints, and those longer than 1024 bytes, are recorded as
    /// `overflow`. Each such request increments `metrics_label_overflow_total`; the first one also logs a warning.
    ///
    /// Clients can reach the limit only if endpoints are paths instead of route templates.
    pub fn max_endpoints(mut self, endpoints: usize) -> Self {
        self.settings.max_endpoints = endpoints;
        self
    }

    /// Exports the series of a route as 0 from start-up, with each of these status codes, so that
    /// `increase()` also counts its first request.
    ///
    /// Each call exports these series of the metrics that are on:
    ///
    /// | metric | series |
    /// |---|---|
    /// | requests, responses | one for each status |
    /// | durations, head durations, sizes | one histogram of (bounds + 3) series; with [`status_on_durations`](Self::status_on_durations), one for each status; without statuses, none |
    /// | in progress, response bytes | one |
    /// | aborted bodies, connections | none: `rate` and `increase` miss the first abort of a series |
    ///
    /// - A method that is neither standard nor added with [`methods`](Self::methods) is exported as `OTHER`.
    /// - With [`status_classes`](Self::status_classes), the codes are exported as their classes: 200 and 204 are one
    ///   series, `2xx`. The statuses `error`, `cancelled` and `panicked` cannot be preregistered.
    /// - With custom labels, the metrics that have them are exported with every combination of their listed
    ///   [`values`](HttpLabel::values). To export the empty value (no header, for example) and `overflow` too, list
    ///   `""` and `"overflow"`.
    /// - `endpoint` is the full route template, including the prefix of `nest`: `/api/orders`. It counts towards
    ///   [`max_endpoints`](Self::max_endpoints), once for all its methods. An endpoint that is excluded by
    ///   [`skip`](Self::skip) is not exported.
    /// - A recorder of another crate decides whether it exports the series before the first request.
    ///
    /// [`build`](Self::build) returns an error if
    ///
    /// - a status code is not 100 to 999;
    /// - a custom label has no listed values, such as `host` of [`client`](Self::client): its values are not known at
    ///   start-up;
    /// - the values of the custom labels have more than 10,000 combinations;
    /// - more than `max_endpoints` endpoints are preregistered.
    pub fn preregister(
        mut self,
        method: http::Method,
        endpoint: impl Into<String>,
        statuses: impl IntoIterator<Item = u16>,
    ) -> Self {
        let statuses = statuses.into_iter().map(|code| {
            StatusCode::from_u16(code)
                .map_err(|_| format!("preregister: status codes must be 100 to 999, got {code}"))
        });
        match statuses.collect() {
            Ok(statuses) => self.settings.routes.push(Route {
                method,
                endpoint: endpoint.into(),
                statuses,
            }),
            Err(mistake) => self.mistakes.push(mistake),
        }
        self
    }

    /// Sets the names of metrics and labels. The default of [`server`](Self::server) is [`Naming::classic`].
    pub fn naming(mut self, naming: Naming) -> Self {
        self.settings.naming = naming;
        self
    }

    /// Measures the size and the duration of request bodies, and counts those that are aborted.
    ///
    /// The inner service then gets a `Request<RequestBody<B>>`, with
    /// [`RequestBody`](crate::http::RequestBody). Each request needs two more allocations.
    pub fn with_request_body(self) -> WithRequestBody {
        WithRequestBody(
            HttpMetric::OF_REQUEST_BODIES
                .into_iter()
                .fold(self, Self::measure),
        )
    }

    /// Returns the descriptions of all metrics of a layer with this configuration, by their full names.
    ///
    /// Dashboards, rules and tables can be generated from them. Constant labels are not included.
    ///
    /// Without [`duration_buckets`](Self::duration_buckets), durations have the default buckets of a
    /// registry. If your registry has other ones, use [`families_in`](Self::families_in).
    ///
    /// # Errors
    ///
    /// If the configuration is invalid, as in [`build`](Self::build).
    pub fn families(&self) -> Result<Vec<FamilyDescription>, Error> {
        self.settings()?.describe(|_| Buckets::default())
    }

    /// Like [`families`](Self::families), with the buckets of this registry for histograms without their own, and with
    /// its native histograms.
    ///
    /// # Errors
    ///
    /// The same as [`families`](Self::families).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        let families = self
            .settings()?
            .describe(|name| registry.buckets_of(name))?;
        Ok(families
            .into_iter()
            .map(|family| registry.with_native_buckets(family))
            .collect())
    }

    /// Returns the description of one metric, or `None` if a layer with this configuration does not record
    /// it.
    ///
    /// It equals the entry in [`families`](Self::families). Use it if you know the metric but not its
    /// configured name. Find labels by their [role](FamilyDescription::label_with_role).
    ///
    /// # Errors
    ///
    /// The same as [`families`](Self::families).
    pub fn family(&self, metric: HttpMetric) -> Result<Option<FamilyDescription>, Error> {
        self.settings()?
            .describe_family(metric, |_| Buckets::default())
    }

    /// Returns the definition of a layer with this configuration, as [`Registry::layers`] lists it once the layer is
    /// built.
    ///
    /// # Errors
    ///
    /// The same as [`families`](Self::families).
    pub fn description(&self) -> Result<LayerDescription, Error> {
        self.settings()?.describe_layer(|_| Buckets::default())
    }

    /// The settings, or an error that lists all mistakes.
    pub(crate) fn settings(&self) -> Result<&HttpSettings, Error> {
        self.settings_without(&[])
    }

    /// The settings of a layer that cannot measure `unsupported`, or an error that lists all mistakes.
    pub(crate) fn settings_without(
        &self,
        unsupported: &[HttpMetric],
    ) -> Result<&HttpSettings, Error> {
        let Self { settings, mistakes } = self;
        let mut errors = Errors::default();
        errors.extend(mistakes.iter().map(Error::new));
        settings.check(&mut errors);
        for metric in unsupported {
            if settings.is_measured(*metric) {
                errors.push(format!(
                    "HttpMetric::{metric:?} is on, but this layer does not see request bodies; call \
                     `with_request_body` on the configuration, before `build`"
                ));
            }
        }
        errors.into_result()?;
        Ok(settings)
    }
}

/// The configuration of a layer that also measures request bodies; see [`HttpMetrics::with_request_body`].
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is built from it"]
pub struct WithRequestBody(pub(crate) HttpMetrics);

impl WithRequestBody {
    /// Records the kind of the inner service's errors; see [`HttpMetrics::with_error_kind`].
    pub fn with_error_kind<E, F>(mut self, kind: F) -> WithErrorKind<Self, F>
    where
        F: Fn(&E) -> ErrorKind + Clone,
    {
        self.0.settings.records_error_kinds = true;
        WithErrorKind { config: self, kind }
    }
}

/// The configuration of a layer that records the kinds of errors; see [`HttpMetrics::with_error_kind`].
#[derive(Clone)]
#[must_use = "a configuration does nothing until a layer is built from it"]
pub struct WithErrorKind<C, F> {
    pub(crate) config: C,
    pub(crate) kind: F,
}

impl<C: fmt::Debug, F> fmt::Debug for WithErrorKind<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, kind: _ } = self;
        f.debug_struct("WithErrorKind")
            .field("config", config)
            .finish_non_exhaustive()
    }
}

/// The configuration, with the kinds of errors on.
impl<C: AsRef<HttpMetrics>, F> AsRef<HttpMetrics> for WithErrorKind<C, F> {
    fn as_ref(&self) -> &HttpMetrics {
        self.config.as_ref()
    }
}

impl AsRef<HttpMetrics> for HttpMetrics {
    fn as_ref(&self) -> &HttpMetrics {
        self
    }
}

/// The configuration, with the metrics of request bodies on.
impl AsRef<HttpMetrics> for WithRequestBody {
    fn as_ref(&self) -> &HttpMetrics {
        &self.0
    }
}
