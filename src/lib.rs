//! Prometheus metrics for axum, tonic, hyper and any other Tower service: a middleware layer and a `/metrics` endpoint.
//!
//! - Each request is counted exactly once, also if the client disconnects, the handler panics or a timeout expires.
//! - Durations include the response body, up to its last frame, so slow streams are visible. Those of long-lived
//!   connections (WebSockets, [GET event streams](#glossary)) end at the response head.
//! - The cardinality of layers and catalogues is limited: endpoints are route templates, and each label has a maximum
//!   number of values. Labels of the `metrics` macros have no limit.
//! - Scrapes are not counted as requests.
//! - Custom metrics are recorded with the macros of the `metrics` crate, or with labels that the compiler checks.
//!
//! # Quick start
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::get};
//! use tower_prometheus::Registry;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Stores the metrics. `install` also makes it the recorder of the `metrics` macros.
//!     let metrics = Registry::builder().constant_label("service", "shop").install()?;
//!
//!     let app = Router::new()
//!         .route("/users/{id}", get(async || "ada"))
//!         .route("/metrics", get(metrics.handler()))
//!         .layer(metrics.http_layer()); // last: it measures the routes added before it
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! After a request to `/users/7`, `/metrics` has lines such as:
//!
//! ```text
//! http_requests_total{endpoint="/users/{id}",method="GET",service="shop",status="200"} 1
//! http_request_duration_seconds_bucket{endpoint="/users/{id}",method="GET",service="shop",le="0.005"} 1
//! http_requests_in_progress{endpoint="/users/{id}",method="GET",service="shop"} 0
//! ```
//!
//! # Where to start
//!
//! | to | see |
//! |---|---|
//! | measure an HTTP service, and configure what is measured | [`HttpMetrics`], [`http`] |
//! | measure an HTTP client | [`HttpMetrics::client`] |
//! | measure a gRPC server or client | [`grpc`] |
//! | serve the metrics page | [`Registry::handler`], [`MetricsHandler`]; on a separate port, `scrape::MetricsServer` (feature `server`) |
//! | record custom metrics with macros | [`Registry`], which is a recorder for the `metrics` crate |
//! | define custom metrics with typed labels | [`custom`], [`catalogue!`] |
//! | count, time and track an operation | [`Operation`] |
//! | measure any other Tower service | [`custom::OperationLayer`] |
//! | read values at scrape time | [`collect`]; for the process and the tokio runtime, [`collectors`] |
//! | record into another exporter | [`Sink`] |
//! | read the metrics as data | [`Registry::gather`], [`snapshot`] |
//! | generate tables or dashboards from the definitions | [`model`] |
//!
//! Guides:
//!
//! | guide | answers |
//! |---|---|
//! | [Layer order](_guide::layer_order) | where does the metrics layer go among timeouts, compression, limits, error handlers and nested routers? |
//! | [Cardinality](_guide::cardinality) | how many series are there, what limits them, and what to do about too many? |
//! | [PromQL](_guide::promql) | which queries return requests, errors, durations and failed scrapes? |
//! | [Securing the page](_guide::securing) | how to protect the metrics page with a separate port, a token, basic authentication or TLS? |
//! | [Shutdown](_guide::shutdown) | how are the last requests scraped, and how do batch jobs push? |
//! | [Kubernetes](_guide::kubernetes) | how do ports, probes, annotations and monitors work together? |
//! | [Dashboards](_guide::dashboards) | how do dashboards get into Grafana, and rules into Prometheus? |
//! | [Recipes](_guide::recipes) | how to measure connection pools (sqlx, deadpool, bb8), queues and the limits of containers, with alerts? |
//! | [Migration](_guide::migration) | what changes when coming from axum-prometheus, metrics-exporter-prometheus, `prometheus`, `prometheus-client` or OpenTelemetry? |
//! | [Testing](_guide::testing) | how to assert metrics in tests, also of async handlers and in parallel? |
//! | [Troubleshooting](_guide::troubleshooting) | why is a metric missing, wrong or surprising? |
//!
//! # HTTP metrics
//!
//! | metric | type | labels | description |
//! |---|---|---|---|
//! | `http_requests_total` | counter | `method`, `endpoint`, `status` | requests, counted when they end |
//! | `http_request_duration_seconds` | histogram | `method`, `endpoint` | from the start of a request to the end of its response body; of an upgrade, a [GET event stream](#glossary) (an event stream marked [`FiniteStream`](http::FiniteStream) is not one) or another [long-lived connection](#how-requests-end), to its response head |
//! | `http_requests_in_progress` | gauge | `method`, `endpoint` | requests that have started and not ended; that of a long-lived connection ends at its response head |
//! | `http_response_bodies_aborted_total` | counter | `method`, `endpoint`, `reason` | response bodies that were not completed |
//! | `http_connections_open` | gauge | `endpoint`, `kind` | open [GET event streams](#glossary) (an event stream marked [`FiniteStream`](http::FiniteStream) is not one), and responses that your handler marks with [`LongLived`](http::LongLived); WebSockets and tunnels only with [`LongLived::guarded`](http::LongLived::guarded) |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | label values replaced by `overflow` |
//!
//! Off by default: the time to the response head, responses by status, sizes of response and request bodies, aborted
//! request bodies, response bytes while they are sent, and lifetimes of connections; see
//! [`HttpMetric`](http::HttpMetric).
//!
//! | label | values |
//! |---|---|
//! | `method` | `GET`, `HEAD`, `POST`, `PUT`, `DELETE`, `CONNECT`, `OPTIONS`, `TRACE`, `PATCH`, `QUERY` and those added with [`methods`](HttpMetrics::methods), at most 50; otherwise `OTHER` |
//! | `endpoint` | the route template, such as `/users/{id}`, never the path; with listed values of a parameter if [`keep_parameter`](HttpMetrics::keep_parameter) is set, such as `/eu/orders`; `unmatched` if no route matched, or if the layer does not see the route (`nest_service`, a router of another axum than 0.8); `overflow` beyond [`max_endpoints`](HttpMetrics::max_endpoints) |
//! | `status` | the status code; without a response: `error`, `cancelled` or `panicked` |
//! | `reason` | `error`, `dropped` or `panicked`; of a client also `unread`: it dropped the body before it polled it, which is not a failure |
//! | `kind` | `event-stream`, or the kind of a [`LongLived`](http::LongLived) mark, such as `websocket` |
//! | `family`, `label` | the metric and the name of the label whose value was replaced; of an HTTP layer, always its first metric that is on (`http_requests_total`); of a gRPC layer, the handled counter if it is on, otherwise its first metric that is on, and the method label or a custom label |
//!
//! Services without a router set endpoints with [`route_patterns`](HttpMetrics::route_patterns),
//! [`endpoint_fn`](HttpMetrics::endpoint_fn) or an [`Endpoint`](http::Endpoint#how-the-endpoint-is-determined). If the
//! layer does not see the route of a router, list the templates with `route_patterns`, or add an
//! [`EndpointLayer`](http::EndpointLayer). Names, prefix, labels, HELP texts and buckets can be set for each layer.
//!
//! # How requests end
//!
//! A request starts when the service that the layer returned is called; axum calls it when the request's future is first
//! polled. It ends exactly once. When it ends, it is counted, its duration is recorded, and it is no longer in progress:
//!
//! | how the request ends | when | `status` | also |
//! |---|---|---|---|
//! | the response body is complete (see below) | at the end of the body | its status code | |
//! | the response body returns an error | at the error | its status code | `http_response_bodies_aborted_total{reason="error"}` |
//! | the response body is dropped before its end: the client closed the connection or reset the stream, or a layer such as a body timeout dropped it | when it is dropped | its status code | `http_response_bodies_aborted_total{reason="dropped"}`; of a client that had not polled the body, `reason="unread"` |
//! | the response body panics while it is polled | at the panic | its status code | `http_response_bodies_aborted_total{reason="panicked"}`; the panic continues in the caller of the body |
//! | the inner service returns an error instead of a response | at the error | `error` | |
//! | the future of the inner service is dropped before there is a response: the client closed the connection, or a timeout of an outer layer expired | when it is dropped | `cancelled` | |
//! | the inner service panics, in `call` or while its future is polled | at the panic | `panicked` | the panic continues in outer layers |
//! | a [GET event stream](#glossary) (server-sent events, SSE) starts: the method is GET, the content type is `text/event-stream`, with or without parameters such as `; charset=utf-8`, the `size_hint` of the body is not exact, and the response is not marked [`FiniteStream`](http::FiniteStream). The status is any but 204 and 304 | at the response head, however short the stream is | its status code | the stream is in the gauge `http_connections_open` while it is open. If the client leaves, that is its normal end; a body that returns an error or panics is an aborted body |
//! | a response with a body (so not HEAD, 204 or 304, for which the mark is ignored) that is marked [`LongLived`](http::LongLived) and is not an upgrade starts | at the response head | its status code | the same, with the `kind` of the mark |
//! | the connection is upgraded: 101, or CONNECT with a 2xx status | at the response head | its status code | the connection is in the gauge `http_connections_open` only with a [`LongLived::guarded`](http::LongLived::guarded) mark; with [`LongLived::new`](http::LongLived::new), or without a mark, it has no series, because the server drops the body of an upgrade at once |
//!
//! An event stream in response to another method than GET, such as the output of a language model in response to POST, is
//! a response like any other: it is in progress and timed until its last byte. To measure an event stream in response to
//! GET the same way, mark it [`FiniteStream`](http::FiniteStream). If the user stops such a stream before its end, the
//! request is counted with its status, such as 200, and the body is aborted with the reason `dropped`. The timeout of an
//! outer layer that drops the body has the same effect.
//!
//! These requests are not counted:
//!
//! | request | the handler was pending before its response, or the gauge series already exists | series that are exported | in the gauge `http_requests_in_progress` |
//! |---|---|---|---|
//! | the response is marked [`SkipMetrics`](http::SkipMetrics), as for GET or HEAD of a metrics page of this crate | no | none | no |
//! | the response is marked `SkipMetrics` | yes | the gauge of its endpoint | until the response head |
//! | its endpoint is excluded by [`skip`](HttpMetrics::skip), and known when the request starts | either | none | no |
//! | the response names an endpoint that is excluded by `skip` | no | none | no |
//! | the response names an endpoint that is excluded by `skip` | yes | the gauge of the endpoint known at the start | until the response head |
//! | `poll_ready` of the inner service returns an error | either | none: no request was made | no |
//!
//! - The handler was pending if the future of the inner service returned `Pending` at least once: the handler or a layer
//!   inside awaits, or collectors with [`fail_on_collect_error`](MetricsHandler::fail_on_collect_error).
//! - The gauge series exists if it is [preregistered](HttpMetrics::preregister), or if a request with the same endpoint,
//!   method and custom labels was in the gauge before.
//!
//! A metrics page is rendered after its head, so it does not include its own scrape.
//!
//! A response body is complete in each of these cases:
//!
//! - It returned `None` or trailers.
//! - It passed as many bytes as its `size_hint` or `content-length` announced, so the last frame of a body of known length ends it. With a label [from the outcome](http::HttpLabel::from_outcome), the body may still send trailers: it is complete with them, or when it is dropped.
//! - It reports the end of its stream.
//! - The response has no body: HEAD, 204 and 304. The request then ends at the response head.
//!
//! The body ends when the server has taken its last frame, which can be before the client has received it: a body of one
//! large frame ends at once, however slow the client is.
//!
//! With [`MeasureUntil::Head`](http::MeasureUntil::Head), the duration is the time to the response head. It is recorded
//! when the request ends, as all else.
//!
//! With HTTP/1, hyper takes a half-closed connection (`shutdown(SHUT_WR)`) as a disconnect: the request is `cancelled`.
//!
//! # Glossary
//!
//! | term | meaning | see |
//! |---|---|---|
//! | aborted | A response body that returned an error, panicked or, unless it is that of a long-lived connection, was dropped before its end. The request keeps its status code. | [How requests end](#how-requests-end) |
//! | cancelled | Of a request: its future is dropped before there is a response. Of an [`Operation`]: it is dropped before it ended. Of a gRPC call: the code `Canceled`. | [How requests end](#how-requests-end) |
//! | cardinality | The number of series of a metric: at most the product of the numbers of values of its labels, for a histogram times the number of bounds + 3. | [guide](_guide::cardinality) |
//! | catalogue | A struct that defines the custom metrics of an application. | [`catalogue!`] |
//! | closed label, open label | A closed label has the values of an enum. An open label has any value, up to a limit. | [`custom`] |
//! | collector | Code that returns metrics at scrape time. | [`collect`] |
//! | constant label | A label with the same value on all series of a registry or a layer. | [`RegistryBuilder::constant_label`] |
//! | custom metric, custom label | Added by the application, not by this crate. | [`custom`], [`HttpLabel`](http::HttpLabel) |
//! | deferred registration | The first request to an endpoint registers its in-progress gauge only when its future returns `Pending` or a response, or ends without one: until then it could be a scrape, which has no series. The series of its count and duration are registered when the request ends, with its value. | [`SkipMetrics`](http::SkipMetrics) |
//! | dropped | A future, a body or a guard is destroyed, in the sense of Rust. A request is cancelled by dropping its future. Dropping its response body before the end aborts the body, except that of a long-lived connection. | [How requests end](#how-requests-end) |
//! | endpoint | The value of the label `endpoint`: a route template. | [`Endpoint`](http::Endpoint) |
//! | event stream | A response with the content type `text/event-stream`, in any case, with or without parameters such as `; charset=utf-8`. Its events are server-sent events (SSE). | [How requests end](#how-requests-end) |
//! | exemplar | The trace of one request in a bucket of a histogram, exported in OpenMetrics, and in protobuf to Prometheus 3.0 and later. | [`HttpMetrics::exemplar`] |
//! | exposition format | The format of the metrics page: the text format 0.0.4, OpenMetrics or protobuf. | [`MetricsHandler`] |
//! | failed | Of a request: the inner service returns an error instead of a response: status `error`. A request with a response of the status 500 has not failed in this sense. Of a collector: its metrics are missing, because it returned an error or invalid samples, panicked or timed out. | [How requests end](#how-requests-end), [`collect`] |
//! | gather | To run the collectors and read all metrics. | [`Registry::gather`] |
//! | GET event stream | The response to a GET request with the content type `text/event-stream`, whose `size_hint` is not exact, and which is not marked [`FiniteStream`](http::FiniteStream). Its status does not matter, except that 204 and 304 have no body. It is a long-lived connection, however short it is. | [How requests end](#how-requests-end), [`LongLived`](http::LongLived) |
//! | in progress | Between the start and the end of a request. | [How requests end](#how-requests-end) |
//! | inner service, outer layer | A layer wraps an inner service, and can itself be wrapped by outer layers. | [guide](_guide::layer_order) |
//! | limit | The maximum number of values of a label (`max_values`, `max_endpoints`, `open(50)`). | [guide](_guide::cardinality) |
//! | long-lived connection | A WebSocket, a tunnel, a GET event stream, or another response that is marked `LongLived`. Its request ends at the response head, because a lifetime is not a latency. WebSockets and tunnels are in the gauge `http_connections_open` only with [`LongLived::guarded`](http::LongLived::guarded). | [`LongLived`](http::LongLived) |
//! | metric, metric family | A name with a type, such as `http_requests_total`, and all its series. | [`model`] |
//! | metrics page | The response of the metrics endpoint. | [`MetricsHandler`] |
//! | overflow | The label value that replaces values beyond the limit. | [guide](_guide::cardinality) |
//! | panicked | A request during which the inner service panics before there is a response. | [How requests end](#how-requests-end) |
//! | preregister | To export series as 0 from start-up. | [`HttpMetrics::preregister`] |
//! | recorder | An implementation of the trait `Recorder` of the `metrics` crate, to which its macros record: the global one, or a local one of a thread. | [`Sink`] |
//! | register | To create a metric or a series in a registry, or to add a collector. A registered series is exported, at first as 0. | [`Registry`] |
//! | registry | Stores the metrics and exports them. A [`Registry`] of this crate is also a recorder. | [`Registry`] |
//! | route template, matched route | The path of a route, such as `/users/{id}`; of nested routers, the joined path. | [`Endpoint`](http::Endpoint) |
//! | response head | The status and the headers of a response, before its body. | [How requests end](#how-requests-end) |
//! | sample | A value of a series at a point in time. | [`snapshot`] |
//! | scrape | A request for the metrics page, usually sent by Prometheus, which is the scraper. | [`scrape`] |
//! | series | A metric with one combination of label values. A histogram has one per bucket, one for its sum and one for its count. | [guide](_guide::cardinality) |
//! | sink | Where a layer or a catalogue records: a registry or any recorder. | [`Sink`] |
//! | skipped | A request that is not measured: its endpoint is excluded, or its response is marked. | [`HttpMetrics::skip`], [`SkipMetrics`](http::SkipMetrics) |
//! | snapshot | The metrics of a registry at a point in time, as data. | [`snapshot`] |
//! | unmatched | The endpoint of a request that no route matched, or whose route the layer does not see. | [guide](_guide::layer_order) |
//!
//! # Feature flags
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the endpoint label from axum's `MatchedPath`; [`MetricsHandler`] is an axum `Handler` |
//! | `gzip` | yes | compressed metrics pages |
//! | `process` | no | `collectors::ProcessCollector`: the `process_*` metrics (Linux) |
//! | `runtime` | no | `collectors::RuntimeCollector`: workers, tasks and queue of the tokio runtime |
//! | `server` | no | `scrape::MetricsServer`: the metrics page on a separate port |
//! | `exporter` | no | [`MetricsHandler`] serves a `metrics_exporter_prometheus::PrometheusHandle` |
//! | `quanta` | no | requests are timed with the processor's counter instead of std's clock |
//! | `grpc-descriptor` | no | gRPC methods preregistered from a file descriptor set |
//! | `stream` | no | [`Operation`]s that are streams |
//! | `summary` | no | quantiles computed by the process: `Summary` in a catalogue, `RegistryBuilder::quantiles` for macros |
//! | `full` | no | all of them |
//!
//! # Related packages
//!
//! | package | for |
//! |---|---|
//! | `tower-prometheus-mixin` | Grafana dashboards, alert and recording rules and scrape configurations, generated from the definitions |
//! | `tower-prometheus-query` | a PromQL proxy between a front end and Prometheus or VictoriaMetrics |
//! | `tower-prometheus-push` | pushing the metrics of batch jobs to a Pushgateway |
//! | `tower-prometheus-bridge` | metrics of the crates `prometheus` and `prometheus-client` on the same page |

#![forbid(unsafe_code)]
#![warn(
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod _guide;
pub mod buckets;
mod budget;
mod clock;
pub mod collect;
pub mod collectors;
pub mod custom;
mod error;
mod exposition;
pub mod grpc;
pub mod http;
mod lifecycle;
mod maps;
pub mod model;
mod open_labels;
mod registry;
pub mod scrape;
mod sink;
mod sync;

#[cfg(feature = "summary")]
#[cfg_attr(docsrs, doc(cfg(feature = "summary")))]
pub use self::custom::metric::Summary;
pub use self::{
    custom::{
        info::Info,
        metric::{Counter, FloatCounter, Gauge, Histogram, InProgress},
        operation::Operation,
        state_set::StateSet,
    },
    error::Error,
    grpc::config::GrpcMetrics,
    http::{config::http_metrics::HttpMetrics, middleware::layer::HttpMetricsLayer},
    model::native::NativeHistogram,
    registry::{CollectorHandle, Registry, builder::RegistryBuilder, snapshot},
    scrape::handler::MetricsHandler,
    sink::Sink,
};

/// The units that a [catalogue](crate::catalogue!) can name: those of the `metrics` crate.
pub use metrics::Unit;

/// The README's code, run as tests with the features that it is about.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
