//! Series of custom labels that expire.

use std::time::Duration;

use tower::{Layer, Service, service_fn};
use tower_prometheus::http::{HttpLabel, HttpMetric};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::render_until_gone;
use test_support::service::{ok, request_to};

fn expiring() -> Registry {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    registry.build().unwrap()
}

#[tokio::test]
async fn series_of_open_label_values_expire_and_return_from_0() {
    let registry = expiring();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let plan = HttpLabel::from_request("plan", |request| request.header("x-plan"));
    let metrics = HttpMetrics::server()
        .label(tenant.on_histograms())
        .label(plan.values(["free", "paid"]))
        .measure(HttpMetric::ResponseBytes);
    let mut service = metrics.build(&registry).unwrap().layer(service_fn(ok));
    let mut call = async |tenant: &'static str, plan: &'static str| {
        let mut request = request_to("/orders");
        let headers = request.headers_mut();
        headers.insert("x-tenant", tenant.parse().unwrap());
        headers.insert("x-plan", plan.parse().unwrap());
        drop(service.call(request).await.unwrap());
    };
    let requests = |labels| registry.sum("http_requests_total", labels);
    for _ in 0..3 {
        call("a", "free").await;
        call("", "paid").await;
        assert_eq!(requests(&[("tenant", "a")]), Some(1.0));
        let durations = registry.sum("http_request_duration_seconds_count", &[("tenant", "a")]);
        assert_eq!(durations, Some(1.0));
        let page = render_until_gone(&registry, "tenant=\"a\"");
        assert!(
            page.contains("plan=\"paid\""),
            "its values are listed:\n{page}"
        );
    }
    assert_eq!(requests(&[("plan", "paid")]), Some(3.0));
}

#[tokio::test]
async fn series_of_a_client_expire_by_host() {
    let registry = expiring();
    let layer = HttpMetrics::client().build(&registry).unwrap();
    let mut service = layer.layer(service_fn(ok));
    for _ in 0..2 {
        let request = http::Request::get("http://peer.example/").body(()).unwrap();
        drop(service.call(request).await.unwrap());
        let labels = [("host", "peer.example")];
        assert_eq!(
            registry.sum("http_client_requests_total", &labels),
            Some(1.0)
        );
        let _ = render_until_gone(&registry, "peer.example");
    }
    assert_eq!(registry.sum("http_client_requests_in_progress", &[]), None);
}
