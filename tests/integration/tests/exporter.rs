//! The same traffic recorded by our registry and by metrics-exporter-prometheus results in the same samples.

use std::collections::BTreeMap;
use std::future::pending;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use http::{Request, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{
    HttpMetrics, HttpMetricsLayer, MetricsHandler, Registry, Sink, http::LongLived,
};

use test_support::page::{assert_valid_text, samples, samples_with_sorted_labels};
use test_support::server::{BOTH_PROTOCOLS, Server};

const BUCKETS: [f64; 3] = [0.5, 1.0, 60.0];

/// Sends requests that update every metric of the layer and end in every way except a panic. Returns the page.
async fn page_after_requests(layer: HttpMetricsLayer, handler: MetricsHandler) -> String {
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route_service("/metrics", handler)
        .layer(layer);
    let server = Server::start(app).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for path in ["/users/1", "/users/2", "/fail", "/nowhere", "/metrics"] {
            client.fetch("GET", path).await;
        }
    }
    let mut cancelled = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<String>, ()>>()
    }));
    drop(cancelled.call(Request::new(())));
    let mut aborted = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, ()>(Response::new("never read".to_owned()))
    }));
    drop(aborted.call(Request::new(())).await);
    let mut long = layer.layer(service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(LongLived::new("download"));
        Ok::<_, ()>(response.body("never read".to_owned()).unwrap())
    }));
    drop(long.call(Request::new(())).await);
    server.get("/metrics").await.1
}

/// Returns the samples that do not depend on time.
fn without_times(page: &str) -> BTreeMap<String, f64> {
    let mut samples = samples_with_sorted_labels(page);
    samples.retain(|name, _| !name.contains("_seconds_sum"));
    samples
}

#[tokio::test]
async fn registry_and_exporter_export_the_same_samples() {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .unwrap()
        .build_recorder();
    let handler = MetricsHandler::new(recorder.handle());
    let layer = HttpMetrics::server()
        .build(Sink::recorder(recorder))
        .unwrap();
    let theirs = page_after_requests(layer, handler).await;

    let registry = Registry::builder().buckets(BUCKETS).build().unwrap();
    let ours = page_after_requests(registry.http_layer(), registry.handler()).await;

    assert_valid_text(&ours);
    assert_eq!(without_times(&ours), without_times(&theirs));
    assert_eq!(registry.sum("http_requests_total", &[]), Some(11.0));
    let help = |page: &str| {
        let help = page.lines().filter(|line| line.starts_with("# HELP "));
        help.map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(help(&ours), help(&theirs));
}

#[tokio::test]
async fn page_of_the_exporter_is_compressed() {
    use http_body_util::BodyExt;
    use std::io::Read;
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        (0..5000).for_each(|i| metrics::counter!("rows_total", "i" => i.to_string()).increment(1));
    });
    let mut handler = MetricsHandler::new(recorder.handle());
    let request = Request::builder()
        .header("accept", "application/openmetrics-text")
        .header("accept-encoding", "gzip");
    let response = handler.call(request.body(()).unwrap()).await.unwrap();
    // The exporter has one format, whatever the scraper accepts.
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let compressed = response.into_body().collect().await.unwrap().to_bytes();
    let mut page = String::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_string(&mut page)
        .unwrap();
    assert_eq!(samples(&page).len(), 5000);
}
