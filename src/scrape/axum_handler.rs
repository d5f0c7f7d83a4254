//! [`MetricsHandler`] as an axum `Handler`.

use std::pin::Pin;

use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use tower_service::Service;

use crate::scrape::handler::MetricsHandler;

/// An axum handler for a route, as in `get(metrics.handler())`. Requires the feature `axum`.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_prometheus::Registry;
///
/// let metrics = Registry::new();
/// let app: Router = Router::new().route("/metrics", get(metrics.handler()));
/// ```
impl<S: Send + Sync + 'static> Handler<(), S> for MetricsHandler {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(mut self, request: Request, _: S) -> Self::Future {
        let scrape = Service::call(&mut self, request);
        Box::pin(async move {
            match scrape.await {
                Ok(page) => page.map(Body::new),
                Err(impossible) => match impossible {},
            }
        })
    }
}
