//! The metrics page behind a real server.

use test_support::server::{Protocol, Server};
use tower_prometheus::Registry;

/// axum's `get_service` answers HEAD with GET's service; the length of what is not sent is not 0.
#[tokio::test]
async fn head_never_says_that_the_page_is_empty() {
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
