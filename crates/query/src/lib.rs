//! A PromQL proxy for dashboards: a Tower service between a browser and Prometheus or VictoriaMetrics.
//!
//! A browser should not query Prometheus directly: Prometheus often has no authentication, a browser cannot keep
//! credentials secret, and Prometheus limits neither the time range nor the size of a response. [`QueryProxy`] adds three
//! endpoints to an application. It validates parameters, limits queries and responses, and adds the credentials on the
//! server. Below, *upstream* is Prometheus, VictoriaMetrics or another server with Prometheus' HTTP API.
//!
//! ```
//! # fn app() -> Result<(), tower_prometheus_query::Error> {
//! use axum::Router;
//! use tower_prometheus_query::QueryProxy;
//!
//! let proxy = QueryProxy::builder("http://victoriametrics:8428")
//!     .services_of("service_info", "service") // the label `service` of the metric `service_info`
//!     .fallback_services(["shop", "workers"])
//!     .build()?;
//! let app: Router = Router::new().nest_service("/api/metrics", proxy);
//! # let _ = app;
//! # Ok(())
//! # }
//! # app().unwrap();
//! ```
//!
//! # Endpoints
//!
//! Paths are relative to the path at which the proxy is mounted.
//!
//! | request | response | time limit |
//! |---|---|---|
//! | `GET /query_range?query&start&end&step` | the upstream's response to `/api/v1/query_range`, streamed: status, body, `content-type`, `content-encoding`, `vary`, `retry-after` | 30 s to the last byte |
//! | `GET /services` | a JSON array: the sorted distinct values of a label of a metric ([`services_of`]), or the configured [fallback](QueryProxyBuilder::fallback_services) if the query fails | 10 s |
//! | `GET /health` | always 200, `{"status":…}`, see below | 5 s |
//!
//! | `status` of `/health` | the upstream |
//! |---|---|
//! | `healthy` | responded to its [health path](QueryProxyBuilder::health_path) with 200 |
//! | `degraded` | responded with another status, which is in `error` |
//! | `unhealthy` | did not respond; the reason is in `error` |
//!
//! Other methods, including HEAD, get 405. All responses have the headers `x-content-type-options: nosniff` and
//! `content-security-policy: default-src 'none'; sandbox`, so that a browser does not render them as a page.
//!
//! | parameter | value | required |
//! |---|---|---|
//! | `query` | PromQL | yes |
//! | `start`, `end` | Unix seconds or RFC 3339, from 1970 to 2106 | yes |
//! | `step` | seconds or a duration such as `15s` or `1h30m`, at least 1 ms | no; 15 s by default |
//!
//! Each parameter may be given once. Other parameters are not forwarded, so a client cannot disable the
//! upstream's caches or change its timeouts; Prometheus and VictoriaMetrics ignore unknown parameters, too. Times and
//! the step are sent as seconds with millisecond precision, so the upstream reads the values that were validated.
//!
//! # Errors
//!
//! Error responses of the upstream, such as 400, 422 and 500, are forwarded with their status and body. The proxy's own
//! errors are JSON: `{"status":"error","errorType":…,"error":…,"detail":…}`.
//!
//! | status | `errorType` | cause |
//! |---|---|---|
//! | 400 | `bad_data` | a parameter is missing, duplicate or invalid; the end is before the start; the [time range], the number of [points] or the [length] of the query exceeds its limit, which `detail` names; the [forced labels] cannot be added to the query |
//! | 404 | `not_found` | another path |
//! | 405 | `method_not_allowed` | another method than GET |
//! | 502 | `bad_gateway` | the upstream redirects (redirects are not followed), or announces a body larger than [`max_response_bytes`] |
//! | 503 | `too_many_queries` | [`max_concurrent`] queries are in progress; the response has `retry-after` |
//! | 503 | `unavailable` | the upstream is unreachable or does not speak HTTP, or no thread can be started to add the [forced labels]; `detail` has the reason |
//! | 504 | `timeout` | no response head within the time limit, or the [forced labels] were not added within it; `error` tells them apart |
//!
//! After the response head is sent, the proxy can only abort the body, which clients see as a truncated response. It
//! aborts the body if the upstream's body fails, exceeds [`max_response_bytes`] or exceeds the time limit.
//!
//! Log events (crate `tracing`) when a state changes, not for each request:
//!
//! | level | message | `reason` |
//! |---|---|---|
//! | warning | `query proxy: the upstream is unreachable` | the error of the connection |
//! | warning | `query proxy: the upstream does not respond in time` | the time limit |
//! | info | `query proxy: the upstream responds again` | |
//! | warning | `query proxy: the query of /services fails; it returns the fallback` | the error |
//! | info | `query proxy: the query of /services succeeds again` | |
//!
//! The upstream does not respond in time if a health check times out. A query that times out is not logged, because it
//! can be slow although the upstream works, unless it is the query of `/services`.
//!
//! # Cancellation
//!
//! If the client disconnects, its query is cancelled: the connection to the upstream is closed. A client that does not
//! read the response counts towards [`max_concurrent`] until the time limit. How long its connection stays open is a
//! setting of the server. Adding [forced labels] cannot be cancelled: the query counts towards [`max_concurrent`] until
//! the labels are added.
//!
//! # Requests to the upstream
//!
//! | part | content |
//! |---|---|
//! | path | the base path of the URL, followed by a fixed path |
//! | parameters of a range query | `query`, `start`, `end`, `step` |
//! | headers | the configured [credentials] and [headers](QueryProxyBuilder::header); those of the client that are [forwarded](QueryProxyBuilder::forward_header), by default none |
//!
//! Credentials and values of configured headers never appear in the proxy's own responses, logs, errors or `Debug` output.
//! The upstream's responses to range queries are forwarded unchanged: an upstream that repeats the headers of requests in
//! its responses would reveal them. Connections are pooled. After the upstream restarts, the proxy reconnects with the next
//! request.
//!
//! # Tenants
//!
//! [`force_label`] restricts every query to series with a label: the query is parsed, the matcher is added to each
//! selector, and the rewritten query is sent. If the upstream itself separates tenants, configure the tenant's base path
//! or header instead:
//!
//! ```
//! # fn tenants() -> Result<(), tower_prometheus_query::Error> {
//! use tower_prometheus_query::QueryProxy;
//!
//! let prometheus = QueryProxy::builder("http://prometheus:9090")
//!     .force_label("tenant", "a")
//!     .build()?;
//! let cluster = QueryProxy::builder("http://vmselect:8481/select/0/prometheus")
//!     .health_path("/-/healthy")
//!     .build()?;
//! let mimir = QueryProxy::builder("http://mimir:8080/prometheus")
//!     .header("X-Scope-OrgID", "a")
//!     .health_path("/ready")
//!     .build()?;
//! # let _ = (prometheus, cluster, mimir);
//! # Ok(())
//! # }
//! # tenants().unwrap();
//! ```
//!
//! A proxy serves one tenant. For several tenants, build a proxy for each. The proxy does not authenticate clients: add a
//! layer that does.
//!
//! # Metrics
//!
//! The HTTP layer of `tower-prometheus` measures the proxy like any other service. The proxy sets the
//! [`Endpoint`](tower_prometheus::http::Endpoint) extension on its responses, so the `endpoint` label is
//! `/api/metrics/query_range` and so on, without configuration.
//!
//! ```
//! # fn app() -> Result<(), tower_prometheus_query::Error> {
//! use axum::Router;
//! use tower_prometheus::Registry;
//! use tower_prometheus_query::QueryProxy;
//!
//! let registry = Registry::new();
//! let proxy = QueryProxy::from_env().build()?;
//! let app: Router = Router::new()
//!     .nest_service("/api/metrics", proxy)
//!     .layer(registry.http_layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! # app().unwrap();
//! ```
//!
//! With `nest_service`, a request that is cancelled before the response head has the endpoint `unmatched`. To avoid this,
//! add a route for each endpoint with `route_service`, and set [`mounted_at`](QueryProxyBuilder::mounted_at).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the path at which axum nested the proxy is part of the `endpoint` label |
//! | `tls` | no | `https` upstreams (rustls with ring), with the system's CA certificates or those of `QueryProxyBuilder::ca_certificate` |
//!
//! [`services_of`]: QueryProxyBuilder::services_of
//! [`max_response_bytes`]: QueryProxyBuilder::max_response_bytes
//! [`max_concurrent`]: QueryProxyBuilder::max_concurrent
//! [`force_label`]: QueryProxyBuilder::force_label
//! [forced labels]: QueryProxyBuilder::force_label
//! [time range]: QueryProxyBuilder::max_time_range
//! [points]: QueryProxyBuilder::max_points
//! [length]: QueryProxyBuilder::max_query_bytes
//! [credentials]: QueryProxyBuilder::bearer_auth

#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod base_url;
mod body;
mod builder;
mod concurrency;
mod connector;
mod credentials;
mod deadline;
mod error;
mod error_response;
mod forced_matchers;
mod future;
mod headers;
mod names;
mod proxy;
mod range_query;
mod regex_cost;
mod route;
mod services;
mod time;
mod upstream;

pub use self::{
    body::QueryBody, builder::QueryProxyBuilder, error::Error, future::QueryFuture,
    proxy::QueryProxy,
};

/// Runs the README's code blocks as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
