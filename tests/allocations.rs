//! Recording into existing series does not allocate. A test binary of its own, because it sets a global allocator.

use std::future::ready;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::{GrpcMetric, GrpcNaming, GrpcRequestBody};
use tower_prometheus::{
    GrpcMetrics, HttpMetrics, HttpMetricsLayer, Registry,
    http::{Endpoint, ErrorKind, HttpLabel, HttpMetric, RequestBody, TraceId},
};

/// Polls a future, which must be ready, and reads the response body to its end.
fn run<F, B, E>(future: F)
where
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(future).poll(cx) else {
        panic!("the future is pending");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(cx) {}
}

/// The number of allocations of 100 calls, after three. Asserts that the calls free all memory that they allocate.
fn allocations(mut call: impl FnMut()) -> u64 {
    // These register series.
    for _ in 0..3 {
        call();
    }
    let info = allocation_counter::measure(|| (0..100).for_each(|_| call()));
    assert_eq!(info.bytes_current, 0, "memory of calls is not freed");
    info.count_total
}

#[test]
fn http_layer_does_not_allocate() {
    let registry = Registry::new();
    let inner = service_fn(|_: Request<()>| {
        std::future::ready(Ok::<_, ()>(Response::new(Full::new(Bytes::from_static(
            b"hello",
        )))))
    });
    let mut service = registry.http_layer().layer(inner);
    let request = || Request::new(());
    assert_eq!(allocations(|| run(service.call(request()))), 0);

    // With an endpoint: the only allocations are those of the test's own request extension.
    let with_endpoint = || {
        let mut request = request();
        request
            .extensions_mut()
            .insert(Endpoint::from_static("/hello"));
        request
    };
    let own = allocations(|| drop(with_endpoint()));
    assert_eq!(allocations(|| run(service.call(with_endpoint()))), own);

    // A cancelled request, an aborted body, and a request after a scrape.
    assert_eq!(allocations(|| drop(service.call(request()))), 0);
    let aborted = || drop(service.call(request()).now_or_never());
    assert_eq!(allocations(aborted), 0);
    drop(registry.render());
    assert_eq!(allocations(|| run(service.call(request()))), 0);
}

/// Responds with "hello".
fn hello<E>(_: Request<()>) -> std::future::Ready<Result<Response<Full<Bytes>>, E>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
}

/// Asserts that a layer adds no allocations to those of the request and of the inner service.
#[track_caller]
fn assert_adds_no_allocations<S, B>(
    metrics: &HttpMetrics,
    inner: &S,
    request: impl Fn() -> Request<()>,
) -> Registry
where
    S: Service<Request<()>, Response = Response<B>> + Clone,
    B: http_body::Body,
{
    let mut own = inner.clone();
    let own = allocations(|| run(own.call(request())));
    let measure = |registry: &Registry| {
        let layer: HttpMetricsLayer = metrics.clone().build(registry).unwrap();
        let mut measured = layer.layer(inner.clone());
        assert_eq!(allocations(|| run(measured.call(request()))), own);
        assert_eq!(registry.sum("http_requests_total", &[]), Some(103.0));
    };
    let expiring = Registry::builder().idle_timeout(Duration::from_secs(60));
    measure(&expiring.build().unwrap());
    let registry = Registry::new();
    measure(&registry);
    registry
}

#[test]
fn values_beyond_the_limit_do_not_allocate_in_a_registry_with_timeouts() {
    let registry = Registry::builder().idle_timeout(Duration::from_secs(60));
    let registry = registry.build().unwrap();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let layer = HttpMetrics::server().label(tenant.max_values(1));
    let mut service = layer
        .build(&registry)
        .unwrap()
        .layer(service_fn(hello::<()>));
    let request = |tenant| {
        let request = Request::get("/").header("x-tenant", tenant);
        request.body(()).unwrap()
    };
    run(service.call(request("first")));
    let own = allocations(|| drop(request("further")));
    assert_eq!(allocations(|| run(service.call(request("further")))), own);
    let overflow = registry.sum("http_requests_total", &[("tenant", "overflow")]);
    assert_eq!(overflow, Some(103.0));
}

