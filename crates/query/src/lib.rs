//! The PromQL proxy that a dashboard's front end talks to.
//!
//! A browser should not reach the store itself: it has no credentials to keep, no limits, and often no
//! authentication. [`QueryProxy`] stands between: three endpoints, checked parameters, bounded answers.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> Result<(), tower_prometheus::Error> {
//! use axum::Router;
//! use tower_prometheus::{Registry, query::QueryProxy};
//!
//! let metrics = Registry::new();
//! let proxy = QueryProxy::builder("http://victoriametrics:8428")
//!     .services_of("asdlc_service_info", "service")
//!     .fallback_services(["orchestrator", "workers"])
//!     .build()?;
//! let app: Router = Router::new()
//!     .nest_service("/api/metrics", proxy)
//!     .layer(metrics.http_layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! # #[cfg(feature = "axum")]
//! # app().unwrap();
//! ```
//!
//! The layer measures it as any other service, under the endpoints `/api/metrics/query_range` and so on; a request
//! that is cancelled before there is an answer is `unmatched`, unless each endpoint is a route of its own
//! (`route_service`, with [`mounted_at`](QueryProxyBuilder::mounted_at)).
//!
//! # Endpoints
//!
//! | below the mount | answers | time limit |
//! |---|---|---|
//! | `GET /query_range?query&start&end&step` | the answer of the store's `/api/v1/query_range` as it comes: status, body, `content-type` | 30 s to the last byte |
//! | `GET /services` | a JSON array: the sorted distinct values of a label of a family ([`services_of`]); when the store cannot be asked, the configured list | 10 s |
//! | `GET /health` | always 200: `{"status":"healthy"}`; `degraded` when the store answered its health page with another status than 200, `unhealthy` when it did not answer, both with `error` | 5 s |
//!
//! `query` is text, `start` and `end` are unix seconds or RFC 3339, `step` is seconds or like `15s` or `1h30m`, `15s` if
//! absent. Each may be given once. Other parameters are left out, as the stores leave out what they do not know: a
//! client cannot switch the store's caches off or set its timeouts. Times and the step are sent on as numbers in
//! seconds, to the millisecond, so the store reads what was checked. Other methods, HEAD too, are 405.
//!
//! # Errors
//!
//! What the store says is passed on with its status, be it 400, 422 or 500. The proxy's own errors are JSON,
//! `{"status":"error","errorType":…,"error":…,"detail":…}`:
//!
//! | status | `errorType` | when |
//! |---|---|---|
//! | 400 | `bad_data` | a parameter is missing, given twice or cannot be read; the end is before the start; the [window], the number of [points] or the [query] is over its limit, which `detail` names; the query cannot be bound to the tenant |
//! | 404 | `not_found` | another path |
//! | 405 | `method_not_allowed` | another method than GET |
//! | 502 | `bad_gateway` | the store redirects (nobody follows), or says that its answer is over [`max_response_bytes`] |
//! | 503 | `too_many_queries` | [`max_concurrent`] queries are at work; with `retry-after` |
//! | 503 | `unavailable` | the store cannot be reached, or does not speak HTTP; `detail` has the reason |
//! | 504 | `timeout` | no head within the time limit |
//!
//! Once the head is sent an answer can only be broken off, which clients see as a truncated body: when the store breaks it
//! off, when it grows over the limit, when its time is over. A client that leaves cancels its query: the connection
//! to the store is closed. One that does not read its answer holds its place among the [`max_concurrent`] until
//! the time limit, and its connection until the server gives it up.
//!
//! # What reaches the store
//!
//! The four parameters; the [credentials] and [constant headers](QueryProxyBuilder::header) that were configured; those headers
//! of the client that were [named](QueryProxyBuilder::pass_header), none otherwise. Credentials are in no answer, log or `Debug`
//! output. The path is the configured base path and a fixed one below it. Connections are pooled, and a
//! store that comes back is used again without more.
//!
//! # Tenants
//!
//! [`force_label`] binds every query to series that have a label: the query is parsed, each selector in it gets the matcher, and the
//! tree is printed again. For a store that has tenants itself, give its base path or header instead:
//!
//! ```
//! # fn tenants() -> Result<(), tower_prometheus::Error> {
//! use tower_prometheus::query::QueryProxy;
//!
//! let one_store = QueryProxy::builder("http://prometheus:9090").force_label("tenant", "a").build()?;
//! let cluster = QueryProxy::builder("http://vmselect:8481/select/0/prometheus")
//!     .health_path("/-/healthy")
//!     .build()?;
//! let mimir = QueryProxy::builder("http://mimir:8080/prometheus")
//!     .header("X-Scope-OrgID", "a")
//!     .health_path("/ready")
//!     .build()?;
//! # let _ = (one_store, cluster, mimir);
//! # Ok(())
//! # }
//! # tenants().unwrap();
//! ```
//!
//! One proxy is one tenant. Who may use it is for a layer around it to say: the proxy authenticates nobody.
//!
//! # TLS
//!
//! `https` URLs need the feature `tls` (rustls with ring); the system's certificates are trusted, or those given to
//! `ca_certificate`.
//!
//! [`services_of`]: QueryProxyBuilder::services_of
//! [`max_response_bytes`]: QueryProxyBuilder::max_response_bytes
//! [`max_concurrent`]: QueryProxyBuilder::max_concurrent
//! [`force_label`]: QueryProxyBuilder::force_label
//! [window]: QueryProxyBuilder::max_window
//! [points]: QueryProxyBuilder::max_points
//! [query]: QueryProxyBuilder::max_query_bytes
//! [credentials]: QueryProxyBuilder::bearer

mod address;
mod body;
mod builder;
mod connector;
mod credentials;
mod forced;
mod future;
mod problem;
mod proxy;
mod range_query;
mod repetition;
mod route;
mod services;
mod slot;
mod time;
mod upstream;

pub use self::body::QueryBody;
pub use self::builder::QueryProxyBuilder;
pub use self::future::QueryFuture;
pub use self::proxy::QueryProxy;
