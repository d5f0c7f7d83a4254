//! Requests a second of an axum server under `wrk`, with the layer and without.
//!
//! ```text
//! cargo bench --bench wrk --features quanta
//! ```

mod support;

use axum::Router;
use axum::routing::get;
use support::wrk::{Subject, compare};
use tower_prometheus::Registry;

fn router() -> Router {
    Router::new().route("/users/{id}", get(async || "hello"))
}

fn main() {
    let registry = Registry::new();
    let ours = router().layer(registry.http_layer());
    compare(&[
        Subject::new("bare server", router(), || None),
        Subject::new("tower-prometheus", ours, || {
            registry.value(
                "http_requests_total",
                &[("endpoint", "/users/{id}"), ("status", "200")],
            )
        }),
    ]);
}
