//! What each order of layers counts: every statement of docs/guide/layer_order.md.

use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::routing::get;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer as TowerTimeoutLayer;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};
use tower_prometheus::{Registry, http::EndpointLayer};

use test_support::body::{ScriptedBody, Step};
use test_support::{
    aborted_bodies, assert_one_request_completed, assert_requests_ended, requests_with_status,
};

const TIMEOUT: Duration = Duration::from_millis(1);

fn request_to(path: &str) -> Request<Body> {
    let request = Request::get(path).header("accept-encoding", "gzip");
    request.body(Body::empty()).unwrap()
}

/// Sends a request to a router and reads the response body to its end. Returns the head and the length of the body,
/// or `None` if the body failed.
async fn fetch(app: &Router, request: Request<Body>) -> (Response<()>, Option<usize>) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok();
    let length = body.map(|body| body.to_bytes().len());
    (Response::from_parts(head, ()), length)
}

/// Polls a future once and returns whether it is pending.
fn poll_is_pending(future: Pin<&mut impl Future>) -> bool {
    let cx = &mut Context::from_waker(Waker::noop());
    future.poll(cx).is_pending()
}

fn counted(registry: &Registry, endpoint: &str, status: &str) -> f64 {
    let labels = [("endpoint", endpoint), ("status", status)];
    registry.sum("http_requests_total", &labels).unwrap_or(0.0)
}

fn in_progress(registry: &Registry) -> f64 {
    registry
        .sum("http_requests_in_progress", &[])
        .unwrap_or(0.0)
}

// ===== compression =====

const BODY_LENGTH: usize = 100_000;

fn router_with_a_large_body() -> Router {
    Router::new().route("/large", get(async || "x".repeat(BODY_LENGTH)))
}

async fn assert_compressed_once(registry: &Registry, app: &Router) {
    let (head, length) = fetch(app, request_to("/large")).await;
    assert_eq!(head.headers()["content-encoding"], "gzip");
    assert!(length.unwrap() < BODY_LENGTH / 10);
    assert_eq!(requests_with_status(registry, "200"), 1.0);
    assert_one_request_completed(registry);
}

#[tokio::test]
async fn inner_compression_counts_one_request_with_a_complete_body() {
    let registry = Registry::new();
    let app = router_with_a_large_body()
        .layer(CompressionLayer::new())
        .layer(registry.http_layer());
    assert_compressed_once(&registry, &app).await;
}

#[tokio::test]
async fn outer_compression_counts_one_request_with_a_complete_body() {
    let registry = Registry::new();
    let app = router_with_a_large_body()
        .layer(registry.http_layer())
        .layer(CompressionLayer::new());
    assert_compressed_once(&registry, &app).await;
}

#[tokio::test]
async fn compressed_body_dropped_by_the_client_is_aborted_in_either_order() {
    let hang =
        || Body::new(ScriptedBody::new([Step::Data("a"), Step::Hang]).map_err(BoxError::from));
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, compression) = (registry.http_layer(), CompressionLayer::new());
        let app = Router::new().route("/hang", get(async move || hang()));
        let app = match inside {
            true => app.layer(compression).layer(metrics),
            false => app.layer(metrics).layer(compression),
        };
        let response = app.oneshot(request_to("/hang")).await.unwrap();
        assert_eq!(in_progress(&registry), 1.0);
        drop(response);
        assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn scrape_through_compression_is_not_measured_in_either_order() {
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, compression) = (registry.http_layer(), CompressionLayer::new());
        let app = router_with_a_large_body().route_service("/metrics", registry.handler());
        let app = match inside {
            true => app.layer(compression).layer(metrics),
            false => app.layer(metrics).layer(compression),
        };
        fetch(&app, request_to("/large")).await;
        for _ in 0..2 {
            let (head, length) = fetch(&app, request_to("/metrics")).await;
            assert_eq!(head.status(), StatusCode::OK);
            assert!(length.unwrap() > 0);
        }
        assert!(!registry.render().contains("endpoint=\"/metrics\""));
        assert_requests_ended(&registry, 1);
    }
}

// ===== timeouts =====

async fn hang(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    pending().await
}

