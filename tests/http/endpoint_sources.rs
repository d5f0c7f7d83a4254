//! How the endpoint is determined: the sources in order, kept path parameters, and named services.

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::http::{Endpoint, EndpointLayer, Naming};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::service::ok;
use test_support::warnings::Warnings;

/// The endpoint that a request is counted with.
async fn counted_as(metrics: HttpMetrics, request: Request<()>) -> String {
    let registry = Registry::new();
    let layer = metrics.build(&registry).unwrap();
    drop(layer.layer(service_fn(ok)).oneshot(request).await);
    let page = registry.render();
    let line = page
        .lines()
        .find(|line| line.starts_with("http_requests_total{"));
    let (_, rest) = line.unwrap().split_once("endpoint=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

fn named(path: &str) -> Request<()> {
    let mut request = get(path);
    request
        .extensions_mut()
        .insert(Endpoint::from_static("/extension"));
    request
}

#[tokio::test]
async fn first_source_that_names_an_endpoint_decides() {
    let metrics = || {
        HttpMetrics::server()
            .endpoint_fn(|request| (request.uri().path() == "/function").then_some("/function"))
            .route_patterns(["/function", "/patterns/{id}"])
    };
    assert_eq!(
        counted_as(metrics(), named("/function")).await,
        "/extension"
    );
    assert_eq!(counted_as(metrics(), get("/function")).await, "/function");
    assert_eq!(
        counted_as(metrics(), get("/patterns/7")).await,
        "/patterns/{id}"
    );
    assert_eq!(counted_as(metrics(), get("/none")).await, "unmatched");
    let only = || metrics().endpoint("/only");
    assert_eq!(counted_as(only(), get("/patterns/7")).await, "/only");
    assert_eq!(counted_as(only(), named("/patterns/7")).await, "/extension");
}

#[cfg(feature = "axum")]
mod axum_routes {
    use axum::body::Body;
    use axum::{Router, routing};

    use super::*;

    async fn send(metrics: HttpMetrics, app: Router, path: &str) -> Registry {
        let registry = Registry::new();
        let app = app.layer(metrics.build(&registry).unwrap());
        let request = Request::get(path).body(Body::empty()).unwrap();
        drop(app.oneshot(request).await);
        registry
    }

    fn requests(registry: &Registry, endpoint: &str) -> Option<f64> {
        registry.sum("http_requests_total", &[("endpoint", endpoint)])
    }

    #[tokio::test]
    async fn function_without_a_name_leaves_the_matched_route() {
        let metrics = || HttpMetrics::server().endpoint_fn(|_| None);
        let app = || Router::new().route("/users/{id}", routing::get(async || "ada"));
        let registry = send(metrics(), app(), "/users/7").await;
        assert_eq!(requests(&registry, "/users/{id}"), Some(1.0));
        let registry = send(metrics().skip(["/users/{id}"]), app(), "/users/7").await;
        assert_eq!(registry.sum("http_requests_total", &[]), None);
    }

    #[tokio::test]
    async fn matched_route_takes_precedence_over_patterns() {
        let app = Router::new().route("/users/{id}", routing::get(async || "ada"));
        let metrics = HttpMetrics::server().route_patterns(["/{*any}"]);
        let registry = send(metrics, app, "/users/7").await;
        assert_eq!(requests(&registry, "/users/{id}"), Some(1.0));
    }

    #[tokio::test]
    async fn listed_values_of_a_kept_parameter_are_in_the_endpoint() {
        let metrics = || {
            HttpMetrics::server()
                .keep_parameter("region", ["eu", "us"])
                .skip(["/us/orders/{id}"])
        };
        let orders = || Router::new().route("/{region}/orders/{id}", routing::get(async || ""));
        for (path, endpoint) in [
            ("/eu/orders/eu", "/eu/orders/{id}"),
            ("/mars/orders/7", "/{region}/orders/{id}"),
        ] {
            for _ in 0..2 {
                let registry = send(metrics(), orders(), path).await;
                assert_eq!(requests(&registry, endpoint), Some(1.0), "{path}");
            }
        }
        let registry = send(metrics(), orders(), "/us/orders/7").await;
        assert_eq!(registry.sum("http_requests_total", &[]), None, "skipped");

        let registry = Registry::new();
        let inner = orders().layer(metrics().build(&registry).unwrap());
        let nested = Router::new().nest("/api", inner);
        let request = Request::get("/api/eu/orders/7")
            .body(Body::empty())
            .unwrap();
        drop(nested.oneshot(request).await);
        assert_eq!(
            requests(&registry, "/api/eu/orders/{id}"),
            Some(1.0),
            "nested"
        );
    }

    #[tokio::test]
    async fn named_endpoint_layer_names_a_service_without_routes() {
        let files = service_fn(async |_: Request<Body>| {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let files = EndpointLayer::named("/assets/*").layer(files);
        let app = Router::new().nest_service("/assets", files);
        let registry = send(HttpMetrics::server(), app, "/assets/logo.svg").await;
        assert_eq!(requests(&registry, "/assets/*"), Some(1.0));
    }
}

#[tokio::test]
async fn word_for_unmatched_can_be_set_and_skipped() {
    let metrics = || HttpMetrics::server().naming(Naming::classic().unmatched("none"));
    assert_eq!(counted_as(metrics(), get("/")).await, "none");
    assert!(metrics().skip(["none"]).build(Registry::new()).is_ok());
    // `unmatched` is then not the endpoint of any request.
    let error = metrics().skip(["unmatched"]).build(Registry::new());
    assert_eq!(
        error.unwrap_err().to_string(),
        r#"skip: requests without an endpoint have the endpoint "none" with this naming, got "unmatched"; write "none""#
    );
}

#[tokio::test]
async fn requests_without_an_endpoint_are_skipped_by_the_empty_string_with_open_telemetry() {
    let metrics = HttpMetrics::open_telemetry;
    for (metrics, expected) in [(metrics(), Some(1.0)), (metrics().skip([""]), None)] {
        let registry = Registry::new();
        let layer = metrics.build(&registry).unwrap();
        drop(layer.layer(service_fn(ok)).oneshot(get("/")).await);
        let count = "http_server_request_duration_seconds_count";
        assert_eq!(registry.sum(count, &[]), expected);
    }
    let error = metrics().skip(["unmatched"]).build(Registry::new());
    assert_eq!(
        error.unwrap_err().to_string(),
        r#"skip: requests without an endpoint have the endpoint "" with this naming, got "unmatched"; write """#
    );
}

#[test]
fn endpoints_that_are_not_route_templates_are_errors_with_the_right_template() {
    for (metrics, message) in [
        (
            HttpMetrics::server().skip(["health"]),
            r#"skip: a route template starts with "/", got "health"; write "/health""#,
        ),
        (
            HttpMetrics::server().route_patterns(["users/{id}"]),
            r#"route_patterns: a route template starts with "/", got "users/{id}"; write "/users/{id}""#,
        ),
        (
            HttpMetrics::server().route_patterns(["/users/:id/*rest"]),
            r#"route_patterns: parameters are written in braces, as in axum 0.8, got "/users/:id/*rest"; write "/users/{id}/{*rest}""#,
        ),
        (
            HttpMetrics::server().preregister(http::Method::GET, "users", [200]),
            r#"preregister: a route template starts with "/", got "users"; write "/users""#,
        ),
    ] {
        let error = metrics.build(Registry::new()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

/// Only a whole segment is a parameter in the syntax of axum 0.7.
#[test]
fn colons_and_stars_within_a_segment_are_part_of_the_template() {
    let metrics =
        HttpMetrics::server().skip(["/jobs/{id}:cancel", "/assets/*", "unmatched", "overflow"]);
    assert!(metrics.build(Registry::new()).is_ok());
    // Clients, and functions, name endpoints as they like.
    assert!(
        HttpMetrics::client()
            .skip(["GetUser"])
            .build(Registry::new())
            .is_ok()
    );
    let function = HttpMetrics::server().endpoint_fn(|_| Some("GetUser"));
    assert!(function.skip(["GetUser"]).build(Registry::new()).is_ok());
}

#[tokio::test]
async fn warning_of_a_missing_route_names_the_supported_axum() {
    let warnings = Warnings::capture();
    let layer = HttpMetrics::server().build(Registry::new()).unwrap();
    for _ in 0..10 {
        drop(layer.layer(service_fn(ok)).oneshot(get("/")).await);
    }
    assert_eq!(warnings.about("axum 0.8").len(), 1);
}
