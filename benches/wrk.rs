//! Requests a second of an axum server under `wrk`, with the layer and without.
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
use tower::util::MapResponseLayer;
use tower_prometheus::Registry;

fn router() -> Router {
    Router::new().route("/users/{id}", get(async || "hello"))
}

fn main() {
    let registry = Registry::new();
    let ours = router().layer(registry.http_layer());
    // What axum asks for any layer that wraps bodies: a box for the service, and one for the body.
    let wrapped = router().layer(MapResponseLayer::new(|response: Response| {
        response.map(|body| body.map_err(|error| error))
    }));
    compare(&[
        Subject::new("bare server", router(), || None),
        Subject::new("a layer that only wraps bodies", wrapped, || None),
        Subject::new("tower-prometheus", ours, || {
            registry.value(
                "http_requests_total",
                &[("endpoint", "/users/{id}"), ("status", "200")],
            )
        }),
    ]);
}
