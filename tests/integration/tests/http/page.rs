//! The metrics page over a socket.

use test_support::server::{Protocol, Server};
use tower_prometheus::Registry;

/// axum's `get_service` answers HEAD with the service for GET. The response must not claim that the page is empty.
#[tokio::test]
async fn head_response_has_no_content_length() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..30 {
            metrics::counter!("rows_total", "i" => i.to_string()).increment(1);
        }
    });
    let handler = axum::routing::get_service(registry.handler());
    let app = axum::Router::new().route("/metrics", handler);
    let server = Server::start(app).await;
    let mut client = server.connect(Protocol::Http1).await;
    let response = client.send("HEAD", "/metrics").await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("content-length"), None);
}
