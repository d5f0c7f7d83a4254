//! The preset for users of the crate axum-prometheus: the same page for the same traffic where that crate
//! is right, and what is different where it is not.

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

/// Requests that both crates count, and count right.
const RIGHT: [(&str, &str); 7] = [
    ("GET", "/users/1"),
    ("GET", "/users/2"),
    ("POST", "/users/3"),
    ("DELETE", "/users/4"),
    ("GET", "/fail"),
    ("GET", "/v1/items/7"),
    ("HEAD", "/users/5"),
];

/// Requests that axum-prometheus makes wrong labels of.
const WRONG: [(&str, &str); 2] = [("GET", "/wp-admin/setup.php"), ("HACK", "/users/6")];

async fn drive(app: Router, requests: &[(&str, &str)]) {
    let server = Server::start(app).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for (method, path) in requests {
            client.fetch(method, path).await;
        }
    }
}

/// What does not depend on time, by name and sorted labels: counters and gauges with their values, of
/// histograms the bounds and how many there were.
fn facts(page: &str) -> BTreeMap<String, f64> {
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

// One test: that crate has one recorder for the process.
#[tokio::test]
async fn the_same_page_for_the_same_traffic_where_that_crate_is_right() {
    let (layer, handle) = axum_prometheus::PrometheusMetricLayer::pair();
    drive(app().layer(layer), &RIGHT).await;
    let theirs = handle.render();

    let registry = Registry::new();
    let layer = HttpMetrics::axum_prometheus().build(&registry).unwrap();
    drive(app().layer(layer), &RIGHT).await;
    let ours = registry.render();

    assert_eq!(facts(&ours), facts(&theirs), "\n{ours}\n{theirs}");
    assert_eq!(types(&ours), types(&theirs));

    // Where it is not: a scanner's path and a made-up method are labels there.
    let (layer, handle) = (axum_prometheus::PrometheusMetricLayer::new(), handle);
    drive(app().layer(layer), &WRONG).await;
    let theirs = handle.render();
    assert!(
        theirs.contains(r#"endpoint="/wp-admin/setup.php""#),
        "{theirs}"
    );
    assert!(theirs.contains(r#"method="""#), "{theirs}");

    let layer = HttpMetrics::axum_prometheus().build(&registry).unwrap();
    drive(app().layer(layer), &WRONG).await;
    let ours = registry.render();
    assert!(
        !ours.contains("wp-admin") && !ours.contains(r#"method="""#),
        "{ours}"
    );
    let requests = |label| registry.sum("axum_http_requests_total", &[label]);
    assert_eq!(requests(("endpoint", "unmatched")), Some(2.0));
    assert_eq!(requests(("method", "OTHER")), Some(2.0));
}