#[test]
fn labels_and_metrics_of_a_layer_do_not_allocate_on_known_series() {
    let metrics = HttpMetrics::server()
        .label(HttpLabel::from_request("client", |request| {
            request.header("x-client")
        }))
        .label(HttpLabel::from_response("cached", |_| Some("yes")))
        .label(HttpLabel::host("host").on_everything())
        .label(HttpLabel::port("port").on_histograms())
        .measure(HttpMetric::HeadDuration)
        .measure(HttpMetric::ResponseBodySize)
        .measure(HttpMetric::ResponseBytes)
        .measure(HttpMetric::Responses)
        .status_on_durations();
    let request = || {
        let request = Request::get("http://SHOP.Example:8080/").header("x-client", "ios");
        request.body(()).unwrap()
    };
    let registry = assert_adds_no_allocations(&metrics, &service_fn(hello::<()>), request);
    let labels = [
        ("client", "ios"),
        ("cached", "yes"),
        ("host", "shop.example"),
        ("port", "8080"),
    ];
    assert_eq!(registry.sum("http_requests_total", &labels), Some(103.0));
    let host = [("host", "shop.example")];
    let bytes = registry.sum("http_response_body_bytes_total", &host);
    assert_eq!(bytes, Some(103.0 * 5.0));
}

/// Sends requests of tenants that come and go, and returns the bytes that are allocated and not freed.
fn bytes_kept_by(
    rounds: std::ops::Range<usize>,
    registry: &Registry,
    layer: &HttpMetricsLayer,
) -> i64 {
    const LIVE: usize = 200;
    let mut service = layer.layer(service_fn(hello::<()>));
    let info = allocation_counter::measure(|| {
        for round in rounds {
            for i in 0..LIVE {
                let request = Request::get("/").header("x-tenant", format!("{round}-{i}"));
                run(service.call(request.body(()).unwrap()));
            }
            // The first page shows the series, they leave with the second, and the third clears their cells.
            for _ in 0..3 {
                drop(registry.render());
            }
            assert_eq!(registry.sum("http_requests_total", &[]), None);
            assert_eq!(registry.sum("metrics_label_overflow_total", &[]), None);
        }
    });
    info.bytes_current
}

#[test]
fn tenants_that_come_and_go_keep_no_memory() {
    let registry = Registry::builder().idle_timeout(Duration::from_nanos(1));
    let registry = registry.build().unwrap();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let metrics = HttpMetrics::server().label(tenant.on_everything().max_values(200));
    let layer = metrics.build(&registry).unwrap();
    let first = bytes_kept_by(100..140, &registry, &layer);
    let kept: Vec<_> = (2..6)
        .map(|i| bytes_kept_by(i * 100..i * 100 + 40, &registry, &layer))
        .collect();
    // The registry's hash maps grow a little when many keys happen to have similar hashes.
    assert!(
        kept.iter().sum::<i64>() < first / 4,
        "{first}, then {kept:?}"
    );
}

#[test]
fn upper_case_host_header_does_not_allocate() {
    let metrics = HttpMetrics::server().label(HttpLabel::host("host").values(["shop.example"]));
    let request = || {
        let request = Request::get("/").header("host", "SHOP.example:8080");
        request.body(()).unwrap()
    };
    let registry = assert_adds_no_allocations(&metrics, &service_fn(hello::<()>), request);
    let host = [("host", "shop.example")];
    assert_eq!(registry.sum("http_requests_total", &host), Some(103.0));
}

#[test]
fn kept_parameters_and_added_methods_do_not_allocate() {
    let metrics = HttpMetrics::server()
        .keep_parameter("region", ["eu", "us"])
        .methods(["PROPFIND"]);
    let request = || {
        let endpoint = Endpoint::from_static("/{region}/orders/{id}");
        let request = Request::get("/eu/orders/7").extension(endpoint);
        let propfind = Method::from_bytes(b"PROPFIND").unwrap();
        request.method(propfind).body(()).unwrap()
    };
    let registry = assert_adds_no_allocations(&metrics, &service_fn(hello::<()>), request);
    let labels = [("endpoint", "/eu/orders/{id}"), ("method", "PROPFIND")];
    assert_eq!(registry.sum("http_requests_total", &labels), Some(103.0));
}

