//! A layer that is built before the global recorder is installed. In a separate process, because a recorder is
//! installed once.

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::child_test::ignored_test;
use test_support::service::ok;

#[test]
fn layer_records_once_a_recorder_is_installed() {
    let status = ignored_test("late_recorder::late_recorder_process").status();
    assert!(status.unwrap().success());
}

#[tokio::test]
#[ignore = "installs a global recorder; run by layer_records_once_a_recorder_is_installed"]
async fn late_recorder_process() {
    let layer = HttpMetrics::server().build_global().unwrap();
    let service = layer.layer(service_fn(ok));
    drop(service.clone().oneshot(Request::new(())).await);
    let registry = Registry::builder().install().unwrap();
    assert_eq!(registry.sum("http_requests_total", &[]), None);
    for _ in 0..3 {
        drop(service.clone().oneshot(Request::new(())).await);
    }
    assert_eq!(registry.sum("http_requests_total", &[]), Some(3.0));
    assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(0.0));
    // A layer that is built now has the same series.
    let layer = HttpMetrics::server().build_global().unwrap();
    drop(layer.layer(service_fn(ok)).oneshot(Request::new(())).await);
    assert_eq!(registry.sum("http_requests_total", &[]), Some(4.0));
}

#[tokio::test]
async fn layer_that_is_off_passes_requests_through() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .enabled(false)
        .build(&registry)
        .unwrap();
    let response = layer.layer(service_fn(ok)).oneshot(Request::new(())).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(registry.render(), Registry::new().render());
    let invalid = HttpMetrics::server().enabled(false).max_endpoints(0);
    assert!(
        invalid.build(&registry).is_err(),
        "mistakes are found also if the layer is off"
    );
}
