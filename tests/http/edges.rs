//! The edges of what the other modules test: each of these was once a change that no other test saw.

use std::panic::AssertUnwindSafe;
use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use metrics::{Key, KeyName, Metadata, SharedString, Unit};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry, Sink,
    http::{Endpoint, EndpointLayer, HttpMetric, LongLived, Naming},
};

use test_support::body::{Scripted, Step};
use test_support::service::{answered, ok, to};
use test_support::warnings::Warnings;
use test_support::{assert_completed, assert_settled};

/// Waits, so that the request is in progress as `unmatched`, then answers with that response.
async fn late(
    layer: HttpMetrics,
    registry: &Registry,
    mut response: Response<Scripted>,
    endpoint: &'static str,
) -> Response<impl http_body::Body<Data = bytes::Bytes, Error = &'static str>> {
    response
        .extensions_mut()
        .insert(Endpoint::from_static(endpoint));
    let mut response = Some(response);
    let service = service_fn(move |_: Request<()>| {
        let response = response.take().unwrap();
        async {
            tokio::task::yield_now().await;
            Ok::<_, ()>(response)
        }
    });
    layer
        .build(registry)
        .unwrap()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap()
}

fn events(body: Scripted) -> Response<Scripted> {
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_connection_is_counted_where_the_response_named_it() {
    let registry = Registry::new();
    let stream = events(Scripted::new([Step::Hang]));
    let response = late(HttpMetrics::server(), &registry, stream, "/late").await;
    let labels = [("endpoint", "/late"), ("kind", "event-stream")];
    assert_eq!(registry.sum("http_connections_open", &labels), Some(1.0));
    drop(response);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_waiting_request_that_is_named_a_skipped_endpoint_leaves_no_trace() {
    let registry = Registry::new();
    let layer = HttpMetrics::server().skip(["/health"]);
    drop(
        late(
            layer,
            &registry,
            Response::new(Scripted::full("x")),
            "/health",
        )
        .await,
    );
    assert_settled(&registry, 0);
}

#[tokio::test]
async fn all_that_ends_is_counted_where_the_response_named_it() {
    let registry = Registry::new();
    drop(
        late(
            HttpMetrics::server(),
            &registry,
            Response::new(Scripted::full("x")),
            "/late",
        )
        .await,
    );
    for family in [
        "http_request_duration_seconds_count",
        "http_response_bodies_aborted_total",
    ] {
        assert_eq!(
            registry.sum(family, &[("endpoint", "/late")]),
            Some(1.0),
            "{family}"
        );
    }
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn the_response_has_the_last_word_about_the_endpoint() {
    let registry = Registry::new();
    let names = service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(Endpoint::from_static("/response"));
        Ok::<_, ()>(response.body(String::new()).unwrap())
    });
    drop(
        registry
            .http_layer()
            .layer(names)
            .oneshot(to("/request"))
            .await,
    );
    let requests = |endpoint| registry.sum("http_requests_total", &[("endpoint", endpoint)]);
    assert_eq!(
        (requests("/request"), requests("/response")),
        (None, Some(1.0))
    );
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_content_length_of_0_ends_at_the_head() {
    let registry = Registry::new();
    let response = Response::builder().header("content-length", "0");
    drop(
        answered(
            &registry,
            "GET",
            response.body(Scripted::stream(&[])).unwrap(),
        )
        .await,
    );
    assert_completed(&registry);
}

#[tokio::test]
async fn informational_responses_end_at_the_head() {
    let registry = Registry::new();
    let response = Response::builder().status(103);
    drop(
        answered(
            &registry,
            "GET",
            response.body(Scripted::stream(&["never sent"])).unwrap(),
        )
        .await,
    );
    assert_completed(&registry);
}

#[tokio::test]
async fn content_types_are_compared_without_case() {
    let registry = Registry::new();
    let response = Response::builder().header("content-type", "Text/Event-Stream; charset=utf-8");
    let response = answered(
        &registry,
        "GET",
        response.body(Scripted::new([Step::Hang])).unwrap(),
    )
    .await;
    assert_eq!(
        registry.sum("http_connections_open", &[("kind", "event-stream")]),
        Some(1.0)
    );
    drop(response);
    assert_completed(&registry);
}

#[tokio::test]
async fn an_event_stream_of_known_length_or_without_a_body_is_no_connection() {
    let hang = || Scripted::new([Step::Data("a"), Step::Hang]);
    for (method, code, body) in [
        ("GET", 200, Scripted::full("data: all\n\n")),
        ("HEAD", 200, hang()),
        // What tells a browser's `EventSource` to stop.
        ("GET", 204, hang()),
    ] {
        let registry = Registry::new();
        let mut response = events(body);
        *response.status_mut() = code.try_into().unwrap();
        let response = answered(&registry, method, response).await;
        assert_eq!(
            registry.sum("http_connections_open", &[]),
            None,
            "{method} {code}"
        );
        let mut body = pin!(response.into_body());
        body.frame().await;
        assert_completed(&registry);
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_at_its_end_is_complete() {
    let registry = Registry::new();
    let mut body = Scripted::stream(&["a"]);
    body.knows_its_end = true;
    let mut body = pin!(
        answered(&registry, "GET", Response::new(body))
            .await
            .into_body()
    );
    body.frame().await;
    assert_completed(&registry);
}

#[tokio::test]
async fn a_body_that_fails_closes_its_connection() {
    let registry = Registry::new();
    let response = answered(&registry, "GET", events(Scripted::new([Step::Error]))).await;
    let mut body = pin!(response.into_body());
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(registry.sum("http_connections_open", &[]), Some(0.0));
    assert_completed(&registry);
}

#[test]
fn a_constant_label_belongs_to_the_registry_or_to_the_layer() {
    let registry = Registry::builder()
        .constant_label("zone", "eu")
        .build()
        .unwrap();
    let error = HttpMetrics::server()
        .constant_label("zone", "us")
        .build(&registry)
        .unwrap_err();
    assert!(
        error.to_string().contains("constant label of the registry"),
        "{error}"
    );
}

#[test]
fn limits_and_names_are_checked_for_every_target() {
    let server = HttpMetrics::server;
    for (layer, expected) in [
        (
            server()
                .naming(Naming::classic().family(HttpMetric::AbortedBodies, "http_requests_total")),
            "two metrics have the name",
        ),
        (
            server().max_endpoints(1_000_001),
            "max_endpoints must be 1 to 1000000, got 1000001",
        ),
    ] {
        // A foreign recorder would find nothing wrong by itself.
        let error = layer
            .build(Sink::recorder(metrics::NoopRecorder))
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_same_configuration_shares_its_cap() {
    let registry = Registry::new();
    for endpoint in ["/a", "/b"] {
        let layer = HttpMetrics::server()
            .max_endpoints(1)
            .build(&registry)
            .unwrap();
        drop(layer.layer(service_fn(ok)).call(to(endpoint)).await);
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), Some(1.0));
    assert_settled(&registry, 2);
}

#[tokio::test]
async fn one_matched_request_ends_the_suspicion() {
    let warnings = Warnings::catch();
    let registry = Registry::new();
    let mut service = registry.http_layer().layer(service_fn(ok));
    drop(service.call(to("/x")).await);
    for _ in 0..30 {
        drop(service.call(Request::new(())).await);
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}

#[tokio::test]
async fn not_found_and_not_allowed_are_no_silence() {
    let warnings = Warnings::catch();
    for status in [404, 405] {
        let registry = Registry::new();
        for _ in 0..30 {
            let response = Response::builder().status(status).body(Scripted::full(""));
            drop(answered(&registry, "GET", response.unwrap()).await);
        }
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_overflow() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .max_endpoints(1)
        .build(&registry)
        .unwrap();
    drop(layer.layer(service_fn(ok)).call(to("/first")).await);
    let mut long = layer.layer(service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(LongLived::new("download"));
        Ok::<_, ()>(response.body(String::from("x")).unwrap())
    }));
    let response = long.call(to("/second")).await;
    let labels = [("endpoint", "overflow"), ("kind", "download")];
    assert_eq!(registry.sum("http_connections_open", &labels), Some(1.0));
    drop(response);
    assert_settled(&registry, 2);
}

#[test]
fn layers_with_different_constant_labels_share_the_overflow_family() {
    let registry = Registry::new();
    HttpMetrics::server().build(&registry).unwrap();
    let other = HttpMetrics::server()
        .prefix("other")
        .constant_label("zone", "eu");
    other.build(&registry).unwrap();
}

#[tokio::test]
async fn an_endpoint_extension_goes_before_the_router() {
    let registry = Registry::new();
    let name = |mut request: Request<Body>| {
        request
            .extensions_mut()
            .insert(Endpoint::from_static("/own"));
        request
    };
    let layers = ServiceBuilder::new()
        .map_request(name)
        .layer(registry.http_layer());
    let app = Router::new().route("/x", get(async || "x")).layer(layers);
    drop(
        app.oneshot(Request::get("/x").body(Body::empty()).unwrap())
            .await,
    );
    assert_eq!(
        registry.sum("http_requests_total", &[("endpoint", "/own")]),
        Some(1.0)
    );
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn an_endpoint_layer_keeps_an_inner_name() {
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(Endpoint::from_static("/inner"));
        Ok::<_, ()>(response.body(()).unwrap())
    });
    let response = EndpointLayer::new()
        .layer(inner)
        .oneshot(to("/outer"))
        .await
        .unwrap();
    assert_eq!(
        response.extensions().get::<Endpoint>().unwrap().as_str(),
        "/inner"
    );
}

#[tokio::test]
async fn a_description_of_ones_own_is_kept() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("http_requests_total", "mine");
        metrics::counter!("http_requests_total", "endpoint" => "/own").increment(1);
    });
    HttpMetrics::server().build(&registry).unwrap();
    let page = registry.render();
    assert!(page.contains("# HELP http_requests_total mine\n"), "{page}");
}

async fn get_page(
    registry: &Registry,
    headers: &[(&str, &str)],
) -> Response<tower_prometheus::scrape::MetricsBody> {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    registry
        .handler()
        .oneshot(request.body(()).unwrap())
        .await
        .unwrap()
}

async fn open_metrics(record: impl FnOnce()) -> String {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, record);
    let response = get_page(
        &registry,
        &[("accept", "application/openmetrics-text; version=1.0.0")],
    )
    .await;
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    test_support::page::assert_open_metrics(&page);
    page
}