#[test]
fn labels_from_trailers_do_not_allocate_for_known_values() {
    let metrics = HttpMetrics::server().label(HttpLabel::from_outcome("checksum", |outcome| {
        outcome.trailer("x-checksum")
    }));
    let answer = service_fn(|_: Request<()>| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("crc32"));
        let frames = [
            Ok::<_, ()>(Frame::data(Bytes::from_static(b"hello"))),
            Ok(Frame::trailers(trailers)),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        ready(Ok::<_, ()>(Response::new(body)))
    });
    let registry = assert_adds_no_allocations(&metrics, &answer, || Request::new(()));
    let labels = [("checksum", "crc32"), ("status", "200")];
    assert_eq!(registry.sum("http_requests_total", &labels), Some(103.0));
}

/// Polls a future, which must be ready with an error.
fn fail<T, E>(future: impl Future<Output = Result<T, E>>) {
    let failed = future.now_or_never();
    assert!(failed.is_some_and(|result| result.is_err()));
}

#[test]
fn error_kinds_do_not_allocate() {
    use std::io::{self, ErrorKind::TimedOut};
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .error_kinds([ErrorKind::new("quota")])
        .with_error_kind(|error: &io::Error| ErrorKind::of(error))
        .build(&registry)
        .unwrap();
    let request = || Request::new(());
    let mut answers = layer.clone().layer(service_fn(hello::<io::Error>));
    assert_eq!(allocations(|| run(answers.call(request()))), 0);
    // With a source, whose text is read.
    #[derive(Debug)]
    struct Refused;
    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "attempt {}: Connection refused", 1)
        }
    }
    impl std::error::Error for Refused {}
    let timed_out = || io::Error::from(TimedOut);
    let refused = || io::Error::other(Refused);
    for (error, kind) in [
        (&timed_out as &dyn Fn() -> io::Error, "timeout"),
        (&refused, "connect"),
    ] {
        let inner = |_: Request<()>| ready(Err::<Response<Full<Bytes>>, _>(error()));
        let own = allocations(|| drop(error()));
        let mut fails = layer.clone().layer(service_fn(inner));
        assert_eq!(allocations(|| fail(fails.call(request()))), own, "{kind}");
        let failed = registry.sum("http_requests_total", &[("error_kind", kind)]);
        assert_eq!(failed, Some(103.0));
    }
}

#[test]
fn grpc_layers_do_not_allocate_for_known_methods() {
    let registry = Registry::new();
    let inner = service_fn(grpc_ok);
    let request = || {
        let mut request = grpc_request(http::Uri::from_static("/shop.Orders/Place"));
        let timeout = HeaderValue::from_static("1S");
        request.headers_mut().insert("grpc-timeout", timeout);
        request
    };
    // The only allocations are those of the test's own headers. The first response registers the method.
    let own = allocations(|| drop((request(), grpc_response())));
    let mut service = registry.grpc_layer().layer(inner);
    assert_eq!(allocations(|| run(service.call(request()))), own);
    // A cancelled call.
    assert_eq!(allocations(|| drop(service.call(request()))), own);
    let mut client = registry.grpc_client_layer().layer(inner);
    assert_eq!(allocations(|| run(client.call(request()))), own);

    // With everything that is off by default.
    let all = |metrics: GrpcMetrics| {
        let timeout = HttpLabel::from_request("timeout", |request| request.header("grpc-timeout"));
        let status = HttpLabel::from_response("status", |response| response.header("grpc-status"));
        let layer = metrics
            .prefix("all")
            .naming(GrpcNaming::open_telemetry())
            .label(timeout.on_histograms())
            .label(status)
            .code_on_durations()
            .measure(GrpcMetric::ReceivedMessageSize)
            .measure(GrpcMetric::SentMessageSize);
        layer.build(&registry).unwrap()
    };
    for metrics in [GrpcMetrics::server(), GrpcMetrics::client()] {
        let mut service = all(metrics).layer(inner);
        assert_eq!(allocations(|| run(service.call(request()))), own);
    }
    let labels = [("timeout", "1S"), ("status", "0")];
    let calls = registry.sum("all_rpc_server_calls_total", &labels);
    assert_eq!(calls, Some(103.0));
}

/// A gRPC service that responds with [`grpc_response`].
fn grpc_ok(
    _: Request<GrpcRequestBody<Full<Bytes>>>,
) -> std::future::Ready<Result<Response<Full<Bytes>>, ()>> {
    ready(Ok(grpc_response()))
}

/// A response with a message and `OK`.
fn grpc_response() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"\0\0\0\0\x01x")));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("0"));
    response
}

fn grpc_request(uri: http::Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from_static(b"\0\0\0\0\x01x")));
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    request
}

