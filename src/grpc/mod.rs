//! Layers for gRPC: calls by method and code, their times, and their messages.
//!
// Compiled in `tests/integration`, which depends on tonic.
#![cfg_attr(not(doctest), doc = include_str!("tonic_server.md"))]
//!
//! One service alone is measured with tonic's `LayerExt`: `metrics.grpc_layer().named_layer(service)`; a
//! client as shown at [`GrpcMetricsLayer::map_request_body`]. Nothing here needs tonic: any service of `http`'s requests and
//! responses that speaks gRPC can be measured.
//!
//! # What is recorded
//!
//! | family | type | labels | |
//! |---|---|---|---|
//! | `grpc_server_started_total` | counter | `grpc_type`, `grpc_service`, `grpc_method` | calls that began |
//! | `grpc_server_handled_total` | counter | the same and `grpc_code` | calls that ended |
//! | `grpc_server_handling_seconds` | histogram | `grpc_type`, `grpc_service`, `grpc_method` | from the begin of a call to the end of its response |
//! | `grpc_server_msg_received_total` | counter | the same | messages, counted when their last byte passes |
//! | `grpc_server_msg_sent_total` | counter | the same | |
//! | `grpc_server_in_progress` | gauge | the same | calls whose response has not ended |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | calls folded into `overflow` |
//!
//! A client has the same, called `grpc_client_…`. Names and labels are those of go-grpc-middleware, so its dashboards
//! work. Over any traffic that has come to rest, started equals handled, the histogram's count equals both, and in
//! progress is 0.
//!
//! # How calls end
//!
//! A call is counted as handled exactly once, when it ends. Its time is that from the begin to this moment.
//!
//! | how it ended | `grpc_code` |
//! |---|---|
//! | the response is complete, with `grpc-status` in its trailers | that code; one that is no code is `Unknown` |
//! | … with `grpc-status` in its head (a response without messages), whether or not trailers without one follow | that code |
//! | … without `grpc-status` | from the status of HTTP as [gRPC maps it]: 400 `Internal`, 401 `Unauthenticated`, 403 `PermissionDenied`, 404 `Unimplemented`, 429, 502, 503 and 504 `Unavailable`, any other, 200 too, `Unknown` |
//! | the service returned an error, or the body failed | a server's `Unknown`, a client's `Unavailable`; `DeadlineExceeded` if the time was up |
//! | dropped before its end: the client left, a timeout outside | `Canceled`; `DeadlineExceeded` if the time was up |
//! | the service or the body panicked | `Internal`, and the panic goes on |
//!
//! Where the head has said the code (`grpc-status`, or a status of HTTP other than 200), a body that fails or is dropped
//! changes nothing: clients do not read on. *The time is up* when as much of it has passed as the header
//! `grpc-timeout` allowed, less a tenth of it, at most 10 ms: the client's clock started before ours.
//!
//! An error of the inner service is looked at by nobody: its type is the service's own business. tonic's services
//! answer their errors, so this is about layers inside: one that returns tonic's `Status` as an error is answered with its
//! code by tonic outside of this layer, which counts `Unknown`.
//!
//! [gRPC maps it]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
//!
//! # What a method is called
//!
//! `/shop.Orders/CallState` is the service `shop.Orders` and the method `CallState`; whatever else stands before them is a part of
//! the service's name, to be declared with it: `api/shop.Orders`. Scanners can ask for any path, so a server's
//! method is labelled
//!
//! - at once, if it is declared ([`GrpcMetrics::method`], or a descriptor set) or known: its series then exist
//!   from the start, every code at 0;
//! - when its first response is there, if that is gRPC's (`content-type`) and not `UNIMPLEMENTED`. It is known from
//!   there on; this first call is started and in progress from there on, too;
//! - else as `unknown`, service and method: `UNIMPLEMENTED`, no response at all, or a path that is no method's.
//!
//! A client's method is labelled at once: its paths are the program's own. `grpc_type` is `unknown` unless the method
//! is declared. Past [`max_methods`](GrpcMetrics::max_methods) a method that is not declared is `overflow`. Where a layer inside
//! answers any path, as one that checks passwords does with `Unauthenticated`, declare the methods and set that to 0.
//!
//! Requests whose `content-type` is not `application/grpc…` pass unmeasured, so the page can lie beside the services,
//! and this layer beside an [`HttpMetricsLayer`](crate::HttpMetricsLayer). So does `application/grpc-web`, which
//! has its trailers in its body: put this layer inside the one that translates it.
//!
//! # What it cannot see
//!
//! What never reaches the layer is not counted, and what happens outside of it is not known:
//!
//! | what lies outside | what it hides |
//! |---|---|
//! | tonic's `load_shed`, `concurrency_limit_per_connection` | calls that were refused; the time that calls waited |
//! | tonic's `timeout`, and `grpc-timeout` | nothing but its reason: the call is dropped, `DeadlineExceeded` if `grpc-timeout` was up, else `Canceled` |
//! | `max_concurrent_streams`, TLS, a connection that fails | calls that were never made |
//! | a retry outside a client's layer | nothing: each attempt is a call |
//! | retries, balancing, `Endpoint::timeout` inside a client's layer | attempts: they are one call, and its error is `Unavailable`, or `DeadlineExceeded` if `grpc-timeout` was up |
//! | an error from `poll_ready` | no call was made; none is counted |
//!
//! A body whose buffers are in more than 32 pieces, or in pieces that they do not show, has its messages counted up to there.

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
