//! Coming from another crate: what becomes what, line by line.
//!
//! # From axum-prometheus
//!
//! The same names, the same labels, the same dashboards:
//!
//! ```diff
//! -use axum_prometheus::PrometheusMetricLayer;
//! +use tower_prometheus::{HttpMetrics, Registry};
//!
//! -let (layer, handle) = PrometheusMetricLayer::pair();
//! +let metrics = Registry::builder().install()?;
//! +let layer = HttpMetrics::axum_prometheus().build(&metrics)?;
//!
//!  let app = Router::new()
//!      .route("/users/{id}", get(user))
//! -    .route("/metrics", get(async move || handle.render()))
//! +    .route_service("/metrics", metrics.handler())
//!      .layer(layer);
//! ```
//!
//! | there | here |
//! |---|---|
//! | `PrometheusMetricLayerBuilder::with_prefix("shop")` | [`Naming::family`](crate::Naming::family) for each name, since that crate replaces `axum` by the prefix |
//! | `with_ignore_patterns(&["/health"])` | [`skip(["/health"])`](crate::HttpMetrics::skip), the whole template, inside `nest` too |
//! | `with_group_patterns_as("/foo", &["/foo/:bar"])` | [`endpoint_by`](crate::HttpMetrics::endpoint_by) |
//! | `enable_response_body_size(true)` | [`measure(HttpMetric::ResponseBodySize)`](crate::HttpMetrics::measure), a histogram of whole bodies |
//! | `EndpointLabel::MatchedPathWithFallbackFn` | [`Endpoint`](crate::Endpoint) or [`endpoint_by`](crate::HttpMetrics::endpoint_by) |
//! | `metrics::counter!` of the application | the same line |
//!
//! What changes: a path that no route matched is `unmatched`, an unknown method `OTHER`; requests that were
//! dropped, failed or panicked are counted; the scrape is not.
//!
//! # From metrics-exporter-prometheus alone
//!
//! ```diff
//! -let handle = PrometheusBuilder::new()
//! -    .set_buckets_for_metric(Matcher::Full("db_seconds".into()), &[0.1, 1.0])?
//! -    .add_global_label("service", "shop")
//! -    .install_recorder()?;
//! +let metrics = Registry::builder()
//! +    .buckets_for("db_seconds", [0.1, 1.0])
//! +    .constant_label("service", "shop")
//! +    .install()?;
//! ```
//!
//! | there | here |
//! |---|---|
//! | `handle.render()` | [`Registry::render`](crate::Registry::render), or [`Registry::handler`](crate::Registry::handler) as a service |
//! | `set_buckets`, `Matcher::Prefix` | [`buckets`](crate::RegistryBuilder::buckets), [`buckets_for_prefix`](crate::RegistryBuilder::buckets_for_prefix) |
//! | a histogram without buckets is a summary | a histogram with Prometheus' default bounds |
//! | `upkeep_timeout`, `run_upkeep` | nothing to do: histograms are aggregated where they are recorded |
//! | `idle_timeout` | nothing: a registry keeps what was once registered |
//! | `with_http_listener` | a server of one's own, or [`Registry::handler`](crate::Registry::handler) in any |
//! | `metrics::describe_counter!` | the same line, before or after the first sample |
//!
//! To keep that exporter, record into it: `HttpMetrics::server().build(Sink::recorder(recorder))`, and serve
//! its page with `MetricsHandler::new(handle)` (feature `exporter`).
//!
//! # From `prometheus`
//!
//! | there | here |
//! |---|---|
//! | `register_int_counter_vec!("orders_total", "Orders taken.", &["kind"])` | `metrics::describe_counter!("orders_total", "Orders taken.")` |
//! | `ORDERS.with_label_values(&["book"]).inc()` | `metrics::counter!("orders_total", "kind" => "book").increment(1)` |
//! | `IntGauge::inc`, `Gauge::set` | `metrics::gauge!("queue_length").increment(1.0)`, `.set(x)` |
//! | `Histogram::observe(x)` | `metrics::histogram!("db_seconds").record(x)` |
//! | `HistogramOpts::buckets(vec![…])` | [`buckets_for("db_seconds", […])`](crate::RegistryBuilder::buckets_for) |
//! | `prometheus::Registry::new_custom(prefix, labels)` | [`Registry::builder`](crate::Registry::builder) with [`constant_label`](crate::RegistryBuilder::constant_label) |
//! | `TextEncoder::new().encode(&prometheus::gather(), …)` | [`Registry::handler`](crate::Registry::handler) |
//! | a middleware of one's own | [`Registry::http_layer`](crate::Registry::http_layer) |
//!
//! A handle kept in a `static` there is kept here too: `metrics::counter!` returns one that can be cloned.
//!
//! # From OpenTelemetry
//!
//! The names, labels and buckets of its HTTP conventions, as they arrive in Prometheus:
//!
//! ```
//! use tower_prometheus::{HttpMetrics, Registry};
//!
//! let layer = HttpMetrics::open_telemetry().https().build(Registry::new())?;
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! | there | here |
//! |---|---|
//! | `http.server.request.duration` | `http_server_request_duration_seconds` |
//! | `http.server.active_requests` | `http_server_active_requests`, without a route, as there |
//! | `http.server.response.body.size` | `http_server_response_body_size_bytes` |
//! | `http.server.request.body.size` | `http_server_request_body_size_bytes`, with [`with_request_body`](crate::HttpMetrics::with_request_body) |
//! | `http.request.method`, other methods | `http_request_method`, `_OTHER` |
//! | `http.response.status_code` | `http_response_status_code`; empty without a response |
//! | `http.route` | `http_route`; empty where no route matched |
//! | `error.type` | `error_type`: the status of a 5xx; `error`, `cancelled` or `panicked` without a response |
//! | `url.scheme` | `url_scheme`: of the URI, else `http`, or `https` if [said](crate::HttpMetrics::https) |
//! | `meter.u64_counter("orders")` | `metrics::counter!("orders_total")` |
//! | exemplars from the span in context | [`exemplar(TraceId::from_traceparent)`](crate::HttpMetrics::exemplar) |