#[test]
fn grpc_layers_whose_methods_expire_do_not_allocate_for_known_methods() {
    let registry = Registry::builder().idle_timeout(Duration::from_secs(600));
    let registry = registry.build().unwrap();
    let request = || grpc_request(http::Uri::from_static("/shop.Orders/Place"));
    let own = allocations(|| drop((request(), grpc_response())));
    let with_open_labels = |metrics: GrpcMetrics| {
        let content = HttpLabel::from_request("content", |request| request.header("content-type"));
        let status = HttpLabel::from_response("status", |response| response.header("grpc-status"));
        let path = HttpLabel::from_request("path", |request| Some(request.uri().path()));
        let metrics = metrics.prefix("labelled").label(content.on_everything());
        let metrics = metrics.label(status).label(path.on_histograms());
        metrics.build(&registry).unwrap()
    };
    for layer in [
        registry.grpc_layer(),
        registry.grpc_client_layer(),
        with_open_labels(GrpcMetrics::server()),
        with_open_labels(GrpcMetrics::client()),
    ] {
        let mut service = layer.layer(service_fn(grpc_ok));
        assert_eq!(allocations(|| run(service.call(request()))), own);
        let aborted = || drop(service.call(request()).now_or_never());
        assert_eq!(allocations(aborted), own);
    }
    let labels = [
        ("content", "application/grpc"),
        ("status", "0"),
        ("path", "/shop.Orders/Place"),
    ];
    let calls = registry.sum("labelled_grpc_server_handled_total", &labels);
    assert_eq!(calls, Some(206.0));
}

/// 200,000 methods of a layer that knows 1,000 at a time.
#[test]
fn memory_stays_the_same_while_methods_come_and_go() {
    const MAX_METHODS: usize = 1000;
    let registry = Registry::builder().idle_timeout(Duration::from_nanos(1));
    let registry = registry.build().unwrap();
    let layer = GrpcMetrics::client()
        .max_methods(MAX_METHODS)
        .without(GrpcMetric::Started)
        .without(GrpcMetric::InProgress)
        .without(GrpcMetric::MessagesSent)
        .without(GrpcMetric::MessagesReceived)
        .without(GrpcMetric::Handling)
        .build(&registry)
        .unwrap();
    let mut service = layer.layer(service_fn(grpc_ok));
    let mut call_methods = |round: usize| {
        for method in 0..MAX_METHODS {
            let path = format!("/shop.Orders/M{round}x{method}");
            run(service.call(grpc_request(path.try_into().unwrap())));
        }
        let calls = registry.sum("grpc_client_handled_total", &[]);
        assert_eq!(calls, Some(MAX_METHODS as f64), "round {round}");
        let _ = test_support::render_until_gone(&registry, "grpc_client_handled_total{");
    };
    (0..3).for_each(&mut call_methods);
    let mut max_bytes = |rounds: std::ops::Range<usize>| {
        allocation_counter::measure(|| rounds.for_each(&mut call_methods)).bytes_max
    };
    let (first, later) = (max_bytes(3..40), max_bytes(40..200));
    // The thread keeps up to 1000 methods that are forgotten, so the number of bytes varies a little.
    assert!(later < first + first / 4, "{first} bytes, {later} bytes");
    let overflow = [("grpc_method", "overflow")];
    assert_eq!(registry.sum("grpc_client_handled_total", &overflow), None);
}

/// axum's `Router::layer` boxes every response body of another type than its own.
#[test]
fn layer_in_a_router_allocates_as_much_as_a_layer_that_only_wraps_the_body() {
    let router = || Router::new().route("/users/{id}", get(async || "ada"));
    let registry = Registry::new();
    let mut measured = router().layer(registry.http_layer()).with_state::<()>(());
    let mut wrapped = router().layer(WrapLayer).with_state::<()>(());
    let request = || Request::get("/users/7").body(Body::empty()).unwrap();
    let wrapped = allocations(|| run(wrapped.call(request())));
    let measured = allocations(|| run(measured.call(request())));
    assert_eq!(measured, wrapped);
}

#[derive(Clone)]
struct WrapLayer;

#[derive(Clone)]
struct Wrap<S>(S);

struct WrappedBody<B>(B);

impl<S> Layer<S> for WrapLayer {
    type Service = Wrap<S>;