fn poll_page(page: &mut tower_prometheus::scrape::MetricsBody) -> std::task::Poll<Option<usize>> {
    use http_body::Body;
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::pin::Pin::new(page).poll_frame(cx);
    polled.map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap().len()))
}

#[tokio::test]
async fn writing_makes_way_too() {
    use http_body::Body;
    use std::task::Poll;
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..20_000 {
            metrics::counter!("large_total", "i" => i.to_string()).increment(1);
        }
    });
    let mut page = get_page(&registry, &[]).await.into_body();
    while poll_page(&mut page).is_pending() {}
    // Writing makes way too, not only reading.
    let mut turns = 0;
    loop {
        match poll_page(&mut page) {
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => break,
            Poll::Pending => turns += 1,
        }
    }
    assert!(page.is_end_stream());
    assert!(turns > 0);
}

#[tokio::test]
async fn pages_are_not_cached() {
    let response = get_page(&Registry::new(), &[]).await;
    assert_eq!(response.headers()["vary"], "accept, accept-encoding");
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn gzip_when_nothing_else_may_be_sent() {
    for accept in ["gzip;q=0.1, identity;q=0", "gzip, *;q=0"] {
        let response = get_page(&Registry::new(), &[("accept-encoding", accept)]).await;
        assert!(
            response.headers().contains_key("content-encoding"),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn only_parts_of_histograms_take_names() {
    let page = open_metrics(|| {
        metrics::histogram!("x").record(1.0);
        for name in [
            "x_sum_total",
            "x_count_total",
            "x_created_total",
            "y_bucket_total",
        ] {
            metrics::counter!(name).increment(1);
        }
        metrics::gauge!("y").set(1.0);
    })
    .await;
    for name in ["x_sum_total", "x_count_total", "x_created_total"] {
        assert!(page.contains(&format!("# TYPE {name} unknown\n")), "{page}");
    }
    // Only a histogram has such parts.
    assert!(page.contains("# TYPE y_bucket counter\n"), "{page}");
}

#[tokio::test]
async fn units_are_told_where_the_name_has_them() {
    let page = open_metrics(|| {
        metrics::describe_gauge!("wait_milliseconds", metrics::Unit::Seconds, "");
        metrics::gauge!("wait_milliseconds").set(1.0);
        metrics::describe_counter!("sent_bytes_total", metrics::Unit::Bytes, "");
        metrics::counter!("sent_bytes_total").increment(1);
    })
    .await;
    assert!(!page.contains("# UNIT wait"), "{page}");
    assert!(page.contains("# UNIT sent_bytes bytes\n"), "{page}");
}

#[tokio::test]
async fn units_reach_a_foreign_recorder() {
    let foreign = Registry::new();
    let layer = HttpMetrics::server()
        .build(Sink::recorder(foreign.clone()))
        .unwrap();
    drop(layer.layer(service_fn(ok)).call(Request::new(())).await);
    let response = get_page(&foreign, &[("accept", "application/openmetrics-text")]).await;
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(
        page.contains("# UNIT http_request_duration_seconds seconds\n"),
        "{page}"
    );
}

/// A recorder of another crate whose counters panic.
struct Panicking(Registry);

impl metrics::Recorder for Panicking {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> metrics::Counter {
        panic!("no counters here");
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        self.0.register_histogram(key, metadata)
    }
}

#[tokio::test]
async fn a_recorder_that_panics_leaves_nothing_in_progress() {
    let registry = Registry::new();
    let target = Sink::recorder(Panicking(registry.clone()));
    let layer = HttpMetrics::server().build(target).unwrap();
    let service = layer.layer(service_fn(ok));
    let asked = AssertUnwindSafe(service.oneshot(to("/x"))).catch_unwind();
    assert!(asked.await.is_err());
    let in_progress = registry.sum("http_requests_in_progress", &[]);
    assert_eq!(in_progress, Some(0.0));
}
