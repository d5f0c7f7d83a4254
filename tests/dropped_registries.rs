//! What a registry that is dropped frees, and what stays in memory. A separate test binary, because it sets a global
//! allocator.

use std::future::ready;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::collect::Samples;
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::http::{Endpoint, HttpLabel, HttpMetric};
use tower_prometheus::{
    Counter, FloatCounter, Gauge, GrpcMetrics, Histogram, HttpMetrics, InProgress, Info, Registry,
    Sink, StateSet, catalogue, labels,
};

use test_support::body::{ScriptedBody, Step};

labels! {
    pub enum Payment("payment") { Card = "card", Cash = "cash" }
    pub enum State { Open = "open", Closed = "closed" }
    pub struct Tenant { tenant: open(3) }
    pub struct ManyTenants { tenant: open(1000) }
}

catalogue! {
    struct Shop {
        /// Total number of orders.
        orders_total: Counter,
        /// Total number of refunds.
        refunds_total: Counter,
    }
}

catalogue! {
    struct TenantShop {
        /// Total number of orders of a tenant.
        tenant_orders_total: Counter<ManyTenants>,
        /// Duration of an order of a tenant.
        tenant_order_seconds: Histogram<ManyTenants>,
    }
}

catalogue! {
    struct Everything {
        /// Total number of payments.
        payments_total: Counter<Payment>,
        /// Total number of payments of a tenant.
        tenant_payments_total: Counter<Tenant>,
        /// Total amount.
        amount_total: FloatCounter<Tenant>,
        /// Length of the queue.
        queue_length: Gauge<Tenant>,
        /// Payments in progress.
        payments_in_progress: InProgress<Tenant>,
        /// Duration of a payment.
        payment_duration_seconds: Histogram<Tenant>,
        /// State of the shop.
        shop_state: StateSet<State, Tenant>,
        /// The shop.
        shop_info: Info<Tenant>,
    }
}

/// Registers a collector, and returns a reference to the state of the application that it holds.
fn collector_with_state(registry: &Registry) -> Weak<()> {
    let state = Arc::new(());
    let dropped = Arc::downgrade(&state);
    let collect = move |samples: &mut Samples| {
        let threads = Arc::strong_count(&state) as u64;
        samples
            .gauge("threads", "Number of threads.")
            .value(threads);
        Ok(())
    };
    registry.collector("application", collect).unwrap();
    dropped
}

fn is_dropped(state: &Weak<()>) -> bool {
    state.strong_count() == 0
}

type Answer = Response<ScriptedBody>;

/// Responds with the status in `x-status` and the content type in `x-content-type`.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a service")]
fn answer<B>(request: Request<B>) -> std::future::Ready<Result<Answer, ()>> {
    let header = |name| request.headers().get(name).cloned();
    let status = header("x-status").map_or(StatusCode::OK, |status| {
        StatusCode::from_bytes(status.as_bytes()).unwrap()
    });
    let mut response = Response::new(ScriptedBody::new([Step::Data("hello"), Step::Data("you")]));
    *response.status_mut() = status;
    if let Some(kind) = header("x-content-type") {
        response.headers_mut().insert("content-type", kind);
    }
    ready(Ok(response))
}

