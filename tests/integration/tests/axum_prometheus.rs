//! The preset for users of the crate axum-prometheus: the same samples for the same traffic, except where that
//! crate has bugs.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower_prometheus::{HttpMetrics, Registry};

use test_support::page::samples_with_sorted_labels;
use test_support::server::{BOTH_PROTOCOLS, Server};

fn app() -> Router {
    Router::new()
        .route(
            "/users/{id}",
            get(async || "ada").post(async || StatusCode::CREATED),
        )
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .nest(
            "/v1",
            Router::new().route("/items/{item}", get(async || "item")),
        )
}

/// Requests that both crates count correctly.
const CORRECT_IN_BOTH: [(&str, &str); 7] = [
    ("GET", "/users/1"),
    ("GET", "/users/2"),
    ("POST", "/users/3"),
    ("DELETE", "/users/4"),
    ("GET", "/fail"),
    ("GET", "/v1/items/7"),
    ("HEAD", "/users/5"),
];

/// Requests for which axum-prometheus exports wrong labels.
const WRONG_IN_AXUM_PROMETHEUS: [(&str, &str); 2] =
    [("GET", "/wp-admin/setup.php"), ("HACK", "/users/6")];

async fn send(app: Router, requests: &[(&str, &str)]) {
    let server = Server::start(app).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for (method, path) in requests {
            client.fetch(method, path).await;
        }
    }
}

/// Returns the samples without what depends on time: sums are left out, and buckets other than `+Inf` are 0.
fn without_times(page: &str) -> BTreeMap<String, f64> {
    let mut samples = samples_with_sorted_labels(page);
    samples.retain(|name, _| !name.contains("_sum{"));
    for (name, value) in &mut samples {
        if name.contains("_bucket{") && !name.contains("le=\"+Inf") {
            *value = 0.0;
        }
    }
    samples
}

fn types(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect()
}

// This is one test, because axum-prometheus has one recorder per process.
#[tokio::test]
async fn preset_exports_the_samples_of_axum_prometheus_without_its_bugs() {
    let (layer, handle) = axum_prometheus::PrometheusMetricLayer::pair();
    send(app().layer(layer), &CORRECT_IN_BOTH).await;
    let theirs = handle.render();

    let registry = Registry::new();
    let layer = HttpMetrics::axum_prometheus().build(&registry).unwrap();
    send(app().layer(layer), &CORRECT_IN_BOTH).await;
    let ours = registry.render();

    assert_eq!(
        without_times(&ours),
        without_times(&theirs),
        "\n{ours}\n{theirs}"
    );
    assert_eq!(types(&ours), types(&theirs));

    // In axum-prometheus, the path of a scanner and an unknown method become label values.
    let (layer, handle) = (axum_prometheus::PrometheusMetricLayer::new(), handle);
    send(app().layer(layer), &WRONG_IN_AXUM_PROMETHEUS).await;
    let theirs = handle.render();
    assert!(
        theirs.contains(r#"endpoint="/wp-admin/setup.php""#),
        "{theirs}"
    );
    assert!(theirs.contains(r#"method="""#), "{theirs}");

    let layer = HttpMetrics::axum_prometheus().build(&registry).unwrap();
    send(app().layer(layer), &WRONG_IN_AXUM_PROMETHEUS).await;
    let ours = registry.render();
    assert!(
        !ours.contains("wp-admin") && !ours.contains(r#"method="""#),
        "{ours}"
    );
    let requests = |label| registry.sum("axum_http_requests_total", &[label]);
    assert_eq!(requests(("endpoint", "unmatched")), Some(2.0));
    assert_eq!(requests(("method", "OTHER")), Some(2.0));
}