    fn layer(&self, inner: S) -> Wrap<S> {
        Wrap(inner)
    }
}

impl<S, B> Service<Request<B>> for Wrap<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<WrappedBody<Body>>;
    type Error = S::Error;
    type Future = futures_util::future::MapOk<S::Future, fn(Response<Body>) -> Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        use futures_util::TryFutureExt;
        self.0
            .call(request)
            .map_ok(|response| response.map(WrappedBody))
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for WrappedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

#[test]
fn custom_metrics_do_not_allocate() {
    use tower_prometheus::{
        Counter, FloatCounter, Gauge, Histogram, InProgress, Operation, catalogue, custom::Outcome,
        labels,
    };
    labels! {
        enum Payment("payment") { Card = "card", Cash = "cash" }
        struct Order { payment: Payment, country: open(1), by: open(1) }
        struct Ended { method: open(3), status: Outcome }
        struct Failure { error_type: open(3) }
    }
    catalogue! {
        struct Shop {
            /// Orders.
            orders_total: Counter<Order>,
            /// Refunds.
            refunds_total: Counter<Payment>,
            /// Revenue.
            revenue_total: FloatCounter<Payment>,
            /// Books in stock.
            stock: Gauge,
            /// Parcels being packed.
            packing: InProgress,
            /// Duration of packing.
            packing_seconds: Histogram<Payment>,
            /// Operations that ended.
            ended_total: Counter<Ended>,
            /// Operations that failed.
            errors_total: Counter<Failure>,
        }
    }
    let registry = Registry::new();
    for shop in [Shop::on(&registry).unwrap(), Shop::global()] {
        let order = |country| Order {
            payment: Payment::Card,
            country,
            by: "ship",
        };
        let count = allocations(|| {
            shop.refunds_total.with(Payment::Cash).increment();
            shop.orders_total.with(order("NZ")).add(2);
            // Beyond the limit of one value.
            shop.orders_total.with(order("AU")).add(2);
            shop.revenue_total.with(Payment::Cash).add(0.5);
            shop.stock.set(3.0);
            shop.stock.increment();
            shop.packing_seconds.with(Payment::Card).observe(0.5);
            let operation = || {
                Operation::with("read")
                    .in_progress(shop.packing)
                    .duration(|_| shop.packing_seconds.with(Payment::Card))
                    .count(|end| {
                        shop.ended_total.with(Ended {
                            method: *end.labels,
                            status: end.outcome,
                        })
                    })
                    .errors(|_, error_type| shop.errors_total.with(Failure { error_type }))
            };
            operation().start().success();
            drop(operation().start());
            let failing = operation().run(std::future::ready(Err::<(), _>(std::fmt::Error)));
            let Poll::Ready(Err(_)) = pin!(failing).poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("the future is pending");
            };
        });
        assert_eq!(count, 0);
    }
    assert!(registry.sum("errors_total", &[("error_type", "Error")]) > Some(100.0));
    assert!(Registry::global().is_none());
}

#[test]
fn operation_layer_does_not_allocate() {
    use tower_prometheus::custom::{OperationLayer, Outcome};
    use tower_prometheus::{Counter, Histogram, InProgress, Operation, catalogue, labels};
    labels! {
        pub struct Ended { kind: open(5), outcome: Outcome }
    }
    catalogue! {
        struct Jobs {
            /// Jobs.
            jobs_total: Counter<Ended>,
            /// Duration of jobs in seconds.
            job_seconds: Histogram,
            /// Jobs in progress.
            jobs_in_progress: InProgress,
        }
    }
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    let start = move |kind: &&'static str| {
        let kind = *kind;
        Operation::new()
            .in_progress(jobs.jobs_in_progress)
            .duration(move |_| jobs.job_seconds)
            .count(move |end| {
                let outcome = end.outcome;
                jobs.jobs_total.with(Ended { kind, outcome })
            })
    };
    let inner = service_fn(|kind: &'static str| ready(if kind == "a" { Ok(()) } else { Err(()) }));
    let layer = OperationLayer::new(start);
    let mut service = layer.layer(inner);
    let mut observed = layer
        .on_result(|operation, result: &Result<(), ()>| {
            if result.is_err() {
                operation.set_error("refused");
            }
        })
        .layer(inner);
    let allocated = allocations(|| {
        for kind in ["a", "b"] {
            let _ = service.call(kind).now_or_never();
            drop(service.call(kind));
            let _ = observed.call(kind).now_or_never();
        }
    });
    assert_eq!(allocated, 0);
    let count = |outcome| registry.sum("jobs_total", &[("outcome", outcome)]);
    assert_eq!(count("success"), Some(206.0));
    assert_eq!(count("error"), Some(206.0));
    assert_eq!(count("cancelled"), Some(206.0));
}

