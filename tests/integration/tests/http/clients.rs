//! The client layer: requests over sockets, and every way in which they fail.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_prometheus::{
    Registry,
    http::{Endpoint, HttpMetricsService},
};

use test_support::server::Server;
use test_support::{page, wait_until, warnings::Warnings};

type Measured = HttpMetricsService<Client<HttpConnector, Empty<Bytes>>>;

fn client(registry: &Registry, http2: bool) -> Measured {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(http2)
        .build_http();
    registry.http_client_layer().layer(client)
}

fn request_to(url: &str, endpoint: &'static str) -> Request<Empty<Bytes>> {
    let request = Request::get(url).extension(Endpoint::from_static(endpoint));
    request.body(Empty::new()).unwrap()
}

#[track_caller]
fn assert_ended(registry: &Registry, calls: u64, status: &str, count: f64) {
    let value = |name, labels: &[(&str, &str)]| registry.sum(name, labels).unwrap_or(0.0);
    assert_eq!(value("http_client_requests_total", &[]), calls as f64);
    assert_eq!(
        value("http_client_requests_total", &[("status", status)]),
        count
    );
    assert_eq!(
        value("http_client_request_duration_seconds_count", &[]),
        calls as f64
    );
    assert_eq!(value("http_client_requests_in_progress", &[]), 0.0);
    page::assert_valid_text(&registry.render());
}

#[tokio::test]
async fn responses_are_counted_by_host_endpoint_and_status() {
    for http2 in [false, true] {
        let registry = Registry::new();
        let app = Router::new()
            .route("/users/{id}", get(async || "ada"))
            .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE));
        let server = Server::start(app).await;
        let mut client = client(&registry, http2);
        for (path, endpoint) in [
            ("/users/1", "/users/{id}"),
            ("/users/2", "/users/{id}"),
            ("/fail", "/fail"),
        ] {
            let response = client
                .ready()
                .await
                .unwrap()
                .call(request_to(&server.url(path), endpoint))
                .await;
            response.unwrap().into_body().collect().await.unwrap();
        }
        // Without an `Endpoint` extension, the label is empty: a path never becomes a label.
        let request = Request::get(server.url("/users/3"))
            .body(Empty::new())
            .unwrap();
        let response = client.call(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        let requests = |endpoint, status| {
            let labels = [
                ("host", "127.0.0.1"),
                ("endpoint", endpoint),
                ("status", status),
                ("method", "GET"),
            ];
            registry.sum("http_client_requests_total", &labels)
        };
        assert_eq!(requests("/users/{id}", "200"), Some(2.0));
        assert_eq!(requests("/fail", "503"), Some(1.0));
        assert_eq!(requests("", "200"), Some(1.0));
        assert_ended(&registry, 4, "200", 3.0);
    }
}

#[tokio::test]
async fn refused_connection_is_an_error() {
    let registry = Registry::new();
    let unused_address = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let result = client(&registry, false)
        .oneshot(request_to(&format!("http://{unused_address}/"), "/"))
        .await;
    assert!(result.unwrap_err().is_connect());
    assert_ended(&registry, 1, "error", 1.0);
}

#[tokio::test]
async fn connection_closed_before_the_response_is_an_error() {
    let registry = Registry::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    assert!(
        client(&registry, false)
            .oneshot(request_to(&url, "/"))
            .await
            .is_err()
    );
    server.await.unwrap();
    assert_ended(&registry, 1, "error", 1.0);
}

#[tokio::test]
async fn dropped_call_is_cancelled_and_dropped_body_is_aborted() {
    let registry = Registry::new();
    let received = Arc::new(Notify::new());
    let notify = Arc::clone(&received);
    let app = Router::new()
        .route(
            "/hang",
            get(async move || {
                notify.notify_one();
                std::future::pending::<()>().await;
            }),
        )
        .route(
            "/endless",
            get(async || {
                axum::body::Body::from_stream(futures_util::stream::repeat_with(|| {
                    Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1024]))
                }))
            }),
        );
    let server = Server::start(app).await;
    let client = client(&registry, false);
    {
        let mut call = Box::pin(
            client
                .clone()
                .oneshot(request_to(&server.url("/hang"), "/hang")),
        );
        tokio::select! {
            _ = &mut call => panic!("the server never answers"),
            () = received.notified() => {}
        }
        assert_eq!(
            registry.sum("http_client_requests_in_progress", &[]),
            Some(1.0)
        );
    }
    assert_ended(&registry, 1, "cancelled", 1.0);

    let response = client
        .oneshot(request_to(&server.url("/endless"), "/endless"))
        .await
        .unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_ended(&registry, 2, "200", 1.0);
    let labels = [("reason", "dropped"), ("host", "127.0.0.1")];
    let aborted = registry.sum("http_client_response_bodies_aborted_total", &labels);
    assert_eq!(aborted, Some(1.0));
}

#[tokio::test]
async fn inner_timeout_is_an_error_and_outer_timeout_is_cancelled() {
    let app = || Router::new().route("/hang", get(std::future::pending::<()>));
    let timeout = Duration::from_millis(1);
    let plain = || Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();

    let (registry, server) = (Registry::new(), Server::start(app()).await);
    let inside = ServiceBuilder::new()
        .layer(registry.http_client_layer())
        .timeout(timeout)
        .service(plain());
    assert!(
        inside
            .oneshot(request_to(&server.url("/hang"), "/hang"))
            .await
            .is_err()
    );
    assert_ended(&registry, 1, "error", 1.0);

    let (registry, server) = (Registry::new(), Server::start(app()).await);
    let outside = ServiceBuilder::new()
        .timeout(timeout)
        .layer(registry.http_client_layer())
        .service(plain());
    assert!(
        outside
            .oneshot(request_to(&server.url("/hang"), "/hang"))
            .await
            .is_err()
    );
    wait_until("the call is dropped", || {
        registry.sum("http_client_requests_total", &[]) == Some(1.0)
    })
    .await;
    assert_ended(&registry, 1, "cancelled", 1.0);
}

#[tokio::test]
async fn number_of_hosts_is_limited() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let answers =
        tower::service_fn(async |_: Request<()>| Ok::<_, ()>(http::Response::new(String::new())));
    let mut client = registry.http_client_layer().layer(answers);
    for i in 0..1000 {
        let request = Request::get(format!("http://tenant{i}.example:8080/"))
            .body(())
            .unwrap();
        drop(client.call(request).await);
    }
    let requests = |host| registry.sum("http_client_requests_total", &[("host", host)]);
    assert_eq!(requests("tenant7.example"), Some(1.0));
    assert_eq!(requests("overflow"), Some(900.0));
    assert_eq!(warnings.about("overflow").len(), 1);
    assert_ended(&registry, 1000, "200", 1000.0);
}
