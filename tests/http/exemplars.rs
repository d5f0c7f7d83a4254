//! Trace ids on duration buckets, on pages of OpenMetrics only.

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry, http::TraceId};

use test_support::assert_requests_ended;
use test_support::page::{assert_valid_open_metrics, assert_valid_text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(registry: &Registry) -> HttpMetricsLayer {
    let metrics = HttpMetrics::server().exemplar(TraceId::from_traceparent);
    metrics.build(registry).unwrap()
}

async fn ask(registry: &Registry, traceparent: Option<&str>) {
    ask_through(traced(registry), traceparent).await;
}

async fn ask_through(layer: HttpMetricsLayer, traceparent: Option<&str>) {
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let mut request = Request::get("/");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    drop(layer.layer(service).call(request.body(()).unwrap()).await);
}

async fn open_metrics(registry: &Registry) -> String {
    let request = Request::get("/").header("accept", "application/openmetrics-text");
    let response = registry.handler().oneshot(request.body(()).unwrap()).await;
    let page = response
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    String::from_utf8(page.to_vec()).unwrap()
}

#[tokio::test]
async fn a_sampled_trace_is_on_the_bucket_of_its_request() {
    let registry = Registry::new();
    ask(&registry, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    let page = open_metrics(&registry).await;
    assert_valid_open_metrics(&page);
    let exemplar = format!(" 1 # {{trace_id=\"{TRACE}\"}} ");
    let lines: Vec<_> = page
        .lines()
        .filter(|line| line.contains(&exemplar))
        .collect();
    assert_eq!(lines.len(), 1, "{page}");
    assert!(lines[0].contains("_bucket{"));
    // Text 0.0.4 has no word for it.
    assert!(!registry.render().contains("trace_id"));
    assert_valid_text(&registry.render());
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn a_request_that_is_not_the_first_of_its_kind_leaves_its_trace() {
    let registry = Registry::new();
    let layer = traced(&registry);
    ask_through(layer, None).await;
    assert!(!open_metrics(&registry).await.contains("trace_id"));
    ask_through(layer, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    assert!(open_metrics(&registry).await.contains(TRACE));
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn what_is_no_sampled_trace_is_no_exemplar() {
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
        ask(&registry, traceparent).await;
        let page = open_metrics(&registry).await;
        assert!(!page.contains("trace_id"), "{traceparent:?}");
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn later_versions_are_read_as_far_as_they_agree() {
    let registry = Registry::new();
    ask(
        &registry,
        Some(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")),
    )
    .await;
    assert!(open_metrics(&registry).await.contains(TRACE));
}
