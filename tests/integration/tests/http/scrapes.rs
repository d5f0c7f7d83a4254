//! Scrapes are not measured, wherever the metrics page is mounted, over both protocols.

use axum::Router;
use axum::routing::get;
use tower_prometheus::{Registry, http::EndpointLayer};

use test_support::page::{assert_valid_text, samples};
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{assert_requests_ended, wait_for_requests_to_end};

fn app(registry: &Registry) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route_service("/metrics", registry.handler())
}

/// Returns every way to mount the metrics page below a layer.
fn mounted(registry: &Registry) -> Vec<(&'static str, Router, &'static str)> {
    let layer = registry.http_layer();
    vec![
        ("on the router", app(registry).layer(layer), "/metrics"),
        (
            "as a route layer",
            app(registry).route_layer(layer),
            "/metrics",
        ),
        (
            "nested",
            Router::new().nest("/ops", app(registry)).layer(layer),
            "/ops/metrics",
        ),
        (
            "nested as a service",
            Router::new()
                .nest_service("/ops", app(registry))
                .layer(layer),
            "/ops/metrics",
        ),
        (
            "as a fallback",
            Router::new().fallback_service(app(registry)).layer(layer),
            "/metrics",
        ),
        (
            "under an endpoint layer",
            Router::new()
                .nest_service("/ops", app(registry).layer(EndpointLayer::new()))
                .layer(layer),
            "/ops/metrics",
        ),
        (
            "under a parameter",
            Router::new()
                .route_service("/{page}", registry.handler())
                .layer(layer),
            "/m",
        ),
    ]
}

#[tokio::test]
async fn scrape_is_not_measured_wherever_the_page_is_mounted() {
    for protocol in BOTH_PROTOCOLS {
        for i in 0..7 {
            let registry = Registry::new();
            let (how, app, path) = mounted(&registry).swap_remove(i);
            let server = Server::start(app).await;
            let mut client = server.connect(protocol).await;
            for method in ["GET", "GET", "HEAD", "GET"] {
                let (status, page) = client.fetch(method, path).await;
                assert_eq!((status, page.len()), (200, 0), "{how}, {method}: {page:?}");
            }
            assert_requests_ended(&registry, 0);
        }
    }
}

#[tokio::test]
async fn scrape_does_not_count_itself_as_in_progress() {
    let registry = Registry::new();
    let server = Server::start(app(&registry).layer(registry.http_layer())).await;
    let mut client = server.connect(Protocol::Http1).await;
    // A POST is measured, so the series of the endpoint exist.
    assert_eq!(client.fetch("POST", "/metrics").await.0, 405);
    let mut before = None;
    for _ in 0..3 {
        let (_, page) = client.fetch("GET", "/metrics").await;
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert_valid_text(&page);
        let samples = samples(&page);
        let in_progress = r#"http_requests_in_progress{endpoint="/metrics",method="POST"}"#;
        assert_eq!(samples[in_progress], 0.0);
        // Nothing changes from one scrape to the next.
        assert_eq!(before.get_or_insert(samples.clone()), &samples);
    }
    wait_for_requests_to_end(&registry, 1).await;
}

#[tokio::test]
async fn scrape_is_not_measured_by_two_nested_layers() {
    let (outer, inner) = (Registry::new(), Registry::new());
    let app = app(&inner)
        .layer(inner.http_layer())
        .layer(outer.http_layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/metrics").await.0, 200);
    assert_eq!(server.get("/hello").await.0, 200);
    wait_for_requests_to_end(&inner, 1).await;
    wait_for_requests_to_end(&outer, 1).await;
}
