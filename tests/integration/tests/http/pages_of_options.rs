//! The pages of layers with every option and preset are valid: by the strict parsers, and by promtool.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::grpc::{GrpcMetric, GrpcRequestBody};
use tower_prometheus::http::{
    Endpoint, ErrorKind, HttpLabel, HttpMetric, Naming, RequestBody, StandardLabel,
};
use tower_prometheus::{GrpcMetrics, HttpMetrics, Registry};

use test_support::body::{ScriptedBody, Step};
use test_support::page::{assert_valid_open_metrics, assert_valid_text, render_open_metrics};
use test_support::skip_without;
use test_support::store::assert_promtool_accepts;

async fn assert_valid(registry: Registry, name: &'static str) {
    // `render_open_metrics` starts a separate runtime, which must not happen within this one.
    let check = tokio::task::spawn_blocking(move || assert_valid_page(&registry, name));
    check.await.unwrap();
}

fn assert_valid_page(registry: &Registry, name: &str) {
    let page = registry.render();
    assert!(page.contains(name), "{name} is missing:\n{page}");
    assert_valid_text(&page);
    assert_valid_open_metrics(&render_open_metrics(registry));
    assert_promtool_accepts(&page);
}

fn all_metrics() -> HttpMetrics {
    let metrics = HttpMetrics::server()
        .label(HttpLabel::host("host").on_everything())
        .label(HttpLabel::port("port").on_everything())
        .label(HttpLabel::from_outcome("checksum", |outcome| {
            outcome.trailer("x-checksum")
        }));
    [
        HttpMetric::HeadDuration,
        HttpMetric::ResponseBodySize,
        HttpMetric::Responses,
        HttpMetric::ResponseBytes,
        HttpMetric::ConnectionDuration,
    ]
    .into_iter()
    .fold(metrics, HttpMetrics::measure)
}

/// Sends requests that end in different ways through a layer that also measures request bodies.
async fn traffic(metrics: HttpMetrics) -> Registry {
    let registry = Registry::new();
    let layer = metrics
        .with_request_body()
        .with_error_kind(|_: &&str| ErrorKind::TIMEOUT)
        .build(&registry)
        .unwrap();
    for (path, steps) in [
        ("/complete", vec![Step::Data("a"), Step::Trailers]),
        ("/aborted", vec![Step::Data("a"), Step::Error]),
        ("/events", vec![Step::Data("a"), Step::Error]),
        ("/error", vec![]),
    ] {
        let respond = move |_: Request<RequestBody<ScriptedBody>>| {
            let mut response = Response::builder();
            if path == "/events" {
                response = response.header("content-type", "text/event-stream");
            }
            let response = response.body(ScriptedBody::new(steps.clone())).unwrap();
            ready(if path == "/error" {
                Err("no")
            } else {
                Ok(response)
            })
        };
        let request = Request::get(format!("http://Shop.example:8080{path}"));
        let request = request.extension(Endpoint::from_static(path));
        let request = request.body(ScriptedBody::full("upload")).unwrap();
        if let Ok(response) = layer.layer(service_fn(respond)).oneshot(request).await {
            let _ = response.into_body().collect().await;
        }
    }
    registry
}

#[tokio::test]
async fn page_with_all_metrics_and_labels_of_an_http_layer_is_valid() {
    skip_without!(Promtool);
    for (metrics, name) in [
        (all_metrics(), "http_connection_duration_seconds_count{"),
        (
            all_metrics().status_classes().status_on_durations(),
            "error_kind=\"timeout\"",
        ),
        (
            all_metrics()
                .without_label(StandardLabel::Method)
                .without_label(StandardLabel::Endpoint)
                .standard_labels(HttpMetric::Requests, [])
                .help(HttpMetric::Requests, "All \"requests\" of\nthe \\shop."),
            "http_responses_total{",
        ),
        (HttpMetrics::client(), "http_client_requests_total{"),
        (
            HttpMetrics::open_telemetry(),
            "http_server_request_duration_seconds_count{",
        ),
        (
            HttpMetrics::open_telemetry_client(),
            "server_address=\"shop.example\"",
        ),
        (
            all_metrics().naming(Naming::open_telemetry_client()),
            "error_type=\"timeout\"",
        ),
    ] {
        assert_valid(traffic(metrics).await, name).await;
    }
}

#[tokio::test]
async fn page_with_all_metrics_and_labels_of_a_grpc_layer_is_valid() {
    skip_without!(Promtool);
    for (metrics, name) in [
        (GrpcMetrics::server(), "grpc_server_handled_total{"),
        (GrpcMetrics::client(), "grpc_client_handled_total{"),
        (
            GrpcMetrics::open_telemetry_server(),
            "rpc_server_call_duration_seconds_count{",
        ),
        (
            GrpcMetrics::open_telemetry_client(),
            "rpc_client_call_duration_seconds_count{",
        ),
    ] {
        let registry = Registry::new();
        let layer = metrics
            .measure(GrpcMetric::SentMessageSize)
            .measure(GrpcMetric::ReceivedMessageSize)
            .label(HttpLabel::host("host").on_everything())
            .build(&registry)
            .unwrap();
        let respond = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
            let response = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "0");
            let message = Full::new(Bytes::from_static(b"\0\0\0\0\x02hi"));
            ready(Ok::<_, Infallible>(response.body(message).unwrap()))
        };
        let request = Request::post("http://shop.example/shop.Orders/Place")
            .header("content-type", "application/grpc")
            .body(Full::<Bytes>::default())
            .unwrap();
        let response = layer.layer(service_fn(respond)).oneshot(request).await;
        response.unwrap().into_body().collect().await.unwrap();
        assert_valid(registry, name).await;
    }
}
