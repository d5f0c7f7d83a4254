//! The layer on a recorder of another crate.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::Request;
use metrics::{Key, KeyName, Metadata, SharedString, Unit};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, Registry, Sink, http::HttpMetric};

use test_support::scrape::scrape_open_metrics;
use test_support::service::{ok, request_to};
use test_support::warnings::Warnings;

#[tokio::test]
async fn units_are_described_to_the_recorder() {
    let recorder = Registry::new();
    let layer = HttpMetrics::server()
        .build(Sink::recorder(recorder.clone()))
        .unwrap();
    drop(layer.layer(service_fn(ok)).call(Request::new(())).await);
    let page = scrape_open_metrics(&recorder.handler()).await;
    assert!(
        page.contains("# UNIT http_request_duration_seconds seconds\n"),
        "{page}"
    );
}

#[test]
fn buckets_cause_a_warning_because_the_recorder_sets_its_own() {
    let warnings = Warnings::capture();
    let sink = Sink::recorder(metrics::NoopRecorder);
    let server = || {
        HttpMetrics::server()
            .measure(HttpMetric::ResponseBodySize)
            .measure(HttpMetric::ConnectionDuration)
    };
    server().build(sink.clone()).unwrap();
    assert_eq!(warnings.about("buckets").len(), 0);
    let all = server()
        .duration_buckets([1.0])
        .size_buckets([1024.0])
        .connection_buckets([60.0]);
    all.clone().build(Registry::new()).unwrap();
    assert_eq!(warnings.about("buckets").len(), 0);
    all.build(sink).unwrap();
    for setting in ["duration_buckets", "size_buckets", "connection_buckets"] {
        let expected = format!("{setting} is ignored: this recorder sets its own buckets");
        assert_eq!(warnings.about(&expected).len(), 1, "{setting}");
    }
}

/// A recorder that panics when a counter is registered.
struct PanickingCounters(Registry);

impl metrics::Recorder for PanickingCounters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> metrics::Counter {
        panic!("cannot register a counter");
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        self.0.register_histogram(key, metadata)
    }
}

#[tokio::test]
async fn panic_of_the_recorder_leaves_no_request_in_progress() {
    let registry = Registry::new();
    let sink = Sink::recorder(PanickingCounters(registry.clone()));
    let layer = HttpMetrics::server().build(sink).unwrap();
    let service = layer.layer(service_fn(ok));
    let response = AssertUnwindSafe(service.oneshot(request_to("/x"))).catch_unwind();
    assert!(response.await.is_err());
    let in_progress = registry.sum("http_requests_in_progress", &[]);
    assert_eq!(in_progress, Some(0.0));
}
