//! Labels that a layer has by default, left out or set for one metric, and methods that are added.

use std::future::ready;

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::http::{HttpLabel, HttpMetric, StandardLabel};
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, Registry};

use test_support::assert_requests_ended;
use test_support::service::request_to;

async fn send(layer: HttpMetricsLayer, method: &str, endpoint: &str, code: u16) {
    let respond = service_fn(move |_: Request<()>| {
        let response = Response::builder().status(code).body(String::new());
        ready(Ok::<_, ()>(response.unwrap()))
    });
    let mut request = request_to(endpoint);
    *request.method_mut() = method.parse().unwrap();
    drop(layer.layer(respond).oneshot(request).await);
}

/// The lines of a metric, without the buckets and sums of histograms.
fn lines(registry: &Registry, metric: &str) -> Vec<String> {
    let page = registry.render();
    let lines = page.lines().filter(|line| {
        line.starts_with(metric) && !(line.contains("_bucket") || line.contains("_sum"))
    });
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn requests_that_differ_only_in_a_label_that_is_left_out_share_a_series() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .without_label(StandardLabel::Method)
        .without_label(StandardLabel::Endpoint)
        .build(&registry)
        .unwrap();
    for (method, endpoint, code) in [("GET", "/a", 200), ("POST", "/b", 200), ("GET", "/b", 500)] {
        send(layer, method, endpoint, code).await;
    }
    assert_eq!(
        lines(&registry, "http_requests_"),
        [
            r#"http_requests_in_progress 0"#,
            r#"http_requests_total{status="200"} 2"#,
            r#"http_requests_total{status="500"} 1"#,
        ]
    );
    assert_eq!(
        lines(&registry, "http_request_duration_seconds"),
        ["http_request_duration_seconds_count 3"]
    );
    assert_requests_ended(&registry, 3);
}

#[tokio::test]
async fn labels_of_one_metric_can_be_set() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .standard_labels(HttpMetric::Requests, [])
        .standard_labels(HttpMetric::Responses, [StandardLabel::Status])
        .measure(HttpMetric::Responses)
        .build(&registry)
        .unwrap();
    for code in [200, 200, 404] {
        send(layer, "GET", "/a", code).await;
    }
    assert_eq!(
        lines(&registry, "http_requests_total"),
        ["http_requests_total 3"]
    );
    assert_eq!(
        lines(&registry, "http_responses_total"),
        [
            r#"http_responses_total{status="200"} 2"#,
            r#"http_responses_total{status="404"} 1"#,
        ]
    );
    let in_progress = r#"http_requests_in_progress{endpoint="/a",method="GET"} 0"#;
    assert_eq!(lines(&registry, "http_requests_in_progress"), [in_progress]);
}

/// The endpoints beyond the limit are not told apart anyway, so there is nothing to warn of.
#[tokio::test]
async fn endpoints_beyond_the_limit_do_not_overflow_without_the_endpoint_label() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .without_label(StandardLabel::Endpoint)
        .max_endpoints(1)
        .without(HttpMetric::OpenConnections)
        .build(&registry)
        .unwrap();
    for endpoint in ["/a", "/b", "/c"] {
        send(layer, "GET", endpoint, 200).await;
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), None);
    assert_requests_ended(&registry, 3);
}

#[test]
fn label_that_a_metric_cannot_have_is_an_error() {
    for (metric, label) in [
        (HttpMetric::InProgress, StandardLabel::Status),
        (HttpMetric::AbortedBodies, StandardLabel::Status),
        (HttpMetric::AbortedRequestBodies, StandardLabel::Status),
        (HttpMetric::ResponseBytes, StandardLabel::Status),
        (HttpMetric::OpenConnections, StandardLabel::Status),
        (HttpMetric::OpenConnections, StandardLabel::Method),
        (HttpMetric::ConnectionDuration, StandardLabel::Status),
    ] {
        let metrics = HttpMetrics::server().standard_labels(metric, [label]);
        let error = metrics.build(Registry::new()).unwrap_err().to_string();
        let start = format!("standard_labels: HttpMetric::{metric:?} cannot have the label");
        assert!(error.starts_with(&start), "{error}");
        let reason = match label {
            StandardLabel::Status => {
                "only requests, responses, their durations and their sizes are recorded by status"
            }
            _ => "connections are counted by endpoint and kind",
        };
        assert!(error.contains(reason), "{error}");
    }
    let label = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let metrics = HttpMetrics::server().label(label.on_everything());
    let error = metrics.build(Registry::new()).unwrap_err().to_string();
    assert!(
        error.starts_with(r#"label "cache": on_everything"#),
        "{error}"
    );
}

#[tokio::test]
async fn added_methods_are_recorded_by_their_names() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .methods(["PROPFIND", "REPORT", "GET"])
        .preregister("REPORT".parse().unwrap(), "/a", [207])
        .build(&registry)
        .unwrap();
    for method in ["PROPFIND", "PROPFIND", "BREW", "GET"] {
        send(layer, method, "/a", 200).await;
    }
    let requests = |method| registry.sum("http_requests_total", &[("method", method)]);
    assert_eq!(requests("PROPFIND"), Some(2.0));
    assert_eq!(requests("REPORT"), Some(0.0));
    assert_eq!(requests("OTHER"), Some(1.0));
    assert_eq!(requests("GET"), Some(1.0));
    assert_requests_ended(&registry, 4);
    let error = HttpMetrics::server().methods(["A B"]).build(&registry);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("\"A B\" is not an HTTP method")
    );
}