fn request(endpoint: &'static str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::get("/").extension(Endpoint::from_static(endpoint));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Polls a request, which must be ready, and asserts that the whole response arrives.
fn send<S: Service<Request<()>, Response = Response<B>>, B: http_body::Body>(
    service: &mut S,
    request: Request<()>,
) {
    let response = service.call(request).now_or_never().unwrap();
    let Ok(response) = response else {
        panic!("the service failed");
    };
    let body = response.into_body().collect().now_or_never().unwrap();
    let Ok(body) = body else {
        panic!("the body failed");
    };
    assert_eq!(body.to_bytes(), "helloyou");
}

#[test]
fn http_service_answers_after_its_registry_is_dropped() {
    let registry = Registry::new();
    let state = collector_with_state(&registry);
    let layer = HttpMetrics::server()
        .max_endpoints(3)
        .label(
            HttpLabel::from_request("client", |request| request.header("x-client")).max_values(2),
        )
        .label(HttpLabel::from_outcome("end", |outcome| {
            outcome.status().is_some().then_some("whole")
        }))
        .measure(HttpMetric::HeadDuration)
        .measure(HttpMetric::ResponseBodySize)
        .measure(HttpMetric::ResponseBytes)
        .measure(HttpMetric::Responses)
        .measure(HttpMetric::ConnectionDuration)
        .build(&registry)
        .unwrap();
    let plain = registry.http_client_layer();
    let mut services = [
        layer.layer(service_fn(answer::<()>)),
        plain.layer(service_fn(answer::<()>)),
    ];
    let events = [("x-content-type", "text/event-stream")];
    let mut in_progress = Vec::new();
    for service in &mut services {
        send(service, request("/known", &[]));
        in_progress.push(service.call(request("/known", &[])).now_or_never().unwrap());
        in_progress.push(
            service
                .call(request("/known", &events))
                .now_or_never()
                .unwrap(),
        );
    }
    assert_eq!(registry.sum("http_requests_total", &[]), Some(2.0));
    drop(registry);
    assert!(is_dropped(&state));

    // Requests and connections that started before.
    drop(in_progress);
    for service in &mut services {
        for endpoint in ["/known", "/new", "/full", "/beyond", "/further"] {
            for status in ["200", "404", "500"] {
                for client in ["a", "b", "c"] {
                    let headers = [("x-status", status), ("x-client", client)];
                    for _ in 0..2 {
                        send(service, request(endpoint, &headers));
                    }
                }
            }
            // An event stream, an aborted body, and a request that is cancelled.
            send(service, request(endpoint, &events));
            drop(service.call(request(endpoint, &[])).now_or_never());
            drop(service.call(request(endpoint, &[])));
        }
    }
}

#[test]
fn grpc_service_answers_after_its_registry_is_dropped() {
    let registry = Registry::new();
    let state = collector_with_state(&registry);
    let respond = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0");
        ready(Ok::<_, ()>(
            response.body(Full::<Bytes>::default()).unwrap(),
        ))
    };
    let mut services = [GrpcMetrics::server(), GrpcMetrics::client()].map(|metrics| {
        let client = HttpLabel::from_request("client", |request| request.header("x-client"));
        let metrics = metrics.max_methods(2).label(client.max_values(2));
        metrics.build(&registry).unwrap().layer(service_fn(respond))
    });
    let mut call = |path: &str, client: &str| {
        for service in &mut services {
            let request = Request::post(path)
                .header("content-type", "application/grpc")
                .header("x-client", client);
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let response = service.call(request).now_or_never().unwrap().unwrap();
            let body = response.into_body().collect().now_or_never().unwrap();
            assert_eq!(body.unwrap().to_bytes(), "");
            // A call that is cancelled.
            let request = Request::post(path).header("content-type", "application/grpc");
            drop(service.call(request.body(Full::default()).unwrap()));
        }
    };
    call("/shop.Shop/Known", "a");
    assert_eq!(registry.sum("grpc_server_started_total", &[]), Some(2.0));
    drop(registry);
    assert!(is_dropped(&state));
    for path in [
        "/shop.Shop/Known",
        "/shop.Shop/New",
        "/shop.Shop/Beyond",
        "/",
    ] {
        for client in ["a", "b", "c"] {
            call(path, client);
        }
    }
}

#[test]
fn catalogue_can_be_recorded_after_its_registry_is_dropped() {
    let registry = Registry::new();
    let state = collector_with_state(&registry);
    let everything = Everything::on(&registry).unwrap();
    let record = |tenant: &str| {
        let tenant = || Tenant { tenant };
        everything.payments_total.with(Payment::Cash).increment();
        everything.tenant_payments_total.with(tenant()).add(2);
        everything.amount_total.with(tenant()).add(0.5);
        let length = everything.queue_length.with(tenant()).remove_on_drop();
        length.set(3.0);
        length.increment();
        let histogram = everything.payment_duration_seconds.with(tenant());
        histogram.observe(0.1);
        everything.shop_state.with(tenant()).set(State::Closed);
        everything.payments_in_progress.with(tenant()).start()
    };
    let in_progress = record("a");
    assert_eq!(registry.sum("payments_total", &[]), Some(1.0));
    drop(registry);
    assert!(is_dropped(&state));
    drop(in_progress);
    for tenant in ["a", "b", "c", "d", "e"] {
        drop(record(tenant));
        everything.shop_info.set(Tenant { tenant });
        let removed = everything.tenant_payments_total.remove(Tenant { tenant });
        assert!(!removed, "{tenant}");
    }
}

#[test]
fn sinks_and_handlers_keep_a_registry_and_handles_of_collectors_do_not() {
    let registry = Registry::new();
    let state = collector_with_state(&registry);
    let handle = registry.gauge("queue_length", "Length.", || 1_u64).unwrap();
    let (sink, handler) = (Sink::from(&registry), registry.handler());
    drop(registry);
    assert!(!is_dropped(&state));
    drop(handler);
    assert!(!is_dropped(&state));
    // The sink still registers metrics.
    Shop::on(&sink).unwrap().orders_total.increment();
    drop(sink);
    assert!(is_dropped(&state));
    handle.remove();
}

const KIB: i64 = 1024;

/// The bytes that stay allocated after a call, on average of 100 calls.
fn bytes_that_stay(run: impl Fn()) -> i64 {
    // Allocates what the process allocates once.
    run();
    let info = allocation_counter::measure(|| (0..100).for_each(|_| run()));
    info.bytes_current / 100
}

/// Records into 1000 series of macros, and registers a collector.
fn record_1000_series(registry: &Registry) {
    metrics::with_local_recorder(registry, || {
        for tenant in 0..500 {
            let tenant = tenant.to_string();
            metrics::counter!("orders_of_a_tenant_total", "tenant" => tenant.clone()).increment(1);
            metrics::gauge!("queue_length_of_a_tenant", "tenant" => tenant).set(1.0);
        }
    });
    let _ = collector_with_state(registry);
    drop(registry.render());
}

