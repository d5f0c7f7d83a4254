//! Metrics for gRPC servers and clients: calls by method and status code, durations and messages.
//!
// Compiled in `tests/integration`, which depends on tonic.
#![cfg_attr(not(doctest), doc = include_str!("tonic_server.md"))]
//!
//! To measure one service only, use tonic's `LayerExt`: `metrics.grpc_layer().named_layer(service)`. The layers do not
//! depend on tonic: they measure any gRPC service that takes `http::Request` and returns `http::Response`.
//!
//! For a client, [`map_request_body`](GrpcMetricsLayer::map_request_body) converts the request body to the type that
//! tonic's `Channel` accepts:
//!
#![cfg_attr(not(doctest), doc = include_str!("tonic_client.md"))]
//!
//! To change its settings, build the layer with [`GrpcMetrics::client`](crate::GrpcMetrics::client).
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
//! | `grpc_server_msg_size_received_bytes`, off by default | histogram | the same | size of each message received, compressed |
//! | `grpc_server_msg_size_sent_bytes`, off by default | histogram | the same | size of each message sent, compressed |
//! | `metrics_label_overflow_total` | counter | `family`, `label` | calls recorded as `overflow` |
//!
//! The metrics of a client are named `grpc_client_…`. Names and labels are those of go-grpc-middleware, so
//! its dashboards work.
//!
//! | to | use |
//! |---|---|
//! | turn a metric on or off | [`measure`](crate::GrpcMetrics::measure), [`without`](crate::GrpcMetrics::without) |
//! | use OpenTelemetry's names, labels and buckets | [`GrpcMetrics::open_telemetry_server`](crate::GrpcMetrics::open_telemetry_server), [`open_telemetry_client`](crate::GrpcMetrics::open_telemetry_client) |
//! | rename metrics and labels, or use other forms of status codes | [`GrpcNaming`], [`CodeFormat`] |
//! | have one label for service and method | [`full_method_label`](GrpcNaming::full_method_label). The method cannot be left out: aggregate over it in queries, `sum without (grpc_method) (…)` |
//! | add a custom label | [`GrpcMetrics::label`](crate::GrpcMetrics::label) |
//! | add the status code to the durations | [`code_on_durations`](crate::GrpcMetrics::code_on_durations) |
//! | turn the layer off by a setting of the application | [`enabled`](crate::GrpcMetrics::enabled) |
//! | build the layer before a global recorder is installed | [`build_global`](crate::GrpcMetrics::build_global) |
//!
//! When no call is in progress, the started calls, the handled calls and the count of
//! the histogram are equal, and the gauge is 0.
//!
//! # How calls end
//!
//! A call is counted as handled exactly once, when it ends. Its duration ends at the same time. Codes are spelled as
//! in grpc-go: `OK`, `NotFound`, and `Canceled` with one l.
//!
//! The first row that applies decides:
//!
//! | how the call ended | `grpc_code` |
//! |---|---|
//! | the inner service or the response body panicked | `Internal`, also if the response head has a code; the panic propagates |
//! | the response is complete, with `grpc-status` in its trailers | that code; `Unknown` if it is not a valid code |
//! | the response is complete, with `grpc-status` in its head only | that code; `Unknown` if it is not a valid code |
//! | the response is complete, without `grpc-status` | the code of the HTTP status (next table) |
//! | the response head has a code (`grpc-status`, or an HTTP status other than 200), and the response body then returned an error or was dropped | the code of the head, because clients stop reading there |
//! | the inner service (on a server, a layer inside; on a client, for example tonic's `Channel`) returned an error, or the response body did | `DeadlineExceeded` if the timeout in the header `grpc-timeout` had expired, otherwise `Unknown` on a server and `Unavailable` on a client |
//! | the call was dropped before its end: on a server, because the client cancelled it or disconnected, or an outer layer timed out; on a client, because the caller dropped the future or the stream | `DeadlineExceeded` if the timeout in the header `grpc-timeout` had expired, otherwise `Canceled` |
//!
//! A response is complete once its trailers have passed the layer, or its body returned `None` or reported its end
//! (`is_end_stream`). The announced size of a body is not used, because trailers follow its last byte. If the body is
//! dropped before, also after the last message, the last row applies, or the row of the head if the head has a code.
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
//! tonic's services return their errors as responses, so a call of a tonic method ends with a complete response:
//!
//! | the tonic method | `grpc_code` |
//! |---|---|
//! | returned `Ok` with a message | `OK` |
//! | returned `Ok` with a stream, and the stream ended | `OK` |
//! | returned `Ok` with a stream, and an item of it was `Err(Status::data_loss(…))` | `DataLoss`, as any code of a `Status` |
//! | returned `Err(Status::not_found(…))` | `NotFound`, as any code of a `Status` |
//!
//! If tonic's `Channel` cannot connect, each call that is made on it is `Unavailable`. A failing `Endpoint::connect()`
//! is not a call. The code does not tell DNS errors, TLS errors and refused connections apart. To tell them apart, add
//! an [`HttpMetrics::client`](crate::HttpMetrics::client) layer with
//! [`with_error_kind`](crate::HttpMetrics::with_error_kind) inside the gRPC layer, around the same channel:
//!
//! ```text
//! type KindOf = fn(&tonic::transport::Error) -> ErrorKind;
//! type MeasuredChannel =
//!     GrpcMetricsService<MapRequestBodyService<HttpMetricsService<Channel, ErrorKindFn<KindOf>>, Body>>;
//!
//! fn kind(error: &tonic::transport::Error) -> ErrorKind {
//!     ErrorKind::of(error)
//! }
//!
//! let http = HttpMetrics::client()
//!     .prefix("channel") // only if the registry has another HTTP client layer, see below
//!     .with_error_kind(kind as KindOf)
//!     .build(&metrics)?;
//! let measured: MeasuredChannel = ServiceBuilder::new()
//!     .layer(metrics.grpc_client_layer().map_request_body(Body::new))
//!     .layer(http)
//!     .service(channel);
//! ```
//!
//! `channel_http_client_requests_total` then has the label `error_kind`. Around a `Channel`, `host` is empty unless the
//! client is [created with its origin](crate::http::HttpLabel::port), and `endpoint` is empty unless a setting such as
//! [`route_patterns`](crate::HttpMetrics::route_patterns) names it.
//!
//! The prefix is needed only if the registry has another HTTP client layer with other labels or buckets, such as one
//! without `with_error_kind`: `build` returns an error for metrics of the same name with other labels. With
//! [`open_telemetry_client`](crate::HttpMetrics::open_telemetry_client), leave the prefix out, because it changes the names
//! of the conventions: the kinds are in `error_type`, which layers without `with_error_kind` have too.
//!
//! The timeout of a call is that of the header `grpc-timeout`:
//!
//! | timeout in tonic | sends `grpc-timeout` | code of the client's call if it expires |
//! |---|---|---|
//! | `Request::set_timeout` | yes | `DeadlineExceeded` |
//! | `Endpoint::timeout` | no | `Unavailable`, because the channel returns an error |
//!
//! The timeout is measured from the start of the call in this layer. The client's clock started earlier, so its
//! cancellation can arrive shortly before the timeout expires in a server's layer. Therefore a timeout counts as expired
//! early, in layers of servers and of clients:
//!
//! | timeout | counts as expired |
//! |---|---|
//! | 100 ms or more | 10 ms early: a timeout of 1 s after 990 ms |
//! | less than 100 ms | a tenth of it early: a timeout of 50 ms after 45 ms |
//!
//! The error value of the inner service is not inspected. If a layer inside the metrics layer returns tonic's `Status`
//! as an error, tonic turns it into a response with that code outside the metrics layer, which counts `Unknown`.
//!
//! # Interceptors and other layers
//!
//! The layer that is added first to tonic's `Server::builder()` is the outermost, as in tower's `ServiceBuilder`. Add
//! the metrics layer first, and authentication after it:
//!
//! ```text
//! Server::builder()
//!     .layer(metrics.grpc_layer())
//!     .layer(InterceptorLayer::new(authenticate))
//! ```
//!
//! tonic turns the `Status` of an interceptor (`with_interceptor`, `InterceptorLayer`) into a response:
//!
//! | interceptor | a call that it rejects | headers that it adds |
//! |---|---|---|
//! | of a server, inside the metrics layer | counted with its code, such as `Unauthenticated`: as `unknown`, unless the method is [preregistered or known](#service-and-method-labels) | not visible to custom labels |
//! | of a server, outside the metrics layer | not counted | visible to custom labels |
//! | of a client, `GreeterClient::with_interceptor(measured, …)`: outside the metrics layer | not counted | visible to custom labels |
//!
//! An `InterceptorLayer` of the `Server` runs for every request, so it also rejects scrapes of a metrics page on the same
//! server, unless they pass its check. Set `with_interceptor` for each service instead, or serve the page on another port
//! (`scrape::MetricsServer`, feature `server`).
//!
//! For a label with a verified value, such as the tenant of a token:
//!
//! | the value is verified by | a label can read |
//! |---|---|
//! | an interceptor inside the metrics layer | nothing verified, only the headers that the client sent: [list the values](crate::http::HttpLabel::values) |
//! | a tower layer inside the metrics layer | an extension that this layer adds to the response, with [`from_response`](crate::http::HttpLabel::from_response). [`on_everything`](crate::http::HttpLabel::on_everything) is not possible |
//! | an interceptor outside the metrics layer | an extension that the interceptor inserts (`request.extensions_mut()`), with [`from_request`](crate::http::HttpLabel::from_request), or a header that it sets with `insert`, which replaces the client's; `append` keeps the client's value first. Its rejections are not counted |
//!
//! [gRPC maps it]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
//!
//! # Service and method labels
//!
//! The path `/shop.Orders/Place` has the service `shop.Orders` and the method `Place`. Further segments
//! before them belong to the service: `/api/shop.Orders/Place` has the service `api/shop.Orders`, even if
//! `shop.Orders` is preregistered.
//!
//! Clients can request any path, so a server uses a path as labels only once a response has proven that the method
//! exists. A gRPC response (HTTP status 200, `content-type: application/grpc…`) proves it by a response message, counted
//! when its last byte passes, or by the code `OK`. Any other code without a response message proves nothing:
//! authentication (`UNAUTHENTICATED`, `PERMISSION_DENIED`), rate limits (`RESOURCE_EXHAUSTED`) and routers
//! (`UNIMPLEMENTED`) answer any path. The first row that applies decides:
//!
//! | method on a server | labels | new series that unauthenticated calls can cause (authentication inside the layer, no response message) |
//! |---|---|---|
//! | preregistered with [`GrpcMetrics::method`](crate::GrpcMetrics::method) or a file descriptor set | its own; its series are exported as 0 from start-up, with every code | none |
//! | known from an earlier call | its own, from the start of the call, whatever the response is | one for each code; with the code on durations, see below |
//! | the path cannot name a method: not `/service/method`, longer than 256 bytes, or not printable ASCII | `unknown`, from the start of the call | those of `unknown` |
//! | new, its first response message or the code `OK` passes, and [`max_methods`](crate::GrpcMetrics::max_methods) methods that are not preregistered are already known | `overflow` | not possible: this needs a response message or `OK` |
//! | the same, and fewer are known | its own; it is known from then on | not possible, as above |
//! | new, and the call ends in any other way: another code, an error, dropped, panicked | `unknown`; its own if another call has proven the method meanwhile | those of `unknown`; if proven meanwhile, as for a known method |
//!
//! With an [idle timeout](crate::RegistryBuilder::idle_timeout) of the registry, a method that is not preregistered is
//! known until its series have expired. Then its place under `max_methods` is free, and its next call is that of a new
//! method. A call in progress keeps its method. The same is true on a client.
//!
//! The series of `unknown` are a fixed set: the gauge, three counters (calls started, messages received and sent), a
//! histogram of durations, those of sizes that are on, and a series of `grpc_server_handled_total` for each code that
//! occurs, at most 17. With the default settings, these are at most 1 + 3 + (11 + 3) + 17 = 35 series. With
//! [`code_on_durations`](crate::GrpcMetrics::code_on_durations), and with
//! [`open_telemetry_server`](crate::GrpcMetrics::open_telemetry_server), each new code also adds a histogram of durations,
//! bounds + 3 series, to `unknown` and to known methods. The series of the handled counter exist only if it is on.
//!
//! Without custom labels, that is all. With them, each new combination of values adds the series of the
//! next table to the method that is called: to `unknown`, to every known method and to every preregistered method. A label
//! has as many values as are [listed](crate::http::HttpLabel::values), otherwise up to its limit, and also `overflow` and
//! the empty string. Only metrics that have the label get the series:
//!
//! | metric | series for each new combination, for each method |
//! |---|---|
//! | `grpc_server_handled_total` | one for each code that occurs |
//! | histogram | bounds + 3; of durations with `code_on_durations`, for each code |
//! | any other | one |
//!
//! Rejected calls can use up the limit of a label, with an idle timeout until the series of their values have expired. They
//! cannot use up listed values: list the values, or read them from something that only authenticated calls have.
//!
//! For preregistered methods, the listed values are exported as 0 from start-up; any other value adds new series. To
//! export the empty string and `overflow` as 0 too, list `""` and `"overflow"`.
//!
//! The first call of a new method is counted as started and in progress only once it has its labels: from its first
//! response message, otherwise from its end. Until then it is in progress in no series, so a stream that has sent no
//! response message is not visible yet. Its duration is still that of the whole call. To avoid all this, preregister the
//! methods.
//!
//! If the service itself answers any path with a response message or `OK`, as a proxy does, clients can choose names up
//! to `max_methods`. Preregister the methods and set `max_methods(0)`: all other calls are then `unknown` or `overflow`.
//! `overflow` is then expected, so exclude it from alerts: `metrics_label_overflow_total{label!="grpc_method"}`, or
//! `{label!="rpc_method"}` with OpenTelemetry's names.
//!
//! On a client, paths come from the program. The labels are known when the call starts, whatever the response is:
//!
//! | method on a client | labels |
//! |---|---|
//! | preregistered | its own; its series are exported as 0 from start-up, with every code |
//! | the path cannot name a method (as on a server) | `unknown` |
//! | known from an earlier call | its own |
//! | new, and `max_methods` methods that are not preregistered are already known | `overflow` |
//! | new | its own |
//!
//! | labels | `grpc_type` | `grpc_service` | `grpc_method` |
//! |---|---|---|---|
//! | its own, preregistered | the type that was preregistered | the service | the method |
//! | its own, not preregistered | `unknown` | the service | the method |
//! | `unknown` | `unknown` | `unknown` | `unknown` |
//! | `overflow` | `unknown` | `overflow` | `overflow` |
//!
//! With OpenTelemetry's names, `unknown` is `_OTHER`. A [full method label](GrpcNaming::full_method_label), such as
//! their `rpc_method`, is `service/method`, or only the word: `unknown` (`_OTHER`) or `overflow`.
//!
//! A call with a label value `overflow` increments `metrics_label_overflow_total`, whose labels are:
//!
//! | label | value |
//! |---|---|
//! | `family` | the full name of the calls that ended, such as `grpc_server_handled_total`; if this metric is off, the first of the [metrics](#metrics) that is on, such as `rpc_server_call_duration_seconds` with OpenTelemetry's names |
//! | `label` | the name of the label with the method: `grpc_method`, or as renamed; for a custom label, its name |
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
//! The layer cannot measure what happens outside of it, and counts what the inner service does for one request as one
//! call.
//!
//! Server:
//!
//! | | effect |
//! |---|---|
//! | tonic's `load_shed`, `concurrency_limit_per_connection` (outside the layer) | rejected calls, and the time that calls wait, are not measured |
//! | tonic's `timeout`, and `grpc-timeout` (outside the layer) | the call is dropped: `DeadlineExceeded` if `grpc-timeout` has expired, otherwise `Canceled` |
//! | `max_concurrent_streams`, TLS, a client that cannot connect | calls that never reach the layer are not measured |
//!
//! Client:
//!
//! | | effect |
//! |---|---|
//! | retries outside the layer | each attempt is a call |
//! | retries, load balancing, `Endpoint::timeout` inside the layer | all attempts are one call; its error is `Unavailable`, or `DeadlineExceeded` if `grpc-timeout` has expired |
//!
//! Both:
//!
//! | | effect |
//! |---|---|
//! | an error from `poll_ready` | not counted, because no call was made |
//!
//! If a body has a buffer of more than 32 chunks, or of chunks that it does not expose (`chunks_vectored`),
//! its messages are counted only up to there.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod call_labels;
pub(crate) mod call_lookup;
pub(crate) mod code;
pub(crate) mod code_format;
pub(crate) mod config;
pub(crate) mod deferred;
#[cfg(feature = "grpc-descriptor")]
mod descriptor;
pub(crate) mod families;
pub(crate) mod frames;
pub(crate) mod future;
pub(crate) mod layer;
pub(crate) mod map_request_body;
pub(crate) mod method;
pub(crate) mod method_ref;
pub(crate) mod method_rows;
pub(crate) mod methods;
pub(crate) mod metric;
pub(crate) mod naming;
pub(crate) mod series;
pub(crate) mod service;
pub(crate) mod settings;

pub use self::{
    body::{GrpcRequestBody, GrpcResponseBody},
    code_format::CodeFormat,
    future::GrpcResponseFuture,
    layer::GrpcMetricsLayer,
    map_request_body::{MapRequestBodyLayer, MapRequestBodyService},
    metric::GrpcMetric,
    naming::GrpcNaming,
    service::GrpcMetricsService,
    settings::GrpcType,
};
