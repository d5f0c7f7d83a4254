//! Endpoints of services without a router: route patterns, a function, a fixed name. And of routers, with a function
//! or a layer.

use std::fs;
use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_http::services::ServeDir;
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{Endpoint, EndpointLayer},
};

use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
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

// ===== routers =====

#[tokio::test]
async fn endpoint_fn_that_returns_none_leaves_the_endpoint_to_the_router() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .endpoint_fn(|request| {
            request
                .uri()
                .path()
                .starts_with("/files/")
                .then_some("files")
        })
        .skip(["/internal/health"])
        .build(&registry)
        .unwrap();
    let hello = || get(async || "hello");
    let app = Router::new()
        .route("/users/{id}", hello())
        .route("/files/{name}", hello())
        .nest("/internal", Router::new().route("/health", hello()))
        .layer(layer);
    let server = Server::start(app).await;
    let expected = [
        ("/users/7", Some("/users/{id}")),
        ("/users/8", Some("/users/{id}")),
        ("/files/a", Some("files")),
        ("/internal/health", None),
        ("/nowhere", Some("unmatched")),
    ];
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        for (path, _) in expected {
            client.fetch("GET", path).await;
        }
    }
    wait_for_requests_to_end(&registry, 8).await;
    let requests = |endpoint| registry.sum("http_requests_total", &[("endpoint", endpoint)]);
    assert_eq!(requests("/users/{id}"), Some(4.0));
    assert_eq!(requests("files"), Some(2.0));
    assert_eq!(requests("unmatched"), Some(2.0));
    assert!(!registry.render().contains("health"));
}

/// A folder with one file, which is deleted with the value.
struct Assets(PathBuf);

impl Assets {
    fn create(test: &str) -> Self {
        let folder = format!("tower-prometheus-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("app.js"), "hello").unwrap();
        Self(folder)
    }
}

impl Drop for Assets {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn files_of_a_serve_dir_have_the_endpoint_of_a_named_endpoint_layer() {
    let assets = Assets::create("named");
    let registry = Registry::new();
    let files = EndpointLayer::named("/assets/*").layer(ServeDir::new(&assets.0));
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .nest_service("/assets", files)
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    for protocol in BOTH_PROTOCOLS {
        let mut client = server.connect(protocol).await;
        let file = client.fetch("GET", "/assets/app.js").await;
        assert_eq!(file, (200, Bytes::from_static(b"hello")));
        assert_eq!(client.fetch("HEAD", "/assets/app.js").await.0, 200);
        assert_eq!(client.fetch("GET", "/assets/.env").await.0, 404);
        assert_eq!(client.fetch("GET", "/users/7").await.0, 200);
        assert_eq!(client.fetch("GET", "/nowhere").await.0, 404);
    }
    wait_for_requests_to_end(&registry, 10).await;
    let requests = |method, endpoint, status| {
        let labels = [
            ("method", method),
            ("endpoint", endpoint),
            ("status", status),
        ];
        registry.sum("http_requests_total", &labels)
    };
    assert_eq!(requests("GET", "/assets/*", "200"), Some(2.0));
    assert_eq!(requests("HEAD", "/assets/*", "200"), Some(2.0));
    assert_eq!(requests("GET", "/assets/*", "404"), Some(2.0));
    assert_eq!(requests("GET", "/users/{id}", "200"), Some(2.0));
    assert_eq!(requests("GET", "unmatched", "404"), Some(2.0));
    assert!(!registry.render().contains("app.js"));
}

/// The same without a name: the layer does not see a route.
#[tokio::test]
async fn files_of_a_serve_dir_without_an_endpoint_layer_are_unmatched() {
    let assets = Assets::create("unnamed");
    let registry = Registry::new();
    let app = Router::new()
        .nest_service("/assets", ServeDir::new(&assets.0))
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    let mut client = server.connect(Protocol::Http1).await;
    assert_eq!(client.fetch("GET", "/assets/app.js").await.0, 200);
    wait_for_requests_to_end(&registry, 1).await;
    let requests = registry.sum("http_requests_total", &[("endpoint", "unmatched")]);
    assert_eq!(requests, Some(1.0));
}
