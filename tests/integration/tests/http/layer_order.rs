//! What each order of layers counts: every statement of the page `order` in the crate's documentation.

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

use test_support::body::{Scripted, Step};
use test_support::{aborted, assert_completed, assert_settled, requests};

const SOON: Duration = Duration::from_millis(1);

fn to(path: &str) -> Request<Body> {
    let request = Request::get(path).header("accept-encoding", "gzip");
    request.body(Body::empty()).unwrap()
}

/// Asks a router and reads the answer to its end, or until it fails.
async fn fetch(app: &Router, request: Request<Body>) -> (Response<()>, Option<usize>) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok();
    let length = body.map(|body| body.to_bytes().len());
    (Response::from_parts(head, ()), length)
}

/// Polls a future once; whether it is not ready.
fn waits(future: Pin<&mut impl Future>) -> bool {
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

const PAGE: usize = 100_000;

fn large() -> Router {
    Router::new().route("/large", get(async || "x".repeat(PAGE)))
}

async fn assert_compressed_once(registry: &Registry, app: &Router) {
    let (head, length) = fetch(app, to("/large")).await;
    assert_eq!(head.headers()["content-encoding"], "gzip");
    assert!(length.unwrap() < PAGE / 10);
    assert_eq!(requests(registry, "200"), 1.0);
    assert_completed(registry);
}

#[tokio::test]
async fn compression_inside_is_one_request_with_a_complete_body() {
    let registry = Registry::new();
    let app = large()
        .layer(CompressionLayer::new())
        .layer(registry.http_layer());
    assert_compressed_once(&registry, &app).await;
}

#[tokio::test]
async fn compression_outside_is_one_request_with_a_complete_body() {
    let registry = Registry::new();
    let app = large()
        .layer(registry.http_layer())
        .layer(CompressionLayer::new());
    assert_compressed_once(&registry, &app).await;
}

#[tokio::test]
async fn a_compressed_body_that_the_client_leaves_is_aborted_in_either_order() {
    let hang = || Body::new(Scripted::new([Step::Data("a"), Step::Hang]).map_err(BoxError::from));
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, compression) = (registry.http_layer(), CompressionLayer::new());
        let app = Router::new().route("/hang", get(async move || hang()));
        let app = match inside {
            true => app.layer(compression).layer(metrics),
            false => app.layer(metrics).layer(compression),
        };
        let response = app.oneshot(to("/hang")).await.unwrap();
        assert_eq!(in_progress(&registry), 1.0);
        drop(response);
        assert_eq!(aborted(&registry, "dropped"), 1.0);
        assert_settled(&registry, 1);
    }
}

#[tokio::test]
async fn a_scrape_through_compression_is_not_measured_in_either_order() {
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, compression) = (registry.http_layer(), CompressionLayer::new());
        let app = large().route_service("/metrics", registry.handler());
        let app = match inside {
            true => app.layer(compression).layer(metrics),
            false => app.layer(metrics).layer(compression),
        };
        fetch(&app, to("/large")).await;
        for _ in 0..2 {
            let (head, length) = fetch(&app, to("/metrics")).await;
            assert_eq!(head.status(), StatusCode::OK);
            assert!(length.unwrap() > 0);
        }
        assert!(!registry.render().contains("endpoint=\"/metrics\""));
        assert_settled(&registry, 1);
    }
}

// ===== timeouts =====

async fn hang(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    pending().await
}

