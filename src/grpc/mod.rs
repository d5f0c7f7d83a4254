//! Metrics for gRPC servers and clients: calls by method and status code, durations and messages.
//!
// Compiled in `tests/integration`, which depends on tonic.
#![cfg_attr(not(doctest), doc = include_str!("tonic_server.md"))]
//!
//! To measure one service only, use tonic's `LayerExt`: `metrics.grpc_layer().named_layer(service)`. For a
//! client, see [`GrpcMetricsLayer::map_request_body`]. The layers do not depend on tonic: they measure any
//! gRPC service that takes `http::Request` and returns `http::Response`.
//!
//! # Metrics
//!
//! | metric | type | labels | description |
//! |---|---|---|---|
//! | `grpc_server_started_total` | counter | `grpc_type`, `grpc_service`, `grpc_method` | calls that started |
//! | `grpc_server_handled_total` | counter | the same and `grpc_code` | calls that ended |
//! | `grpc_server_handling_seconds` | histogram | `grpc_type`, `grpc_service`, `grpc_method` | from the start of a call to the end of its response |
//! | `grpc_server_msg_received_total` | counter | the same | messages received, counted when their last byte passes |
//! | `grpc_server_msg_sent_total` | counter | the same | messages sent, counted when their last byte passes |
//! | `grpc_server_in_progress` | gauge | the same | calls whose response has not ended |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | calls recorded as `overflow` |
//!
//! The metrics of a client are named `grpc_client_…`. Names and labels are those of go-grpc-middleware, so
//! its dashboards work. When no call is in progress, the started calls, the handled calls and the count of
//! the histogram are equal, and the gauge is 0.
//!
//! # How calls end
//!
//! A call is counted as handled exactly once, when it ends. Its duration ends at the same time.
//!
//! | how it ended | `grpc_code` |
//! |---|---|
//! | a tonic method returned `Ok`, or `Err(Status::not_found(…))` | `OK`; `NotFound`, as any code of a `Status` |
//! | response complete, with `grpc-status` in its trailers | that code; `Unknown` if it is not a valid code |
//! | response complete, with `grpc-status` in its head and none in trailers | that code; `Unknown` if it is not a valid code |
//! | response complete, without `grpc-status` | from the HTTP status, see below |
//! | the inner service (a layer, not a tonic method) returned an error, or the body failed | `Unknown` on a server, `Unavailable` on a client; `DeadlineExceeded` if the timeout had expired |
//! | dropped before its end: the client cancelled the call or disconnected, or an outer layer timed out; on a client, the caller dropped the future or the stream | `Canceled`; `DeadlineExceeded` if the deadline of the call (`grpc-timeout`) had passed |
//! | the service or the body panicked | `Internal`; the panic propagates |
//! | on a client, tonic's `Channel` cannot connect | `Unavailable`, once for each call that is made; a failing `Endpoint::connect()` is not a call |
//!
//! | HTTP status | `grpc_code`, as [gRPC maps it] |
//! |---|---|
//! | 400 | `Internal` |
//! | 401 | `Unauthenticated` |
//! | 403 | `PermissionDenied` |
//! | 404 | `Unimplemented` |
//! | 429, 502, 503, 504 | `Unavailable` |
//! | any other, including 200 | `Unknown` |
//!
//! If the response head has a code (`grpc-status`, or an HTTP status other than 200), a body that fails or is
//! dropped does not change it, because clients stop reading there.
//!
//! The timeout is that of the header `grpc-timeout`. It counts as expired up to 10 ms early (at most a tenth
//! of the timeout), because the clock of the client started earlier.
//!
//! The error value of the inner service is not inspected. tonic's services return their errors as responses,
//! so this concerns layers inside the metrics layer: if one of them returns tonic's `Status` as an error,
//! tonic turns it into a response with that code outside the metrics layer, which counts `Unknown`.
//!
//! [gRPC maps it]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
//!
//! # Service and method labels
//!
//! The path `/shop.Orders/Place` has the service `shop.Orders` and the method `Place`. Further segments
//! before them belong to the service: `/api/shop.Orders/Place` has the service `api/shop.Orders`, even if
//! `shop.Orders` is preregistered.
//!
//! Clients can request any path, so a server labels a call depending on its method. The first row that applies decides:
//!
//! | method | labels |
//! |---|---|
//! | preregistered with [`GrpcMetrics::method`](crate::GrpcMetrics::method) or a file descriptor set | its own; its series are exported as 0 from start-up, with every code |
//! | known from an earlier call | its own, from the start of the call |
//! | the path is not a method's: not `/service/method`, longer than 256 bytes, or not printable ASCII | `unknown` |
//! | new, and the response is `UNIMPLEMENTED` or not gRPC (by `content-type`), or no response is returned | `unknown` |
//! | new, and [`max_methods`](crate::GrpcMetrics::max_methods) methods that are not preregistered are already known | `overflow` |
//! | new | its own; it is known from then on |
//!
//! The first call of a new method is counted as started and in progress only from the response head. Its duration is
//! still that of the whole call.
//!
//! On a client, paths come from the program: a method has its own labels from its first call, whatever the response, up
//! to `max_methods`.
//!
//! `grpc_type` is `unknown` unless the method is preregistered.
//!
//! If a layer inside the metrics layer answers any path, such as authentication with `Unauthenticated`,
//! preregister the methods and set [`max_methods`](crate::GrpcMetrics::max_methods) to 0.
//!
//! # Requests that are not gRPC
//!
//! Requests whose `content-type` is not `application/grpc…` are not measured. So the metrics page can be
//! served next to the services, and the layer combined with an [`HttpMetricsLayer`](crate::HttpMetricsLayer).
//! `application/grpc-web` is not measured either, because its trailers are in its body: put this layer inside
//! the layer that translates it.
//!
//! # Limitations
//!
//! The layer cannot measure what happens outside of it. On a server:
//!
//! | outside the layer | effect |
//! |---|---|
//! | tonic's `load_shed`, `concurrency_limit_per_connection` | rejected calls, and the time that calls wait, are not measured |
//! | tonic's `timeout`, and `grpc-timeout` | the call is dropped: `DeadlineExceeded` if `grpc-timeout` has expired, otherwise `Canceled` |
//! | `max_concurrent_streams`, TLS, a connection that a client cannot open | calls that never reach the server are not measured |
//! | retries outside a client's layer | none: each attempt is a call |
//!
//! It counts what the inner service does for one request as one call:
//!
//! | inside the layer | effect |
//! |---|---|
//! | retries, load balancing, `Endpoint::timeout` inside a client's layer | all attempts are one call; its error is `Unavailable`, or `DeadlineExceeded` if `grpc-timeout` has expired |
//! | an error from `poll_ready` | not counted, because no call was made |
//!
//! If a body has a buffer of more than 32 chunks, or of chunks that it does not expose (`chunks_vectored`),
//! its messages are counted only up to there.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod code;
pub(crate) mod config;
#[cfg(feature = "grpc-descriptor")]
mod descriptor;
pub(crate) mod frames;
pub(crate) mod future;
pub(crate) mod layer;
pub(crate) mod map_request_body;
pub(crate) mod series;
pub(crate) mod service;
pub(crate) mod settings;

pub use self::{
    body::{GrpcRequestBody, GrpcResponseBody},
    future::GrpcResponseFuture,
    layer::GrpcMetricsLayer,
    map_request_body::{MapRequestBodyLayer, MapRequestBodyService},
    service::GrpcMetricsService,
    settings::{GrpcMetric, GrpcType},
};