#[test]
fn nothing_stays_of_a_registry_without_layers_and_catalogues() {
    let bytes = bytes_that_stay(|| {
        let registry = Registry::builder().buckets_for("wait_seconds", [1.0]);
        let registry = registry.build().unwrap();
        let handler = registry.handler();
        metrics::with_local_recorder(&registry, || {
            for tenant in ["a", "b"] {
                metrics::counter!("orders_total", "tenant" => tenant).increment(1);
                metrics::gauge!("queue_length", "shop.id" => tenant).set(1.0);
                metrics::histogram!("wait_seconds").record(0.1);
            }
        });
        let handle = registry.gauge("threads", "Number of threads.", || 1_u64);
        drop((handle, registry.render(), handler));
    });
    assert_eq!(bytes, 0);
}

/// The sizes that the documentation of `Registry` names.
#[test]
fn layers_and_catalogues_keep_the_documented_size() {
    let catalogue = bytes_that_stay(|| {
        let registry = Registry::new();
        let shop = Shop::on(&registry).unwrap();
        shop.orders_total.increment();
        shop.refunds_total.increment();
        drop(registry.render());
    });
    assert!(catalogue <= 10 * KIB, "catalogue: {catalogue} bytes");
    let http = bytes_that_stay(|| {
        let _layer = Registry::new().http_layer();
    });
    assert!(http <= 45 * KIB, "HTTP layer: {http} bytes");
    let few_endpoints = bytes_that_stay(|| {
        let metrics = HttpMetrics::server().max_endpoints(20);
        let _layer = metrics.build(Registry::new()).unwrap();
    });
    assert!(
        few_endpoints <= 13 * KIB,
        "few endpoints: {few_endpoints} bytes"
    );
    let grpc = bytes_that_stay(|| {
        let _layer = Registry::new().grpc_layer();
    });
    assert!(grpc <= 42 * KIB, "gRPC layer: {grpc} bytes");
}

/// The bytes of each of 500 series that stay, registered by `record`.
fn bytes_of_a_series(record: fn(&Registry, TenantShop, &str)) -> i64 {
    const SERIES: i64 = 500;
    let bytes = |series: i64| {
        bytes_that_stay(|| {
            let registry = Registry::new();
            // Keeps the values.
            Shop::on(&registry).unwrap().orders_total.increment();
            let shop = TenantShop::on(&registry).unwrap();
            for tenant in 0..series {
                record(&registry, shop, &tenant.to_string());
            }
        })
    };
    (bytes(SERIES) - bytes(0)) / SERIES
}

/// The sizes that the documentation of `Registry` names.
#[test]
fn series_keep_the_documented_size() {
    let counter = bytes_of_a_series(|_, shop, tenant| {
        let counter = shop.tenant_orders_total.with(ManyTenants { tenant });
        counter.increment();
    });
    assert!(counter <= 600, "counter: {counter} bytes");
    let histogram = bytes_of_a_series(|_, shop, tenant| {
        let histogram = shop.tenant_order_seconds.with(ManyTenants { tenant });
        histogram.observe(0.1);
    });
    assert!(histogram <= 800, "histogram: {histogram} bytes");
    let of_a_macro = bytes_of_a_series(|registry, _, tenant| {
        let tenant = tenant.to_owned();
        metrics::with_local_recorder(registry, || {
            metrics::counter!("tenants_total", "tenant" => tenant).increment(1);
        });
    });
    assert!(
        (8..=20).contains(&of_a_macro),
        "counter of a macro: {of_a_macro} bytes"
    );
    let of_a_macro = bytes_of_a_series(|registry, _, tenant| {
        let tenant = tenant.to_owned();
        metrics::with_local_recorder(registry, || {
            metrics::histogram!("tenant_seconds", "tenant" => tenant).record(0.1);
        });
    });
    assert!(
        (100..=170).contains(&of_a_macro),
        "histogram of a macro: {of_a_macro} bytes"
    );
}

#[test]
fn of_a_registry_with_a_layer_and_a_catalogue_only_their_tables_and_the_cells_stay() {
    let bytes_with = |record: fn(&Registry)| {
        bytes_that_stay(|| {
            let registry = Registry::new();
            let metrics = HttpMetrics::server().max_endpoints(20);
            let layer = metrics.build(&registry).unwrap();
            Shop::on(&registry).unwrap().orders_total.increment();
            let mut service = layer.layer(service_fn(answer::<()>));
            send(&mut service, request("/orders", &[]));
            record(&registry);
        })
    };
    let bytes = bytes_with(|_| {});
    assert!(bytes <= 17 * KIB, "{bytes} bytes");
    let bytes = bytes_with(record_1000_series);
    assert!(
        bytes <= 42 * KIB,
        "with 1000 series of macros: {bytes} bytes"
    );
}
