//! An axum application with HTTP metrics, exemplars and a custom metric: a demo shop.
//!
//! ```text
//! cargo run --release --example axum
//! curl 'http://127.0.0.1:3000/users/[1-3]'
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! It has a path parameter, a slow route, one that streams, one that fails, one that panics, a nested router
//! and a fallback. The environment variable `PORT` sets another port.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, response::IntoResponse};
use futures_util::stream;
use tower_http::catch_panic::CatchPanicLayer;
use tower_prometheus::{HttpMetrics, Registry, http::TraceId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = Registry::builder()
        .constant_label("service", "shop")
        .install()?;
    let http = HttpMetrics::server()
        .exemplar(TraceId::from_traceparent)
        .build(&metrics)?;
    metrics::describe_counter!("shop_orders_total", "Total number of orders, by kind.");

    let app = Router::new()
        .route("/users/{id}", get(user))
        .route("/slow", get(slow))
        .route("/stream", get(stream_chunks))
        .route("/fail", get(fail))
        .route("/panic", get(panic_in_handler))
        .nest("/admin", Router::new().route("/orders", post(order)))
        .fallback(not_found)
        .route_service("/metrics", metrics.handler())
        .layer(http)
        .layer(CatchPanicLayer::new());

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}. Send some requests, then read the metrics page:\n");
    println!("  curl 'http://{address}/users/[1-3]'");
    println!("  curl 'http://{address}/{{slow,stream,fail,panic,nowhere}}'");
    println!("  curl -X POST http://{address}/admin/orders");
    println!("  curl http://{address}/metrics");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn user(Path(id): Path<u32>) -> String {
    format!("user {id}\n")
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "slow response\n"
}

/// Streams three chunks, one every 50 ms. The request ends when the body has ended.
async fn stream_chunks() -> Body {
    let chunks = stream::unfold(0, async |n| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let chunk = Bytes::from(format!("chunk {n}\n"));
        (n < 3).then_some((Ok::<_, Infallible>(chunk), n + 1))
    });
    Body::from_stream(chunks)
}

async fn fail() -> impl IntoResponse {
    (StatusCode::SERVICE_UNAVAILABLE, "out of stock\n")
}

async fn panic_in_handler() -> &'static str {
    panic!("this handler always panics");
}

/// A handler of a nested router. It increments a custom metric.
async fn order() -> impl IntoResponse {
    metrics::counter!("shop_orders_total", "kind" => "book").increment(1);
    (StatusCode::CREATED, "ordered\n")
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "no such page\n")
}
