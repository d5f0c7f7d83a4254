//! The metrics page can be served by axum, tonic's router, hyper, and from within another service.

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use tower_prometheus::Registry;

use test_support::server::{BOTH_PROTOCOLS, Server};

fn registry() -> Registry {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("orders_total").increment(7);
    });
    registry
}

const PAGE: &str = "# TYPE orders_total counter\norders_total 7\n";

async fn assert_served(server: Server) {
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        let expected = (200, Bytes::from_static(PAGE.as_bytes()));
        assert_eq!(client.fetch("GET", "/metrics").await, expected);
    }
}

#[tokio::test]
async fn page_is_served_by_axum() {
    let app = axum::Router::new().route_service("/metrics", registry().handler());
    assert_served(Server::start(app).await).await;
}

#[tokio::test]
async fn page_is_served_by_tonic() {
    let routes = tonic::service::Routes::default().into_axum_router();
    let routes = routes.route_service("/metrics", registry().handler());
    assert_served(Server::start(tonic::service::Routes::from(routes)).await).await;
}

#[tokio::test]
async fn page_is_served_by_hyper() {
    assert_served(Server::start(registry().handler()).await).await;
}

#[tokio::test]
async fn page_is_served_from_within_a_service_fn() {
    use tower::Service;
    let handler = registry().handler();
    let service =
        tower::service_fn(move |request: Request<Incoming>| handler.clone().call(request));
    assert_served(Server::start(service).await).await;
}
