//! The metrics of one request with each naming preset: classic, OpenTelemetry and axum-prometheus.
//!
//! ```text
//! $ cargo run --release --example namings
//! classic:
//! http_request_duration_seconds_count{endpoint="/users/{id}",method="GET"} 1
//! http_requests_in_progress{endpoint="/users/{id}",method="GET"} 0
//! http_requests_total{endpoint="/users/{id}",method="GET",status="200"} 1
//! OpenTelemetry:
//! http_server_active_requests{http_request_method="GET",url_scheme="https"} 0
//! http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",http_route="/users/{id}",network_protocol_version="1.1",url_scheme="https"} 1
//! http_server_response_body_size_bytes_count{error_type="",http_request_method="GET",http_response_status_code="200",http_route="/users/{id}",network_protocol_version="1.1",url_scheme="https"} 1
//! axum-prometheus:
//! axum_http_requests_duration_seconds_count{endpoint="/users/{id}",method="GET",status="200"} 1
//! axum_http_requests_pending{endpoint="/users/{id}",method="GET"} 0
//! axum_http_requests_total{endpoint="/users/{id}",method="GET",status="200"} 1
//! ```

use std::error::Error;

use axum::body::Body;
use axum::http::Request;
use axum::{Router, routing::get};
use tower::ServiceExt;
use tower_prometheus::{HttpMetrics, Registry};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (name, layer) in [
        ("classic", HttpMetrics::server()),
        ("OpenTelemetry", HttpMetrics::open_telemetry().https()),
        ("axum-prometheus", HttpMetrics::axum_prometheus()),
    ] {
        let metrics = Registry::new();
        let app = Router::new()
            .route("/users/{id}", get(async || "ada"))
            .layer(layer.build(&metrics)?);
        let response = app
            .oneshot(Request::get("/users/1").body(Body::empty())?)
            .await?;
        axum::body::to_bytes(response.into_body(), usize::MAX).await?;

        println!("{name}:");
        let page = metrics.render();
        let omitted = ["_bucket{", "_sum{", "# "];
        let lines = page
            .lines()
            .filter(|line| !omitted.iter().any(|text| line.contains(text)));
        lines.for_each(|line| println!("{line}"));
    }
    Ok(())
}
