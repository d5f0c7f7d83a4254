//! The metrics page can be served by axum, tonic's router, hyper, and from within another service; the live page by tonic's
//! router.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
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

/// The page with its script, and the first line of its data. Browsers use HTTP/1 without TLS.
async fn assert_live_page_is_served(server: Server) {
    for (path, start) in [
        ("/live", "<!doctype html>"),
        ("/live/", "<!doctype html>"),
        ("/live?start.js", "// Starts the page."),
        ("/live/app.js", "// The page:"),
    ] {
        let (status, text) = server.get(path).await;
        assert!(status == 200 && text.starts_with(start), "{path}: {text}");
    }
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        let response = client.send("GET", "/live/data").await.unwrap();
        assert_eq!(response.status(), 200, "{protocol:?}");
        let line = response.into_body().frame().await.unwrap().unwrap();
        assert!(line.into_data().unwrap().starts_with(b"{\"hello\":"));
    }
}

#[tokio::test]
async fn live_page_is_served_by_tonics_router() {
    let page = tower_prometheus_live::page(&registry());
    let router = tonic::service::Routes::default().into_axum_router();
    let routes = tonic::service::Routes::from(router.nest_service("/live", page));
    assert_live_page_is_served(Server::start(routes).await).await;
}

#[tokio::test]
async fn live_page_is_served_by_tonics_server_with_a_grpc_layer() {
    let registry = registry();
    let page = tower_prometheus_live::page(&registry);
    let routes = axum::Router::new().nest_service("/live", page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder()
        .accept_http1(true)
        .layer(registry.grpc_layer())
        .add_routes(tonic::service::Routes::from(routes));
    let serving = tokio::spawn(server.serve_with_incoming(incoming));
    assert_live_page_is_served(Server::at(address)).await;
    serving.abort();
    assert_eq!(registry.render(), PAGE, "the live page adds no series");
}
