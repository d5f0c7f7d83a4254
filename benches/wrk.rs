//! Requests per second of an axum server under `wrk`, with and without the layer.
//!
//! ```text
//! cargo bench --bench wrk --features quanta
//! ```

mod support;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt;
use support::wrk::{Subject, compare};
use tower::Layer;
use tower::util::MapResponseLayer;
use tower_prometheus::{HttpMetrics, Registry};

const ENDPOINT: &str = "/users/{id}";

fn router() -> Router {
    Router::new().route(ENDPOINT, get(async || "hello"))
}

fn counted(registry: &Registry) -> Option<f64> {
    let labels = [("endpoint", ENDPOINT), ("status", "200")];
    registry.sum("http_requests_total", &labels)
}

fn main() {
    let registry = Registry::new();
    let ours = router().layer(registry.http_layer());
    // axum boxes the service and the body of every layer that wraps bodies.
    let wrapped = router().layer(MapResponseLayer::new(|response: Response| {
        response.map(|body| body.map_err(|error| error))
    }));
    compare(&[
        Subject::axum("bare server", router(), || None),
        Subject::axum("a layer that only wraps bodies", wrapped, || None),
        Subject::axum("tower-prometheus", ours, || counted(&registry)),
    ]);

    println!("\nThe layer wraps the router, and hyper serves it, without boxes:\n");
    let registry = Registry::new();
    let metrics = HttpMetrics::server().route_patterns([ENDPOINT]);
    let layer = metrics.build(&registry).expect("valid settings");
    compare(&[
        Subject::hyper("bare server", router(), || None),
        Subject::hyper("tower-prometheus", layer.layer(router()), || {
            counted(&registry)
        }),
    ]);
}
