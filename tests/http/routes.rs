//! Endpoints in axum: for each place of the layer, whether the route template is known. An endpoint is never a path.

use axum::Router;
use axum::body::Body;
use axum::routing::{any_service, get};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::{
    Registry,
    http::{Endpoint, EndpointLayer},
};

use test_support::assert_requests_ended;
use test_support::body::ScriptedBody;
use test_support::service::{measured_response, ok, request_to};
use test_support::warnings::Warnings;

/// Requests each path and asserts that the request is counted once, at the endpoint and status.
async fn assert_endpoints<S, B>(registry: &Registry, app: S, expected: &[(&str, &str, u16)])
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    use http_body_util::BodyExt;
    for (i, (path, endpoint, status)) in expected.iter().enumerate() {
        let request = Request::builder().uri(*path).body(Body::empty()).unwrap();
        let before = requests(registry, endpoint, *status);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), *status, "{path}");
        assert!(response.into_body().collect().await.is_ok());
        assert_eq!(
            requests(registry, endpoint, *status),
            before + 1.0,
            "{path}\n{}",
            registry.render()
        );
        assert_requests_ended(registry, i as u64 + 1);
    }
}

fn requests(registry: &Registry, endpoint: &str, status: u16) -> f64 {
    let labels = [("endpoint", endpoint), ("status", &*status.to_string())];
    registry.sum("http_requests_total", &labels).unwrap_or(0.0)
}

fn users() -> Router {
    Router::new().route("/users/{id}", get(async || "ada"))
}