/// Some requests need a box. It is reused however they end: `allocations` asserts that the calls keep no memory.
#[test]
fn memory_of_a_request_is_reused_however_it_ends() {
    let response = || Response::new(Full::new(Bytes::from_static(b"hello")));
    let request = || {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = Request::get("/x").header("traceparent", traceparent);
        request.extension(Endpoint::from_static("/x"))
    };
    let registry = Registry::new();
    let traced = HttpMetrics::server()
        .prefix("traced")
        .exemplar(TraceId::from_traceparent);
    let mut traced = traced
        .build(&registry)
        .unwrap()
        .layer(service_fn(|_: Request<()>| ready(Ok::<_, ()>(response()))));
    let new_request = || request().body(()).unwrap();
    let own = allocations(|| drop(new_request()));
    assert_eq!(allocations(|| run(traced.call(new_request()))), own);
    allocations(|| drop(traced.call(new_request())));
    // An aborted body.
    allocations(|| drop(traced.call(new_request()).now_or_never()));

    let with_body = HttpMetrics::server().prefix("read").with_request_body();
    let mut with_body = with_body.build(&registry).unwrap().layer(service_fn(
        |_: Request<RequestBody<Full<Bytes>>>| ready(Ok::<_, ()>(response())),
    ));
    let new_request = || {
        request()
            .body(Full::new(Bytes::from_static(b"hi")))
            .unwrap()
    };
    allocations(|| run(with_body.call(new_request())));
    allocations(|| drop(with_body.call(new_request())));
    allocations(|| drop(with_body.call(new_request()).now_or_never()));

    // Skipped requests and scrapes, whose series are never registered: each one is a first request.
    let skipping = HttpMetrics::server().prefix("skipping").skip(["/skipped"]);
    let mut skipping = skipping
        .build(&registry)
        .unwrap()
        .layer(service_fn(|_: Request<()>| {
            let mut response = response();
            let skipped = Endpoint::from_static("/skipped");
            response.extensions_mut().insert(skipped);
            ready(Ok::<_, ()>(response))
        }));
    let new_request = || request().body(()).unwrap();
    allocations(|| run(skipping.call(new_request())));
    let mut scraped = registry.http_layer().layer(registry.handler());
    allocations(|| run(scraped.call(new_request())));
    assert_eq!(registry.sum("skipping_http_requests_total", &[]), None);
    assert_eq!(
        registry.sum("http_requests_total", &[("endpoint", "/x")]),
        None
    );
}

#[cfg(feature = "summary")]
#[test]
fn macros_do_not_allocate_on_known_series_with_rules_for_quantiles() {
    let registry = Registry::builder()
        .quantiles_for("db.query.seconds", [0.5, 0.999])
        .buckets_for_suffix("_seconds", [0.1, 1.0])
        .build()
        .unwrap();
    let record = || {
        metrics::with_local_recorder(&registry, || {
            metrics::histogram!("db.query.seconds", "op" => "read").record(0.25);
            metrics::histogram!("wait.seconds", "op" => "read").record(0.25);
        });
    };
    assert_eq!(allocations(record), 0);
    let quantile = [("quantile", "0.999")];
    assert_eq!(registry.sum("db_query_seconds", &quantile), Some(0.25));
    assert_eq!(registry.sum("wait_seconds_count", &[]), Some(103.0));
}

#[test]
fn allocations_of_a_page_are_proportional_to_the_names_that_need_utf8() {
    let page_of = |families: usize| {
        let registry = Registry::builder().utf8_names().build().unwrap();
        metrics::with_local_recorder(&registry, || {
            for i in 0..families {
                metrics::counter!(format!("jobs.{i}_total")).increment(1);
            }
        });
        let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";
        let page = || drop(test_support::page::render_for(&registry, accept));
        page();
        allocation_counter::measure(page).count_total
    };
    let (few, many) = (page_of(50), page_of(400));
    assert!(many < 16 * few, "{few} allocations, {many} allocations");
}
