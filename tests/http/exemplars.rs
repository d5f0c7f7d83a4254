//! Trace ids as exemplars of duration buckets, in OpenMetrics and protobuf but not in the text format.

use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::snapshot::Value;
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, NativeHistogram, Registry, http::TraceId};

use test_support::assert_requests_ended;
use test_support::page::{assert_valid_open_metrics, assert_valid_text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn layer_with_exemplars(registry: &Registry) -> HttpMetricsLayer {
    let metrics = HttpMetrics::server().exemplar(TraceId::from_traceparent);
    metrics.build(registry).unwrap()
}

async fn send(registry: &Registry, traceparent: Option<&str>) {
    send_through(layer_with_exemplars(registry), traceparent).await;
}

async fn send_through(layer: HttpMetricsLayer, traceparent: Option<&str>) {
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let mut request = Request::get("/");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    drop(layer.layer(service).call(request.body(()).unwrap()).await);
}

async fn open_metrics(registry: &Registry) -> String {
    let page = scrape(registry, "application/openmetrics-text").await;
    String::from_utf8(page).unwrap()
}

async fn scrape(registry: &Registry, accept: &str) -> Vec<u8> {
    let request = Request::get("/").header("accept", accept);
    let response = registry.handler().oneshot(request.body(()).unwrap()).await;
    let page = response
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    page.to_vec()
}

#[tokio::test]
async fn sampled_trace_is_the_exemplar_of_the_bucket_of_its_request() {
    let registry = Registry::new();
    send(&registry, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    let page = open_metrics(&registry).await;
    assert_valid_open_metrics(&page);
    let exemplar = format!(" 1 # {{trace_id=\"{TRACE}\"}} ");
    let lines: Vec<_> = page
        .lines()
        .filter(|line| line.contains(&exemplar))
        .collect();
    assert_eq!(lines.len(), 1, "{page}");
    assert!(lines[0].contains("_bucket{"));
    // The text format has no exemplars.
    assert!(!registry.render().contains("trace_id"));
    assert_valid_text(&registry.render());
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn later_requests_of_existing_series_have_exemplars() {
    let registry = Registry::new();
    let layer = layer_with_exemplars(&registry);
    send_through(layer, None).await;
    assert!(!open_metrics(&registry).await.contains("trace_id"));
    send_through(layer, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    assert!(open_metrics(&registry).await.contains(TRACE));
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn invalid_or_unsampled_traceparent_is_ignored() {
    for traceparent in [
        None,
        Some(""),
        Some("00"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        Some("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra"),
        Some("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        Some("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ] {
        let registry = Registry::new();
        send(&registry, traceparent).await;
        let page = open_metrics(&registry).await;
        assert!(!page.contains("trace_id"), "{traceparent:?}");
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn traceparent_of_a_later_version_may_have_more_fields() {
    let registry = Registry::new();
    send(
        &registry,
        Some(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")),
    )
    .await;
    assert!(open_metrics(&registry).await.contains(TRACE));
}

#[tokio::test]
async fn protobuf_has_the_exemplar_of_the_bucket_without_a_bound() {
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let registry = Registry::new();
    let metrics = HttpMetrics::server().exemplar(TraceId::from_traceparent);
    let layer = metrics.duration_buckets([1e-9]).build(&registry).unwrap();
    send_through(layer, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    let line = format!("le=\"+Inf\"}} 1 # {{trace_id=\"{TRACE}\"}} ");
    assert!(open_metrics(&registry).await.contains(&line));
    let has_trace = |page: Vec<u8>| page.windows(32).any(|part| part == TRACE.as_bytes());
    let with_scheme = format!("{protobuf};escaping=allow-utf-8");
    assert!(has_trace(scrape(&registry, &with_scheme).await));
    // Prometheus 2.42, which names no scheme, hangs on exemplars.
    assert!(!has_trace(scrape(&registry, protobuf).await));
}

#[tokio::test]
async fn histogram_with_only_native_buckets_shows_an_exemplar_of_any_value() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    // From 8 µs to 8 ms, each in another octave.
    for duration in (3..14).map(|power| Duration::from_micros(1 << power)) {
        let builder = Registry::builder().native_histograms(settings);
        let registry = builder.build().unwrap();
        let service = service_fn(async |_: Request<()>| {
            let start = Instant::now();
            while start.elapsed() < duration {
                std::hint::spin_loop();
            }
            Ok::<_, ()>(Response::new(String::new()))
        });
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let request = Request::get("/").header("traceparent", traceparent);
        let layer = layer_with_exemplars(&registry);
        drop(layer.layer(service).call(request.body(()).unwrap()).await);
        let page = open_metrics(&registry).await;
        assert_valid_open_metrics(&page);
        assert!(page.contains(TRACE), "{duration:?}: {page}");
        let snapshot = registry.gather().await;
        let durations = snapshot.family("http_request_duration_seconds").unwrap();
        let Value::Histogram(histogram) = durations.series().next().unwrap().value() else {
            panic!("{durations:?}");
        };
        let exemplar = histogram.buckets().last().unwrap().exemplar.unwrap();
        assert_eq!(exemplar.trace_id.to_string(), TRACE);
    }
}
