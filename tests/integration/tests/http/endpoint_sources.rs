//! Endpoints of services without a router: route patterns, a function, a fixed name.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_prometheus::{HttpMetrics, Registry, http::Endpoint};

use test_support::server::{BOTH_PROTOCOLS, Server};
use test_support::{wait_for_requests_to_end, warnings::Warnings};

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut response = Response::new(Full::from("hello"));
    if request.uri().path() == "/named" {
        response
            .extensions_mut()
            .insert(Endpoint::from_static("/named-by-handler"));
    }
    Ok(response)
}

/// Requests each path from a hyper server, over both protocols, and asserts the endpoint of each.
async fn assert_endpoints(metrics: HttpMetrics, expected: &[(&str, &str)]) {
    let registry = Registry::new();
    let layer = metrics.build(&registry).unwrap();
    let service = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(answer));
    let server = Server::start(service).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for (path, _) in expected {
            assert_eq!(client.fetch("GET", path).await.0, 200);
        }
    }
    wait_for_requests_to_end(&registry, 2 * expected.len() as u64).await;
    for (path, endpoint) in expected {
        let requests_of_endpoint = expected
            .iter()
            .filter(|(_, other)| other == endpoint)
            .count();
        let requests = registry.sum("http_requests_total", &[("endpoint", endpoint)]);
        assert_eq!(requests, Some(2.0 * requests_of_endpoint as f64), "{path}");
    }
}

#[tokio::test]
async fn route_patterns_set_the_endpoint() {
    let metrics =
        HttpMetrics::server().route_patterns(["/", "/users/{id}", "/users/me", "/files/{*path}"]);
    let expected = [
        ("/", "/"),
        ("/users/7?q=1", "/users/{id}"),
        ("/users/me", "/users/me"),
        ("/files/a/b/c", "/files/{*path}"),
        ("/users/7/orders", "unmatched"),
        ("/.env", "unmatched"),
        ("/named", "/named-by-handler"),
    ];
    assert_endpoints(metrics, &expected).await;
}

#[tokio::test]
async fn endpoint_fn_sets_the_endpoint() {
    let metrics = HttpMetrics::server().endpoint_fn(|request| {
        let first = request
            .uri()
            .path()
            .trim_start_matches('/')
            .split('/')
            .next()?;
        ["users", "orders"]
            .into_iter()
            .find(|known| *known == first)
    });
    let expected = [
        ("/users/7", "users"),
        ("/orders/1", "orders"),
        ("/.env", "unmatched"),
    ];
    assert_endpoints(metrics, &expected).await;
}

#[tokio::test]
async fn fixed_endpoint_is_set_for_every_path() {
    let warnings = Warnings::capture();
    let metrics = HttpMetrics::server().endpoint("upload");
    assert_endpoints(
        metrics,
        &[
            ("/a", "upload"),
            ("/b", "upload"),
            ("/named", "/named-by-handler"),
        ],
    )
    .await;
    assert_eq!(warnings.about("EndpointLayer").len(), 0);
}
