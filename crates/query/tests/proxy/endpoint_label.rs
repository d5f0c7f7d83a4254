//! The `endpoint` label of the proxy in the metrics of tower-prometheus.

use axum::Router;
use http::Request;
use tower::{Layer, ServiceExt};
use tower_prometheus::Registry;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FakeUpstream, VALID_QUERY, get};
use test_support::assert_requests_ended;
#[cfg(feature = "axum")]
use test_support::server::Server;

fn requests(registry: &Registry, endpoint: &str, status: &str) -> Option<f64> {
    registry.sum(
        "http_requests_total",
        &[("endpoint", endpoint), ("status", status)],
    )
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn endpoint_label_includes_axum_nest_path() {
    let registry = Registry::new();
    let upstream = FakeUpstream::with_text("{}").await;
    let proxy = upstream.proxy().build().unwrap();
    let inner: Router = Router::new().nest_service("/metrics", proxy.clone());
    let app: Router = Router::new()
        .nest_service("/api/metrics", proxy.clone())
        .nest("/deep/{tenant}", inner)
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    assert_eq!(
        server.get(&format!("/api/metrics{VALID_QUERY}")).await.0,
        200
    );
    assert_eq!(server.get("/api/metrics/services").await.0, 200);
    assert_eq!(server.get("/api/metrics/health").await.0, 200);
    assert_eq!(server.get("/api/metrics/query_range").await.0, 400);
    assert_eq!(server.get("/api/metrics/scanned/4711").await.0, 404);
    assert_eq!(
        server.get(&format!("/deep/a/metrics{VALID_QUERY}")).await.0,
        200
    );
    assert_eq!(
        server.get(&format!("/deep/b/metrics{VALID_QUERY}")).await.0,
        200
    );
    test_support::wait_for_requests_to_end(&registry, 7).await;
    assert_eq!(
        requests(&registry, "/api/metrics/query_range", "200"),
        Some(1.0)
    );
    assert_eq!(
        requests(&registry, "/api/metrics/query_range", "400"),
        Some(1.0)
    );
    assert_eq!(
        requests(&registry, "/api/metrics/services", "200"),
        Some(1.0)
    );
    assert_eq!(requests(&registry, "/api/metrics/health", "200"), Some(1.0));
    assert_eq!(requests(&registry, "unmatched", "404"), Some(1.0));
    assert_eq!(
        requests(&registry, "/deep/{tenant}/metrics/query_range", "200"),
        Some(2.0)
    );
}

#[tokio::test]
async fn endpoint_label_includes_configured_mount_path() {
    let registry = Registry::new();
    let upstream = FakeUpstream::with_text("{}").await;
    let proxy = upstream.proxy().mounted_at("/api/metrics").build().unwrap();
    let service = registry.http_layer().layer(proxy.clone());
    for (target, status) in [
        (format!("/api/metrics{VALID_QUERY}"), 200),
        ("/api/metrics/health".to_owned(), 200),
        ("/api/metricshealth".to_owned(), 404),
        ("/api/metrics".to_owned(), 404),
    ] {
        let request = Request::get(target).body(()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        drop(response);
    }
    assert_requests_ended(&registry, 4);
    assert_eq!(
        requests(&registry, "/api/metrics/query_range", "200"),
        Some(1.0)
    );
    assert_eq!(requests(&registry, "/api/metrics/health", "200"), Some(1.0));
    assert_eq!(requests(&registry, "unmatched", "404"), Some(2.0));
}

/// With a route for each endpoint, the matched route is known before the response.
#[tokio::test]
async fn cancelled_request_has_the_endpoint_of_its_route() {
    let registry = Registry::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = QueryProxy::builder(url);
    let proxy = proxy.mounted_at("/api/metrics").build().unwrap();
    let app: Router = Router::new()
        .route_service("/api/metrics/query_range", proxy)
        .layer(registry.http_layer());
    let request =
        Request::get(format!("/api/metrics{VALID_QUERY}")).body(axum::body::Body::empty());
    let request = tokio::spawn(app.oneshot(request.unwrap()));
    let _connection = listener.accept().await.unwrap();
    request.abort();
    assert!(request.await.is_err());
    assert_requests_ended(&registry, 1);
    assert_eq!(
        requests(&registry, "/api/metrics/query_range", "cancelled"),
        Some(1.0)
    );
}

#[tokio::test]
async fn endpoint_set_on_the_request_is_kept() {
    let registry = Registry::new();
    let upstream = FakeUpstream::with_text("{}").await;
    let service = registry
        .http_layer()
        .layer(upstream.proxy().build().unwrap());
    let mut request = Request::get("/health").body(()).unwrap();
    let named = tower_prometheus::http::Endpoint::from_static("/own");
    request.extensions_mut().insert(named);
    drop(service.oneshot(request).await.unwrap());
    assert_eq!(requests(&registry, "/own", "200"), Some(1.0));
    assert_eq!(
        get(&upstream.proxy().build().unwrap(), "/health")
            .await
            .status,
        200
    );
}