#[tokio::test]
async fn inner_tower_timeout_is_counted_as_error() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(TowerTimeoutLayer::new(TIMEOUT))
        .service(service_fn(hang));
    assert!(app.oneshot(request_to("/")).await.is_err());
    assert_eq!(requests_with_status(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn outer_tower_timeout_is_counted_as_cancelled() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(TowerTimeoutLayer::new(TIMEOUT))
        .layer(registry.http_layer())
        .service(service_fn(hang));
    assert!(app.oneshot(request_to("/")).await.is_err());
    assert_eq!(requests_with_status(&registry, "cancelled"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn inner_tower_http_timeout_is_counted_by_its_status() {
    for code in [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT] {
        let registry = Registry::new();
        let app = Router::new()
            .route("/hang", get(pending::<()>))
            .layer(TimeoutLayer::with_status_code(code, TIMEOUT))
            .layer(registry.http_layer());
        assert_eq!(fetch(&app, request_to("/hang")).await.0.status(), code);
        assert_eq!(counted(&registry, "/hang", code.as_str()), 1.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn outer_tower_http_timeout_is_counted_as_cancelled_not_by_its_status() {
    let registry = Registry::new();
    let code = StatusCode::REQUEST_TIMEOUT;
    let app = Router::new()
        .route("/hang", get(pending::<()>))
        .layer(registry.http_layer())
        .layer(TimeoutLayer::with_status_code(code, TIMEOUT));
    assert_eq!(fetch(&app, request_to("/hang")).await.0.status(), code);
    assert_eq!(counted(&registry, "/hang", "cancelled"), 1.0);
    assert_eq!(counted(&registry, "/hang", "408"), 0.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn inner_body_timeout_aborts_with_error_and_outer_one_with_dropped() {
    for (inside, reason) in [(true, "error"), (false, "dropped")] {
        let registry = Registry::new();
        let stuck = async || {
            let body = ScriptedBody::new([Step::Data("a"), Step::Hang]);
            Body::new(body.map_err(BoxError::from))
        };
        let (metrics, timeout) = (
            registry.http_layer(),
            ResponseBodyTimeoutLayer::new(TIMEOUT),
        );
        let app = Router::new().route("/stuck", get(stuck));
        let app = match inside {
            true => app.layer(timeout).layer(metrics),
            false => app.layer(metrics).layer(timeout),
        };
        assert_eq!(fetch(&app, request_to("/stuck")).await.1, None);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        assert_eq!(aborted_bodies(&registry, reason), 1.0, "{reason}");
        assert_requests_ended(&registry, 1);
    }
}

// ===== panics =====

fn panics() -> Router {
    let in_body = async || {
        let body = ScriptedBody::new([Step::Data("a"), Step::Panic]);
        Body::new(body.map_err(BoxError::from))
    };
    Router::new()
        .route("/panic", get(async || -> &'static str { panic!("oh") }))
        .route("/body", get(in_body))
}

#[tokio::test]
async fn inner_catch_panic_is_counted_as_500() {
    let registry = Registry::new();
    let app = panics()
        .layer(CatchPanicLayer::new())
        .layer(registry.http_layer());
    assert_eq!(fetch(&app, request_to("/panic")).await.0.status(), 500);
    assert_eq!(counted(&registry, "/panic", "500"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn outer_catch_panic_is_counted_as_panicked() {
    let registry = Registry::new();
    let app = panics()
        .layer(registry.http_layer())
        .layer(CatchPanicLayer::new());
    assert_eq!(fetch(&app, request_to("/panic")).await.0.status(), 500);
    assert_eq!(counted(&registry, "/panic", "panicked"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn panic_in_a_body_aborts_it_in_either_order() {
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, catch) = (registry.http_layer(), CatchPanicLayer::new());
        let app = match inside {
            true => panics().layer(catch).layer(metrics),
            false => panics().layer(metrics).layer(catch),
        };
        let panicked = tokio::spawn(async move { fetch(&app, request_to("/body")).await }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        assert_eq!(aborted_bodies(&registry, "panicked"), 1.0);
        assert_requests_ended(&registry, 1);
    }
}

// ===== concurrency limits and load shedding =====

/// A service that waits until the gate is opened. The tests put it behind a concurrency limit of 1.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn open(&self) {
        self.0.close();
    }

    async fn pass(self, _: Request<Body>) -> Result<Response<Body>, Infallible> {
        let _ = self.0.acquire().await;
        Ok(Response::new(Body::from("passed")))
    }

    /// Call `with_state` on the result: without it, a router makes new layers, and so new limits, for each request.
    fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().route("/", get(async move |request| gate.pass(request).await))
    }
}

/// Sends two requests, of which the limit admits one. Returns the number in progress while the other waits.
async fn in_progress_behind_a_limit<S>(registry: &Registry, gate: &Gate, app: S) -> f64
where
    S: Service<Request<Body>, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
{
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut call = Box::pin(app.clone().oneshot(request_to("/")));
        // Both proceed until they wait.
        assert!(poll_is_pending(call.as_mut()));
        calls.spawn(async move { drop(call.await) });
    }
    let waiting = in_progress(registry);
    gate.open();
    calls.join_all().await;
    assert_requests_ended(registry, 2);
    waiting
}

#[tokio::test]
async fn request_waiting_for_an_outer_limit_is_not_in_progress() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(registry.http_layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .with_state(());
    let while_waiting = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(while_waiting, 1.0);
}

#[tokio::test]
async fn request_waiting_for_an_inner_limit_of_a_router_is_in_progress() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(registry.http_layer())
        .with_state(());
    let while_waiting = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(while_waiting, 2.0);
}

/// The limit makes its caller wait in `poll_ready`, before the metrics layer is called.
#[tokio::test]
async fn request_waiting_for_an_inner_limit_of_a_service_builder_is_not_in_progress() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let service = {
        let gate = gate.clone();
        service_fn(move |request| gate.clone().pass(request))
    };
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service);
    let while_waiting = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(while_waiting, 1.0);
}

/// Sends two requests, of which the second is shed, and completes both. Returns the result of the second.
async fn shed_one<S>(gate: &Gate, app: S) -> Result<S::Response, S::Error>
where
    S: Service<Request<Body>, Error: std::fmt::Debug> + Clone,
{
    let mut first = pin!(app.clone().oneshot(request_to("/")));
    assert!(poll_is_pending(first.as_mut()));
    let shed = app.oneshot(request_to("/")).now_or_never();
    gate.open();
    drop(first.await.unwrap());
    shed.expect("the request is shed at once")
}

#[tokio::test]
async fn request_shed_by_an_outer_layer_is_not_counted() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(registry.http_layer())
        .service(gate.router());
    assert!(shed_one(&gate, app).await.is_err());
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn request_shed_by_an_inner_layer_is_counted_as_error() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(gate.router());
    assert!(shed_one(&gate, app).await.is_err());
    assert_eq!(requests_with_status(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn request_shed_by_an_inner_layer_with_an_error_handler_is_counted_by_its_status() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let answer = async |_: BoxError| StatusCode::SERVICE_UNAVAILABLE;
    let shedding = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(answer))
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1));
    let app = gate
        .router()
        .layer(shedding)
        .layer(registry.http_layer())
        .with_state(());
    let shed = shed_one(&gate, app).await.unwrap();
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(shed);
    assert_eq!(counted(&registry, "/", "503"), 1.0);
    assert_eq!(counted(&registry, "/", "200"), 1.0);
    assert_requests_ended(&registry, 2);
}

// ===== routers =====

fn users() -> Router {
    Router::new().route("/users/{id}", get(async || "ada"))
}

async fn fetch_200_404_405(app: &Router) {
    fetch(app, request_to("/users/7")).await;
    fetch(app, request_to("/nowhere")).await;
    let request = Request::post("/users/7").body(Body::empty()).unwrap();
    fetch(app, request).await;
}

#[tokio::test]
async fn router_layer_counts_404_and_405() {
    let registry = Registry::new();
    fetch_200_404_405(&users().layer(registry.http_layer())).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_eq!(counted(&registry, "/users/{id}", "405"), 1.0);
    assert_eq!(counted(&registry, "unmatched", "404"), 1.0);
    assert_requests_ended(&registry, 3);
}

#[tokio::test]
async fn route_layer_counts_405_but_not_404() {
    let registry = Registry::new();
    fetch_200_404_405(&users().route_layer(registry.http_layer())).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_eq!(counted(&registry, "/users/{id}", "405"), 1.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn route_layer_of_one_route_counts_neither_404_nor_405() {
    let registry = Registry::new();
    let route = get(async || "ada").route_layer(registry.http_layer());
    fetch_200_404_405(&Router::new().route("/users/{id}", route)).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn routes_added_after_the_layer_are_not_measured() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .route("/late", get(async || "late"));
    fetch(&app, request_to("/late")).await;
    fetch(&app, request_to("/users/7")).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn fallback_is_unmatched_with_its_own_status() {
    let registry = Registry::new();
    let app = users()
        .fallback(async || (StatusCode::GONE, "gone"))
        .layer(registry.http_layer());
    fetch(&app, request_to("/nowhere")).await;
    assert_eq!(counted(&registry, "unmatched", "410"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn fallback_set_after_the_layer_is_not_measured() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .fallback(async || (StatusCode::GONE, "gone"));
    assert_eq!(fetch(&app, request_to("/nowhere")).await.0.status(), 410);
    assert_requests_ended(&registry, 0);
}

/// A middleware that answers every request with 401.
async fn deny(_: axum::extract::Request, _: axum::middleware::Next) -> StatusCode {
    StatusCode::UNAUTHORIZED
}

#[tokio::test]
async fn responses_of_an_inner_layer_are_counted_with_their_endpoint() {
    let registry = Registry::new();
    let app = users()
        .layer(axum::middleware::from_fn(deny))
        .layer(registry.http_layer());
    fetch(&app, request_to("/users/7")).await;
    assert_eq!(counted(&registry, "/users/{id}", "401"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn responses_of_an_outer_layer_are_not_counted() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .layer(axum::middleware::from_fn(deny));
    assert_eq!(fetch(&app, request_to("/users/7")).await.0.status(), 401);
    assert_requests_ended(&registry, 0);
}

// ===== EndpointLayer =====

/// Sends a request to a layer that wraps the whole router, where axum provides no matched route.
async fn request_through_a_layer_around(router: Router) -> Registry {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(router);
    let response = app.oneshot(request_to("/users/7")).await.unwrap();
    drop(response.into_body().collect().await);
    assert_requests_ended(&registry, 1);
    registry
}

#[tokio::test]
async fn layer_that_wraps_a_router_needs_an_endpoint_layer_on_the_router() {
    let without_endpoint_layer = request_through_a_layer_around(users()).await;
    assert_eq!(counted(&without_endpoint_layer, "unmatched", "200"), 1.0);
    let with_endpoint_layer =
        request_through_a_layer_around(users().layer(EndpointLayer::new())).await;
    assert_eq!(counted(&with_endpoint_layer, "/users/{id}", "200"), 1.0);
}

#[tokio::test]
async fn endpoint_layer_sets_the_endpoint_for_responses_of_its_inner_layers_only() {
    let deny = || axum::middleware::from_fn(deny);
    let outer =
        request_through_a_layer_around(users().layer(deny()).layer(EndpointLayer::new())).await;
    assert_eq!(counted(&outer, "/users/{id}", "401"), 1.0);
    let inner =
        request_through_a_layer_around(users().layer(EndpointLayer::new()).layer(deny())).await;
    assert_eq!(counted(&inner, "unmatched", "401"), 1.0);
}

#[tokio::test]
async fn endpoint_layer_outside_the_metrics_layer_has_no_effect() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(EndpointLayer::new())
        .layer(registry.http_layer())
        .service(users());
    drop(app.oneshot(request_to("/users/7")).await.unwrap());
    assert_eq!(counted(&registry, "unmatched", "200"), 1.0);
    assert_requests_ended(&registry, 1);
}

// ===== two layers =====

#[tokio::test]
async fn two_layers_of_one_registry_count_twice() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(registry.http_layer())
        .layer(registry.http_layer());
    let mut call = pin!(fetch(&app, request_to("/")));
    assert!(poll_is_pending(call.as_mut()));
    assert_eq!(in_progress(&registry), 2.0);
    gate.open();
    assert_eq!(call.await.0.status(), StatusCode::OK);
    assert_eq!(counted(&registry, "/", "200"), 2.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn layers_on_a_nested_router_and_its_parent_count_twice() {
    let registry = Registry::new();
    let app = Router::new()
        .nest("/v1", users().layer(registry.http_layer()))
        .layer(registry.http_layer());
    fetch(&app, request_to("/v1/users/7")).await;
    assert_eq!(counted(&registry, "/v1/users/{id}", "200"), 2.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn layers_of_two_registries_count_once_each() {
    let (outer, inner) = (Registry::new(), Registry::new());
    let app = users().layer(inner.http_layer()).layer(outer.http_layer());
    fetch(&app, request_to("/users/7")).await;
    for registry in [&outer, &inner] {
        assert_eq!(counted(registry, "/users/{id}", "200"), 1.0);
        assert_requests_ended(registry, 1);
    }
}
