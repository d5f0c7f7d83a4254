//! Which families the page takes for those of a layer.

use serde_json::{Value, json};
use test_support::server::Server;
use tower_prometheus::grpc::{CodeFormat, GrpcMetric, GrpcNaming};
use tower_prometheus::http::{HttpMetric, Naming};
use tower_prometheus::{GrpcMetrics, HttpMetrics, Registry};

use crate::viewer::Viewer;

/// The layers that a viewer is told of, without their other families.
async fn layers(metrics: &Registry) -> Vec<Value> {
    let server = Server::start(tower_prometheus_live::page(metrics)).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    for layer in &mut viewer.layers {
        layer.as_object_mut().unwrap().remove("others").unwrap();
    }
    viewer.layers
}

#[tokio::test]
async fn layers_are_described_with_the_names_of_their_naming() {
    let metrics = Registry::new();
    let naming = Naming::classic()
        .family(HttpMetric::Requests, "hits_total")
        .method_label("verb")
        .endpoint_label("path")
        .status_label("code");
    let http = HttpMetrics::server().prefix("shop").naming(naming);
    http.build(&metrics).unwrap();
    let naming = GrpcNaming::open_telemetry()
        .family(GrpcMetric::Handling, "call_seconds")
        .method_labels("svc", "rpc")
        .code_label("result")
        .codes(CodeFormat::Number);
    let grpc = GrpcMetrics::open_telemetry_client().naming(naming);
    grpc.build(&metrics).unwrap();
    let expected = [
        json!({
            "id": "shop", "isGrpc": false, "isClient": false,
            "families": {
                "requests": "shop_hits_total",
                "durations": "shop_http_request_duration_seconds",
                "inProgress": "shop_http_requests_in_progress",
            },
            "endpoint": "path", "method": "verb", "service": null, "status": "code", "errorType": null,
        }),
        json!({
            "id": "call", "isGrpc": true, "isClient": true,
            "families": {"durations": "call_seconds"},
            "endpoint": "rpc", "method": null, "service": "svc", "status": "result", "errorType": "error_type",
        }),
    ];
    assert_eq!(layers(&metrics).await, expected);
}

#[tokio::test]
async fn layer_that_is_built_later_is_sent_then() {
    let metrics = Registry::new();
    let server = Server::start(tower_prometheus_live::page(&metrics)).await;
    let mut viewer = Viewer::connect(&server, "/live/data").await;
    viewer.tick().await;
    assert_eq!(viewer.layers, Vec::<Value>::new());
    let _layer = metrics.http_layer();
    while viewer.layers.is_empty() {
        viewer.tick().await;
    }
    // A viewer that comes after that gets it with the history.
    let mut late = Viewer::connect(&server, "/live/data").await;
    while late.layers.is_empty() {
        late.tick().await;
    }
    assert_eq!(late.layers, viewer.layers);
    assert_eq!(late.layers[0]["id"], "http");
}

#[tokio::test]
async fn layers_with_the_same_first_words_have_different_ids() {
    let metrics = Registry::new();
    for layer in [
        HttpMetrics::server(),
        HttpMetrics::client(),
        HttpMetrics::open_telemetry(),
    ] {
        let zone = layer
            .without(HttpMetric::InProgress)
            .constant_label("zone", "eu");
        zone.build(&metrics).unwrap();
    }
    let other = Naming::classic().family(HttpMetric::Requests, "http_hits_total");
    let other = HttpMetrics::server()
        .naming(other)
        .without(HttpMetric::Duration);
    let other = other
        .without(HttpMetric::InProgress)
        .constant_label("zone", "us");
    other.build(&metrics).unwrap();
    let layers = layers(&metrics).await;
    let ids: Vec<_> = layers
        .iter()
        .map(|layer| layer["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "http",
            "http_client",
            "http_server_request_duration",
            "http_hits"
        ]
    );
}

#[tokio::test]
async fn layer_with_the_metrics_of_another_is_sent_once() {
    let metrics = Registry::new();
    for zone in ["eu", "us"] {
        let layer = HttpMetrics::server().constant_label("zone", zone);
        layer.build(&metrics).unwrap();
    }
    let layers = layers(&metrics).await;
    assert_eq!(layers.len(), 1, "{layers:?}");
    assert_eq!(layers[0]["id"], "http");
}

#[tokio::test]
async fn layers_that_share_their_first_metric_have_different_ids() {
    let metrics = Registry::new();
    for zone in ["eu", "us", "ap"] {
        let durations = format!("http_{zone}_seconds");
        let naming = Naming::classic().family(HttpMetric::Duration, durations);
        let layer = HttpMetrics::server().naming(naming);
        layer.constant_label("zone", zone).build(&metrics).unwrap();
    }
    let layers = layers(&metrics).await;
    let ids: Vec<_> = layers.iter().map(|layer| &layer["id"]).collect();
    assert_eq!(
        ids,
        ["http", "http_requests_total", "http_requests_total_2"]
    );
}

#[tokio::test]
async fn layers_of_another_registry_or_crate_are_found_by_the_default_names() {
    let inner = Registry::new();
    metrics::with_local_recorder(&inner, || {
        let labels = [("method", "GET"), ("endpoint", "/"), ("status", "200")];
        metrics::counter!("shop_http_requests_total", &labels).increment(1);
        metrics::histogram!("shop_http_request_duration_seconds", &labels[..2]).record(0.1);
        metrics::counter!("axum_http_requests_total", &labels).increment(1);
        // Not of a layer: it has no endpoint.
        metrics::counter!("other_http_requests_total", &labels[..1]).increment(1);
    });
    let metrics = Registry::new();
    metrics.collector("inner", inner).unwrap();
    let layers = layers(&metrics).await;
    let requests: Vec<_> = layers
        .iter()
        .map(|layer| &layer["families"]["requests"])
        .collect();
    assert_eq!(
        requests,
        ["axum_http_requests_total", "shop_http_requests_total"]
    );
    assert_eq!(layers[1]["id"], "shop_http");
    assert_eq!(layers[1]["endpoint"], "endpoint");
}
