//! Known bugs of other crates that need a server, each as a test of the correct behaviour.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::BodyExt;
use tower_prometheus::Registry;

use test_support::body::ScriptedBody;
use test_support::server::{Protocol, Server};
use test_support::wait_for_requests_to_end;

/// tower-http's `on_early_drop` fires for complete bodies that hyper stops polling before they return `None`.
#[tokio::test]
async fn complete_body_that_hyper_stops_polling_is_not_aborted() {
    let registry = Registry::new();
    let with_length = async || {
        let body = ScriptedBody::stream(&["a", "b"]).map_err(axum::Error::new);
        ([("content-length", "2")], Body::new(body))
    };
    let app = Router::new()
        .route("/length", get(with_length))
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    let mut client = server.connect(Protocol::Http1).await;
    client.fetch("GET", "/length").await;
    client.fetch("HEAD", "/length").await;
    wait_for_requests_to_end(&registry, 2).await;
    assert_eq!(
        registry.sum("http_response_bodies_aborted_total", &[]),
        None
    );
}
