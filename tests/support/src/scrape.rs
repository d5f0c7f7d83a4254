//! Scrapes of a [`MetricsHandler`] by direct calls, without a server.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_prometheus::collect::Collector;
use tower_prometheus::{MetricsHandler, Registry};

use super::page::{assert_valid_open_metrics, assert_valid_text, samples};

/// Returns the handler of a new registry with one collector.
#[track_caller]
pub fn handler_with_collector(name: &str, collector: impl Collector) -> MetricsHandler {
    let registry = Registry::new();
    registry.collector(name, collector).unwrap();
    registry.handler()
}

/// Scrapes in the text format with a scrape timeout in seconds. Returns the status and the page.
pub async fn scrape_with_timeout(handler: &MetricsHandler, seconds: f64) -> (u16, String) {
    let request = Request::get("/metrics");
    let request = request.header("x-prometheus-scrape-timeout-seconds", seconds.to_string());
    let response = handler.clone().oneshot(request.body(()).unwrap()).await;
    let response = response.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Scrapes in the text format with a scrape timeout of 10 s. Asserts that the page is valid.
pub async fn scrape_text(handler: &MetricsHandler) -> String {
    let (status, page) = scrape_with_timeout(handler, 10.0).await;
    assert_eq!(status, 200, "{page}");
    assert_valid_text(&page);
    page
}

/// Scrapes in OpenMetrics. Asserts that the page is valid.
pub async fn scrape_open_metrics(handler: &MetricsHandler) -> String {
    let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
    let response = handler.clone().oneshot(request.body(()).unwrap()).await;
    let body = response.unwrap().into_body().collect().await.unwrap();
    let page = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert_valid_open_metrics(&page);
    page
}

/// Whether a collector succeeded, by its metrics on the page.
#[track_caller]
pub fn collector_succeeded(page: &str, collector: &str) -> bool {
    let samples = samples(page);
    let series = format!("scrape_collector_success{{collector=\"{collector}\"}}");
    let duration = format!("scrape_collector_duration_seconds{{collector=\"{collector}\"}}");
    assert!(samples[&duration] >= 0.0, "{page}");
    samples[&series] == 1.0
}

/// Returns a future's output and how long it took by tokio's clock, which tests pause.
pub async fn measure_time<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = tokio::time::Instant::now();
    (work.await, start.elapsed())
}