#[tokio::test]
async fn towers_timeout_inside_is_an_error() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(TowerTimeoutLayer::new(SOON))
        .service(service_fn(hang));
    assert!(app.oneshot(to("/")).await.is_err());
    assert_eq!(requests(&registry, "error"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn towers_timeout_outside_is_cancelled() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(TowerTimeoutLayer::new(SOON))
        .layer(registry.http_layer())
        .service(service_fn(hang));
    assert!(app.oneshot(to("/")).await.is_err());
    assert_eq!(requests(&registry, "cancelled"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn tower_https_timeout_inside_is_the_code_that_the_client_saw() {
    for code in [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT] {
        let registry = Registry::new();
        let app = Router::new()
            .route("/hang", get(pending::<()>))
            .layer(TimeoutLayer::with_status_code(code, SOON))
            .layer(registry.http_layer());
        assert_eq!(fetch(&app, to("/hang")).await.0.status(), code);
        assert_eq!(counted(&registry, "/hang", code.as_str()), 1.0);
        assert_settled(&registry, 1);
    }
}

#[tokio::test]
async fn tower_https_timeout_outside_is_cancelled_whatever_the_client_saw() {
    let registry = Registry::new();
    let code = StatusCode::REQUEST_TIMEOUT;
    let app = Router::new()
        .route("/hang", get(pending::<()>))
        .layer(registry.http_layer())
        .layer(TimeoutLayer::with_status_code(code, SOON));
    assert_eq!(fetch(&app, to("/hang")).await.0.status(), code);
    assert_eq!(counted(&registry, "/hang", "cancelled"), 1.0);
    assert_eq!(counted(&registry, "/hang", "408"), 0.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_bodys_timeout_inside_is_a_failed_body_and_outside_a_dropped_one() {
    for (inside, reason) in [(true, "error"), (false, "dropped")] {
        let registry = Registry::new();
        let stuck = async || {
            let body = Scripted::new([Step::Data("a"), Step::Hang]);
            Body::new(body.map_err(BoxError::from))
        };
        let (metrics, timeout) = (registry.http_layer(), ResponseBodyTimeoutLayer::new(SOON));
        let app = Router::new().route("/stuck", get(stuck));
        let app = match inside {
            true => app.layer(timeout).layer(metrics),
            false => app.layer(metrics).layer(timeout),
        };
        assert_eq!(fetch(&app, to("/stuck")).await.1, None);
        assert_eq!(requests(&registry, "200"), 1.0);
        assert_eq!(aborted(&registry, reason), 1.0, "{reason}");
        assert_settled(&registry, 1);
    }
}

// ===== panics =====

fn panics() -> Router {
    let in_body = async || {
        let body = Scripted::new([Step::Data("a"), Step::Panic]);
        Body::new(body.map_err(BoxError::from))
    };
    Router::new()
        .route("/panic", get(async || -> &'static str { panic!("oh") }))
        .route("/body", get(in_body))
}

#[tokio::test]
async fn catch_panic_inside_is_a_500() {
    let registry = Registry::new();
    let app = panics()
        .layer(CatchPanicLayer::new())
        .layer(registry.http_layer());
    assert_eq!(fetch(&app, to("/panic")).await.0.status(), 500);
    assert_eq!(counted(&registry, "/panic", "500"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn catch_panic_outside_is_panicked() {
    let registry = Registry::new();
    let app = panics()
        .layer(registry.http_layer())
        .layer(CatchPanicLayer::new());
    assert_eq!(fetch(&app, to("/panic")).await.0.status(), 500);
    assert_eq!(counted(&registry, "/panic", "panicked"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_panic_in_a_body_is_an_aborted_body_in_either_order() {
    for inside in [false, true] {
        let registry = Registry::new();
        let (metrics, catch) = (registry.http_layer(), CatchPanicLayer::new());
        let app = match inside {
            true => panics().layer(catch).layer(metrics),
            false => panics().layer(metrics).layer(catch),
        };
        let panicked = tokio::spawn(async move { fetch(&app, to("/body")).await }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(requests(&registry, "200"), 1.0);
        assert_eq!(aborted(&registry, "panicked"), 1.0);
        assert_settled(&registry, 1);
    }
}

// ===== limits and shedding =====

/// A service that waits for its gate, behind a limit of one at a time.
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

    /// Without `with_state`, a router makes its layers, and so its limits, anew for each request.
    fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().route("/", get(async move |request| gate.pass(request).await))
    }
}

/// Sends two requests, of which the limit lets one through; what the layer has in progress meanwhile.
async fn in_progress_behind_a_limit<S>(registry: &Registry, gate: &Gate, app: S) -> f64
where
    S: Service<Request<Body>, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
{
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut call = Box::pin(app.clone().oneshot(to("/")));
        // Both get as far as they can.
        assert!(waits(call.as_mut()));
        calls.spawn(async move { drop(call.await) });
    }
    let waiting = in_progress(registry);
    gate.open();
    calls.join_all().await;
    assert_settled(registry, 2);
    waiting
}

#[tokio::test]
async fn waiting_for_a_limit_outside_is_not_seen() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(registry.http_layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .with_state(());
    let seen = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(seen, 1.0);
}

#[tokio::test]
async fn waiting_for_a_limit_inside_a_router_is_in_progress() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(registry.http_layer())
        .with_state(());
    let seen = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(seen, 2.0);
}

/// A limit makes its caller wait in `poll_ready`, before there is a call to measure.
#[tokio::test]
async fn waiting_for_a_limit_inside_a_service_builder_is_not_seen() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let service = {
        let gate = gate.clone();
        service_fn(move |request| gate.clone().pass(request))
    };
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service);
    let seen = in_progress_behind_a_limit(&registry, &gate, app).await;
    assert_eq!(seen, 1.0);
}

/// One request takes the only place, another is shed; both are waited for.
async fn shed_one<S>(gate: &Gate, app: S) -> Result<S::Response, S::Error>
where
    S: Service<Request<Body>, Error: std::fmt::Debug> + Clone,
{
    let mut first = pin!(app.clone().oneshot(to("/")));
    assert!(waits(first.as_mut()));
    let shed = app.oneshot(to("/")).now_or_never();
    gate.open();
    drop(first.await.unwrap());
    shed.expect("it is shed at once")
}

#[tokio::test]
async fn what_is_shed_outside_is_hidden() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(registry.http_layer())
        .service(gate.router());
    assert!(shed_one(&gate, app).await.is_err());
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn what_is_shed_inside_is_an_error() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(gate.router());
    assert!(shed_one(&gate, app).await.is_err());
    assert_eq!(requests(&registry, "error"), 1.0);
    assert_settled(&registry, 2);
}

#[tokio::test]
async fn what_is_shed_and_answered_inside_is_its_code() {
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
    assert_settled(&registry, 2);
}

// ===== routers =====

fn users() -> Router {
    Router::new().route("/users/{id}", get(async || "ada"))
}

async fn visit(app: &Router) {
    fetch(app, to("/users/7")).await;
    fetch(app, to("/nowhere")).await;
    let request = Request::post("/users/7").body(Body::empty()).unwrap();
    fetch(app, request).await;
}

#[tokio::test]
async fn layer_sees_404_and_405() {
    let registry = Registry::new();
    visit(&users().layer(registry.http_layer())).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_eq!(counted(&registry, "/users/{id}", "405"), 1.0);
    assert_eq!(counted(&registry, "unmatched", "404"), 1.0);
    assert_settled(&registry, 3);
}

#[tokio::test]
async fn route_layer_sees_405_and_no_404() {
    let registry = Registry::new();
    visit(&users().route_layer(registry.http_layer())).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_eq!(counted(&registry, "/users/{id}", "405"), 1.0);
    assert_settled(&registry, 2);
}

#[tokio::test]
async fn route_layer_of_one_route_sees_neither() {
    let registry = Registry::new();
    let route = get(async || "ada").route_layer(registry.http_layer());
    visit(&Router::new().route("/users/{id}", route)).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn routes_added_after_the_layer_are_not_measured() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .route("/late", get(async || "late"));
    fetch(&app, to("/late")).await;
    fetch(&app, to("/users/7")).await;
    assert_eq!(counted(&registry, "/users/{id}", "200"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_fallback_is_unmatched_with_its_own_code() {
    let registry = Registry::new();
    let app = users()
        .fallback(async || (StatusCode::GONE, "gone"))
        .layer(registry.http_layer());
    fetch(&app, to("/nowhere")).await;
    assert_eq!(counted(&registry, "unmatched", "410"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_fallback_set_after_the_layer_is_not_measured() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .fallback(async || (StatusCode::GONE, "gone"));
    assert_eq!(fetch(&app, to("/nowhere")).await.0.status(), 410);
    assert_settled(&registry, 0);
}

/// A middleware that lets nobody in.
async fn nobody(_: axum::extract::Request, _: axum::middleware::Next) -> StatusCode {
    StatusCode::UNAUTHORIZED
}

#[tokio::test]
async fn answers_of_a_layer_inside_are_counted_with_their_endpoint() {
    let registry = Registry::new();
    let app = users()
        .layer(axum::middleware::from_fn(nobody))
        .layer(registry.http_layer());
    fetch(&app, to("/users/7")).await;
    assert_eq!(counted(&registry, "/users/{id}", "401"), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn answers_of_a_layer_outside_are_hidden() {
    let registry = Registry::new();
    let app = users()
        .layer(registry.http_layer())
        .layer(axum::middleware::from_fn(nobody));
    assert_eq!(fetch(&app, to("/users/7")).await.0.status(), 401);
    assert_settled(&registry, 0);
}

// ===== EndpointLayer =====

/// One answer of a router that a layer wraps from outside, where axum tells no route.
async fn around(router: Router) -> Registry {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(router);
    let response = app.oneshot(to("/users/7")).await.unwrap();
    drop(response.into_body().collect().await);
    assert_settled(&registry, 1);
    registry
}

#[tokio::test]
async fn a_layer_around_a_router_needs_an_endpoint_layer_on_it() {
    let silent = around(users()).await;
    assert_eq!(counted(&silent, "unmatched", "200"), 1.0);
    let cured = around(users().layer(EndpointLayer::new())).await;
    assert_eq!(counted(&cured, "/users/{id}", "200"), 1.0);
}

#[tokio::test]
async fn an_endpoint_layer_names_the_answers_of_layers_inside_it_only() {
    let nobody = || axum::middleware::from_fn(nobody);
    let outermost = around(users().layer(nobody()).layer(EndpointLayer::new())).await;
    assert_eq!(counted(&outermost, "/users/{id}", "401"), 1.0);
    let further_in = around(users().layer(EndpointLayer::new()).layer(nobody())).await;
    assert_eq!(counted(&further_in, "unmatched", "401"), 1.0);
}

#[tokio::test]
async fn an_endpoint_layer_outside_names_nothing() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(EndpointLayer::new())
        .layer(registry.http_layer())
        .service(users());
    drop(app.oneshot(to("/users/7")).await.unwrap());
    assert_eq!(counted(&registry, "unmatched", "200"), 1.0);
    assert_settled(&registry, 1);
}

// ===== one layer twice =====

#[tokio::test]
async fn the_same_registry_twice_counts_twice() {
    let (registry, gate) = (Registry::new(), Gate::closed());
    let app = gate
        .router()
        .layer(registry.http_layer())
        .layer(registry.http_layer());
    let mut call = pin!(fetch(&app, to("/")));
    assert!(waits(call.as_mut()));
    assert_eq!(in_progress(&registry), 2.0);
    gate.open();
    assert_eq!(call.await.0.status(), StatusCode::OK);
    assert_eq!(counted(&registry, "/", "200"), 2.0);
    assert_settled(&registry, 2);
}

#[tokio::test]
async fn a_layer_on_a_nested_router_and_around_it_counts_twice() {
    let registry = Registry::new();
    let app = Router::new()
        .nest("/v1", users().layer(registry.http_layer()))
        .layer(registry.http_layer());
    fetch(&app, to("/v1/users/7")).await;
    assert_eq!(counted(&registry, "/v1/users/{id}", "200"), 2.0);
    assert_settled(&registry, 2);
}

#[tokio::test]
async fn two_registries_count_once_each() {
    let (outer, inner) = (Registry::new(), Registry::new());
    let app = users().layer(inner.http_layer()).layer(outer.http_layer());
    fetch(&app, to("/users/7")).await;
    for registry in [&outer, &inner] {
        assert_eq!(counted(registry, "/users/{id}", "200"), 1.0);
        assert_settled(registry, 1);
    }
}
