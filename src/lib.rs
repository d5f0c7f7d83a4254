//! Prometheus metrics for axum, tonic, hyper and any other Tower service: a middleware layer and a `/metrics` endpoint.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> Result<(), tower_prometheus::Error> {
//! use axum::{Router, routing::get};
//! use tower_prometheus::Registry;
//!
//! let metrics = Registry::builder().constant_label("service", "shop").install()?;
//! let app: Router = Router::new()
//!     .route("/users/{id}", get(async || "ada"))
//!     .route("/metrics", get(metrics.handler()))
//!     .layer(metrics.http_layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # HTTP metrics
//!
//! | metric | type | labels | |
//! |---|---|---|---|
//! | `http_requests_total` | counter | `method`, `endpoint`, `status` | requests that ended |
//! | `http_request_duration_seconds` | histogram | `method`, `endpoint` | from arrival to the end of the response body |
//! | `http_requests_in_progress` | gauge | `method`, `endpoint` | requests that have started and not ended |
//! | `http_response_bodies_aborted_total` | counter | `method`, `endpoint`, `reason` | response bodies that were not completed |
//! | `http_connections_open` | gauge | `endpoint`, `kind` | open long-lived connections |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | label values recorded as `overflow` |
//!
//! `endpoint` is the matched route, such as `/users/{id}`, and never the path; see [`Endpoint`](http::Endpoint) and
//! [`EndpointLayer`](http::EndpointLayer) for services whose router does not tell it. `method` is a standard method or
//! `OTHER`. Names, prefix, labels and buckets can be set for each layer: [`HttpMetrics`].
//!
//! gRPC has its own layers and metrics: [`grpc`].
//!
//! # How requests end
//!
//! A request is counted once, when it ends. Metrics pages and marked responses are not counted:
//!
//! | how it ended | `status` | duration | in progress |
//! |---|---|---|---|
//! | response, body complete | its code | until the end of the body (or the head, [`MeasureUntil::Head`](http::MeasureUntil::Head)) | decremented at the end |
//! | response, body failed, dropped or panicked before its end | its code; also counted in `http_response_bodies_aborted_total` with the reason `error`, `dropped` or `panicked` | until then | decremented then |
//! | the service returned an error | `error` | until then | decremented then |
//! | dropped before there was a response: the client disconnected, or a timeout of an outer layer expired | `cancelled` | until then | decremented then |
//! | the service panicked | `panicked` | until then | decremented then; the panic propagates |
//! | 101, CONNECT with a 2xx code, `text/event-stream` without a known length, or a response marked [`LongLived`](http::LongLived) | its code, at the response head | until the head | decremented at the head; while it is open, counted in `http_connections_open` |
//! | a metrics page, or a response marked [`SkipMetrics`](http::SkipMetrics) | not counted | none | decremented at the head, before the metrics are read |
//!
//! A body is complete if it returned `None` or trailers, passed as many bytes as it announced, reports the end of its
//! stream, or if there is none to send: HEAD, 204, 304.
//!
//! # Where metrics are recorded
//!
//! In a [`Registry`], which is also a recorder for the macros of the `metrics` crate, or in any other recorder of that
//! crate: [`Sink`]. [`MetricsHandler`] serves the metrics page; [`Registry::gather`] returns the same metrics as data.
//!
//! | to | see |
//! |---|---|
//! | define custom metrics with typed labels | [`custom`] |
//! | gather metrics at scrape time | [`collect`], and [`collectors`] for the process and the tokio runtime |
//! | serve the metrics page on a port of its own | `scrape::MetricsServer` (feature `server`) |
//! | order layers, limit cardinality, write PromQL, migrate from another crate | [`_guide`] |
//!
//! Packages that build on this one: `tower-prometheus-mixin` (dashboards, alert rules, scrape configurations),
//! `tower-prometheus-query` (a PromQL proxy) and `tower-prometheus-push` (the Pushgateway).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the endpoint label from axum's `MatchedPath`; [`MetricsHandler`] is an axum `Handler` |
//! | `gzip` | yes | compressed metrics pages |
//! | `process` | no | `collectors::ProcessCollector`: the `process_*` metrics (Linux) |
//! | `runtime` | no | `collectors::RuntimeCollector`: workers, tasks and queue of the tokio runtime |
//! | `server` | no | `scrape::MetricsServer` |
//! | `exporter` | no | [`MetricsHandler`] serves a `metrics_exporter_prometheus::PrometheusHandle` |
//! | `quanta` | no | requests are timed with the processor's counter instead of std's clock |
//! | `grpc-descriptor` | no | gRPC methods registered from a file descriptor set |
//! | `stream` | no | [`Operation`]s that are streams |
//! | `summary` | no | `Summary`: quantiles computed by the process |
//! | `full` | no | all of them |

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
    },
    error::Error,
    grpc::config::GrpcMetrics,
    http::{config::http_metrics::HttpMetrics, middleware::layer::HttpMetricsLayer},
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
