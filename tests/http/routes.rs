//! Where axum tells the route, and what the endpoint is where it does not: always a template, never a path.

use axum::Router;
use axum::body::Body;
use axum::routing::{any_service, get};
use http::{Request, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_prometheus::{
    Registry,
    http::{Endpoint, EndpointLayer},
};

use test_support::assert_settled;
use test_support::warnings::Warnings;

/// Asks for each path and expects each endpoint, in order, once.
async fn assert_endpoints<S, B>(registry: &Registry, app: S, expected: &[(&str, &str, u16)])
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    use http_body_util::BodyExt;
    for (i, (path, endpoint, status)) in expected.iter().enumerate() {
        let request = Request::builder().uri(*path).body(Body::empty()).unwrap();
        let before = count(registry, endpoint, *status);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), *status, "{path}");
        assert!(response.into_body().collect().await.is_ok());
        assert_eq!(
            count(registry, endpoint, *status),
            before + 1.0,
            "{path}\n{}",
            registry.render()
        );
        assert_settled(registry, i as u64 + 1);
    }
}

fn count(registry: &Registry, endpoint: &str, status: u16) -> f64 {
    let labels = [("endpoint", endpoint), ("status", &*status.to_string())];
    registry.sum("http_requests_total", &labels).unwrap_or(0.0)
}

fn users() -> Router {
    Router::new().route("/users/{id}", get(async || "ada"))
}

#[tokio::test]
async fn a_layer_on_the_router_sees_templates() {
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
async fn a_405_keeps_its_template() {
    let registry = Registry::new();
    let app = users().layer(registry.http_layer());
    let request = Request::post("/users/7").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(count(&registry, "/users/{id}", 405), 1.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn outside_nest() {
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
async fn inside_nest() {
    let registry = Registry::new();
    let app = Router::new().nest("/v1", users().layer(registry.http_layer()));
    let expected = [("/v1/users/7", "/v1/users/{id}", 200)];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn inside_nest_service() {
    let registry = Registry::new();
    let app = Router::new().nest_service("/v1", users().layer(registry.http_layer()));
    let expected = [("/v1/users/7", "/v1/users/{id}", 200)];
    assert_endpoints(&registry, app, &expected).await;
}

#[tokio::test]
async fn outside_nest_service_axum_is_silent_and_endpoint_layer_speaks() {
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
async fn outside_a_fallback_router_axum_is_silent_and_endpoint_layer_speaks() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/", get(async || "home"))
        .fallback_service(users())
        .layer(registry.http_layer());
    let silent = [("/", "/", 200), ("/users/7", "unmatched", 200)];
    assert_endpoints(&registry, app, &silent).await;

    let registry = Registry::new();
    let app = Router::new()
        .fallback_service(users().layer(EndpointLayer::new()))
        .layer(registry.http_layer());
    assert_endpoints(&registry, app, &[("/users/7", "/users/{id}", 200)]).await;
}

#[tokio::test]
async fn around_the_whole_router_axum_is_silent_and_endpoint_layer_speaks() {
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
async fn merge() {
    let registry = Registry::new();
    let orders = Router::new().route("/orders/{id}", get(async || "book"));
    let app = users().merge(orders).layer(registry.http_layer());
    let expected = [
        ("/users/7", "/users/{id}", 200),
        ("/orders/1", "/orders/{id}", 200),
    ];
    assert_endpoints(&registry, app, &expected).await;

    // A layer on one of the merged routers measures that one.
    let registry = Registry::new();
    let orders = Router::new().route("/orders/{id}", get(async || "book"));
    let app = users().layer(registry.http_layer()).merge(orders);
    assert_endpoints(&registry, app.clone(), &[("/users/7", "/users/{id}", 200)]).await;
    let request = Request::get("/orders/1").body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap();
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_route_layer_does_not_see_what_no_route_matched() {
    let registry = Registry::new();
    let app = users().route_layer(registry.http_layer());
    let request = Request::get("/nowhere").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_settled(&registry, 0);
    assert_endpoints(&registry, app, &[("/users/7", "/users/{id}", 200)]).await;
}

#[tokio::test]
async fn around_one_service() {
    let registry = Registry::new();
    let service = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("one")))
    });
    let app = Router::new().route(
        "/one/{x}",
        any_service(registry.http_layer().layer(service)),
    );
    assert_endpoints(&registry, app, &[("/one/1", "/one/{x}", 200)]).await;
}

#[tokio::test]
async fn a_request_can_bring_its_endpoint() {
    let registry = Registry::new();
    let service =
        tower::service_fn(async |_: Request<()>| Ok::<_, ()>(http::Response::new(String::new())));
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(Endpoint::new("/named".to_owned()));
    let _ = registry.http_layer().layer(service).oneshot(request).await;
    assert_eq!(count(&registry, "/named", 200), 1.0);
    assert_settled(&registry, 1);
}

/// In progress stays where the request was known to be; count and duration go where the response says.
#[tokio::test]
async fn a_response_can_name_its_endpoint() {
    let registry = Registry::new();
    let service = tower::service_fn(async |_: Request<()>| {
        tokio::task::yield_now().await;
        let mut response = http::Response::new(String::from("x"));
        response
            .extensions_mut()
            .insert(Endpoint::from_static("/late"));
        Ok::<_, ()>(response)
    });
    let service = registry.http_layer().layer(service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    let in_progress = |endpoint| {
        let labels = [("endpoint", endpoint)];
        registry.sum("http_requests_in_progress", &labels)
    };
    assert_eq!(in_progress("unmatched"), Some(1.0));
    assert_eq!(in_progress("/late"), None);
    drop(response);
    assert_eq!(count(&registry, "/late", 200), 1.0);
    assert_eq!(count(&registry, "unmatched", 200), 0.0);
    assert_settled(&registry, 1);
}

#[tokio::test]
async fn a_layer_that_is_told_nothing_warns_once() {
    let warnings = Warnings::catch();
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
async fn scanners_and_a_cured_layer_cause_no_warning() {
    let warnings = Warnings::catch();
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
