//! Scrapes of a handler by direct calls, with its collectors.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::collect::Collector;
use tower_prometheus::{MetricsHandler, Registry};

use super::page::{assert_open_metrics, assert_readable, samples};

/// Returns the handler of a new registry with one collector.
#[track_caller]
pub fn handler_of(name: &str, collector: impl Collector) -> MetricsHandler {
    let registry = Registry::new();
    registry.collector(name, collector).unwrap();
    registry.handler()
}

/// Scrapes a handler in the text format with a timeout in seconds; the status and the page.
pub async fn scrape(handler: &MetricsHandler, seconds: f64) -> (u16, String) {
    let request = Request::get("/metrics");
    let request = request.header("x-prometheus-scrape-timeout-seconds", seconds.to_string());
    let response = handler.clone().oneshot(request.body(()).unwrap()).await;
    let response = response.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The page of a scrape with a timeout of 10 s, checked by [`assert_readable`].
pub async fn page(handler: &MetricsHandler) -> String {
    let (status, page) = scrape(handler, 10.0).await;
    assert_eq!(status, 200, "{page}");
    assert_readable(&page);
    page
}

/// The same as OpenMetrics, checked by [`assert_open_metrics`].
pub async fn open_metrics(handler: &MetricsHandler) -> String {
    let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
    let response = handler.clone().oneshot(request.body(()).unwrap()).await;
    let body = response.unwrap().into_body().collect().await.unwrap();
    let page = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert_open_metrics(&page);
    page
}

/// Whether a collector succeeded, according to the page.
#[track_caller]
pub fn succeeded(page: &str, collector: &str) -> bool {
    let samples = samples(page);
    let series = format!("scrape_collector_success{{collector=\"{collector}\"}}");
    let duration = format!("scrape_collector_duration_seconds{{collector=\"{collector}\"}}");
    assert!(samples[&duration] >= 0.0, "{page}");
    samples[&series] == 1.0
}

/// A future's output, and how long it took by tokio's clock, which tests pause.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = tokio::time::Instant::now();
    (work.await, began.elapsed())
}
