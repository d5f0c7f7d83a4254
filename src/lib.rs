//! A Tower layer that measures any HTTP service, and the page that Prometheus scrapes.
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
//!     .route_service("/metrics", metrics.handler())
//!     .layer(metrics.http_layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # What is recorded
//!
//! | family | type | labels | |
//! |---|---|---|---|
//! | `http_requests_total` | counter | `method`, `endpoint`, `status` | requests that ended |
//! | `http_request_duration_seconds` | histogram | `method`, `endpoint` | from arrival to the end of the body |
//! | `http_requests_in_progress` | gauge | `method`, `endpoint` | requests whose response has not ended |
//! | `http_response_bodies_aborted_total` | counter | `method`, `endpoint`, `reason` | bodies that did not reach their end |
//! | `http_connections_open` | gauge | `endpoint`, `kind` | long-lived connections |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | requests folded into `overflow` |
//!
//! `endpoint` is the route's template, never a path; see [`Endpoint`] and [`EndpointLayer`] for where a router
//! does not tell it. `method` is one of the standard ones or `OTHER`. Names, prefix, labels and buckets can
//! be set for each layer: [`HttpMetrics`].
//!
//! gRPC has layers and families of its own: [`grpc`].
//!
//! # How requests end
//!
//! A request is counted exactly once, when it ends:
//!
//! | how it ended | `status` | duration | in progress |
//! |---|---|---|---|
//! | response, body complete | its code | to the end of the body (or to the head, [`MeasureUntil::Head`]) | down at the end |
//! | response, body failed, dropped or panicked half-way | its code, and one in `http_response_bodies_aborted_total` with the reason `error`, `dropped` or `panicked` | to that moment | down then |
//! | error of the service | `error` | to that moment | down then |
//! | dropped before there was a response: the client left, or a timeout outside | `cancelled` | to that moment | down then |
//! | panic of the service | `panicked` | to that moment | down then, and the panic goes on |
//! | 101, CONNECT, `text/event-stream`, or a response marked [`LongLived`] | its code, at the head | to the head | down at the head; while it is open, it is in `http_connections_open` |
//! | a metrics page, marked [`Scrape`] | not counted | none | down at the head, before the numbers are read |
//!
//! A body is complete when it gave its last frame, trailers, or as many bytes as it said; when it says that it
//! is at its end; and when there is none to send: HEAD, 204, 304.
//!
//! Where the layer goes among others, and what each order counts: [`order`]. Coming from another crate:
//! [`migration`]. How many series there are, what to do about too many, and what many machines need: [`budgets`]. Queries: [`cookbook`].
//!
//! # Where the numbers go
//!
//! To a [`Registry`], which is also a recorder for the macros of the `metrics` crate; or to any other recorder
//! of that crate, see [`Sink`]. [`MetricsHandler`] serves the page.
//!
//! # The application's own metrics
//!
//! Typed, in one place, checked when they are compiled, with operations that are recorded whole: [`app`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the endpoint from axum's `MatchedPath` |
//! | `gzip` | yes | compressed pages |
//! | `collect` | yes | [`collect`]: numbers that are asked for when a page is |
//! | `process` | no | [`collectors::ProcessCollector`]: the `process_*` families, on Linux |
//! | `runtime` | no | [`collectors::RuntimeCollector`]: tokio's workers, tasks and queue |
//! | `server` | no | [`MetricsServer`]: the page on a port of its own |
//! | `push` | no | [`PushGateway`]: the page of a job that ends |
//! | `exporter` | no | [`MetricsHandler`] serves a `metrics_exporter_prometheus::PrometheusHandle` |
//! | `quanta` | no | requests timed by the processor's counter instead of std's clock |
//! | `grpc-descriptor` | no | gRPC methods declared from a file descriptor set |
//! | `stream` | no | [`Operation`]s that are streams |
//! | `summary` | no | [`app::Summary`], quantiles computed by the process |
//! | `mixin` | no | `mixin`: dashboards, rules and scrape configurations from the definitions that record |
//! | `full` | no | all of them |

#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod buckets;
mod budget;
pub mod budgets;
mod clock;
pub mod collect;
pub mod collectors;
pub mod cookbook;
pub mod custom;
mod error;
mod exposition;
pub mod grpc;
pub mod http;
mod lifecycle;
mod maps;
pub mod migration;
pub mod model;
pub mod order;
pub mod registry;
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
    registry::{Registry, builder::RegistryBuilder},
    scrape::handler::MetricsHandler,
    sink::Sink,
};

/// The units that a [catalogue](crate::catalogue!) can name: those of the `metrics` crate.
pub use metrics::Unit;

/// The README's code, run as tests with the features that it is about.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