#[tokio::test]
async fn layer_on_the_router_records_route_templates() {
    let registry = Registry::new();
    let app = users()
        .route("/files/{*path}", get(async || "file"))
        .layer(registry.http_layer());
    let expected = [
        ("/users/7", "/users/{id}", 200),
        ("/users/8?q=1", "/users/{id}", 200),
        ("/files/a/b", "/files/{*path}", 200),
        ("/users/7/secrets", "unmatched", 404),
        ("/.env", "unmatched", 404),
    ];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn response_405_has_its_route_template() {
    let registry = Registry::new();
    let app = users().layer(registry.http_layer());
    let request = Request::post("/users/7").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(requests(&registry, "/users/{id}", 405), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn layer_outside_nest_records_the_whole_template() {
    let registry = Registry::new();
    let app = Router::new()
        .nest("/v1", users())
        .layer(registry.http_layer());
    let expected = [
        ("/v1/users/7", "/v1/users/{id}", 200),
        ("/v1/x", "unmatched", 404),
    ];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn layer_inside_nest_records_the_whole_template() {
    let registry = Registry::new();
    let app = Router::new().nest("/v1", users().layer(registry.http_layer()));
    let expected = [("/v1/users/7", "/v1/users/{id}", 200)];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn layer_inside_nest_service_records_the_whole_template() {
    let registry = Registry::new();
    let app = Router::new().nest_service("/v1", users().layer(registry.http_layer()));
    let expected = [("/v1/users/7", "/v1/users/{id}", 200)];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn layer_outside_nest_service_needs_endpoint_layer() {
    let registry = Registry::new();
    let app = Router::new()
        .nest_service("/v1", users())
        .layer(registry.http_layer());
    assert_endpoints(&registry, app, &[("/v1/users/7", "unmatched", 200)]).await;

    let registry = Registry::new();
    let app = Router::new()
        .nest_service("/v1", users().layer(EndpointLayer::new()))
        .layer(registry.http_layer());
    assert_endpoints(&registry, app, &[("/v1/users/7", "/v1/users/{id}", 200)]).await;
}

#[tokio::test]
async fn layer_outside_a_fallback_router_needs_endpoint_layer() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/", get(async || "home"))
        .fallback_service(users())
        .layer(registry.http_layer());
    let expected = [("/", "/", 200), ("/users/7", "unmatched", 200)];
    assert_endpoints(&registry, app, &expected).await;

    let registry = Registry::new();
    let app = Router::new()
        .fallback_service(users().layer(EndpointLayer::new()))
        .layer(registry.http_layer());
    assert_endpoints(&registry, app, &[("/users/7", "/users/{id}", 200)]).await;
}

#[tokio::test]
async fn layer_outside_the_router_needs_endpoint_layer() {
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(users());
    assert_endpoints(&registry, app, &[("/users/7", "unmatched", 200)]).await;

    let registry = Registry::new();
    let router = users().layer(EndpointLayer::new());
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(router);
    let expected = [
        ("/users/7", "/users/{id}", 200),
        ("/nowhere", "unmatched", 404),
    ];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn layer_covers_the_routes_of_merged_routers_only_if_applied_after_merge() {
    let registry = Registry::new();
    let orders = Router::new().route("/orders/{id}", get(async || "book"));
    let app = users().merge(orders).layer(registry.http_layer());
    let expected = [
        ("/users/7", "/users/{id}", 200),
        ("/orders/1", "/orders/{id}", 200),
    ];
    assert_endpoints(&registry, app, &expected).await;

    // A layer on one of the merged routers records only its requests.
    let registry = Registry::new();
    let orders = Router::new().route("/orders/{id}", get(async || "book"));
    let app = users().layer(registry.http_layer()).merge(orders);
    assert_endpoints(&registry, app.clone(), &[("/users/7", "/users/{id}", 200)]).await;
    let request = Request::get("/orders/1").body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap();
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn route_layer_does_not_record_unmatched_requests() {
    let registry = Registry::new();
    let app = users().route_layer(registry.http_layer());
    let request = Request::get("/nowhere").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_requests_ended(&registry, 0);
    assert_endpoints(&registry, app, &[("/users/7", "/users/{id}", 200)]).await;
}

#[tokio::test]
async fn layer_on_the_service_of_one_route_records_its_template() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(Response::new(Body::from("one")))
    });
    let app = Router::new().route(
        "/one/{x}",
        any_service(registry.http_layer().layer(service)),
    );
    assert_endpoints(&registry, app, &[("/one/1", "/one/{x}", 200)]).await;
}

#[tokio::test]
async fn endpoint_extension_of_the_request_is_the_endpoint() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(Endpoint::new("/own".to_owned()));
    let _ = registry.http_layer().layer(service).oneshot(request).await;
    assert_eq!(requests(&registry, "/own", 200), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn layer_without_matched_routes_warns_once() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(users());
    for _ in 0..30 {
        let request = Request::get("/users/7").body(Body::empty()).unwrap();
        drop(app.clone().oneshot(request).await);
    }
    let expected = "10 responses with a status other than 404 and 405 are recorded with \
                    endpoint=\"unmatched\"";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("EndpointLayer").len(), 1);
}

#[tokio::test]
async fn unmatched_paths_cause_no_warning_with_endpoint_layer() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let router = users().layer(EndpointLayer::new());
    let app = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(router);
    for path in ["/.env", "/users/7", "/.env"] {
        for _ in 0..30 {
            let request = Request::get(path).body(Body::empty()).unwrap();
            drop(app.clone().oneshot(request).await);
        }
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}

#[tokio::test]
async fn endpoint_extension_takes_precedence_over_the_matched_route() {
    let registry = Registry::new();
    let set_endpoint = |mut request: Request<Body>| {
        request
            .extensions_mut()
            .insert(Endpoint::from_static("/own"));
        request
    };
    let layers = ServiceBuilder::new()
        .map_request(set_endpoint)
        .layer(registry.http_layer());
    let app = Router::new().route("/x", get(async || "x")).layer(layers);
    drop(
        app.oneshot(Request::get("/x").body(Body::empty()).unwrap())
            .await,
    );
    assert_eq!(
        registry.sum("http_requests_total", &[("endpoint", "/own")]),
        Some(1.0)
    );
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn missing_route_warning_stops_after_a_match() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let mut service = registry.http_layer().layer(service_fn(ok));
    drop(service.call(request_to("/x")).await);
    for _ in 0..30 {
        drop(service.call(Request::new(())).await);
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}

#[tokio::test]
async fn responses_404_and_405_cause_no_missing_route_warning() {
    let warnings = Warnings::capture();
    for status in [404, 405] {
        let registry = Registry::new();
        for _ in 0..30 {
            let response = Response::builder()
                .status(status)
                .body(ScriptedBody::full(""));
            drop(measured_response(&registry, "GET", response.unwrap()).await);
        }
    }
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}
