//! Limits of label values: clients cannot create series without limit.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Method, Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{Endpoint, HttpLabel, LongLived},
};

use test_support::assert_requests_ended;
use test_support::page::samples;
use test_support::service::{ok, request_to};
use test_support::warnings::Warnings;

fn series_count(registry: &Registry) -> usize {
    samples(&registry.render()).len()
}

#[tokio::test]
async fn unknown_methods_are_recorded_as_other() {
    let registry = Registry::new();
    let mut service = registry.http_layer().layer(service_fn(ok));
    for i in 0..100 {
        let mut request = request_to("/x");
        *request.method_mut() = Method::from_bytes(format!("HACK{i}").as_bytes()).unwrap();
        service.call(request).await.unwrap();
    }
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
    ];
    for method in methods {
        let mut request = request_to("/x");
        *request.method_mut() = method.parse().unwrap();
        drop(service.call(request).await.unwrap());
    }
    let requests = |method| registry.sum("http_requests_total", &[("method", method)]);
    assert_eq!(requests("OTHER"), Some(100.0));
    for method in methods {
        assert_eq!(requests(method), Some(1.0), "{method}");
    }
    assert_requests_ended(&registry, 110);
}

#[tokio::test]
async fn paths_without_a_matched_route_share_one_endpoint() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .layer(registry.http_layer());
    let mut after_first_request = 0;
    for i in 0..1000 {
        let request = Request::get(format!("/wp-admin/{i}")).body(Body::empty());
        drop(app.clone().oneshot(request.unwrap()).await);
        if i == 0 {
            after_first_request = series_count(&registry);
        }
    }
    assert_eq!(series_count(&registry), after_first_request);
    assert_requests_ended(&registry, 1000);
}

#[tokio::test]
async fn endpoints_beyond_max_endpoints_are_recorded_as_overflow_with_one_warning() {
    let warnings = Warnings::capture();
    let registry = Registry::new();
    let layer = HttpMetrics::server().max_endpoints(10);
    let mut service = layer.build(&registry).unwrap().layer(service_fn(ok));
    for i in 0..100 {
        drop(service.call(request_to(&format!("/tenant{i}"))).await);
    }
    let requests = |endpoint| registry.sum("http_requests_total", &[("endpoint", endpoint)]);
    assert_eq!(requests("/tenant9"), Some(1.0));
    assert_eq!(requests("/tenant10"), None);
    assert_eq!(requests("overflow"), Some(90.0));
    let labels = [("family", "http_requests_total"), ("label", "endpoint")];
    let overflowed = registry.sum("metrics_label_overflow_total", &labels);
    assert_eq!(overflowed, Some(90.0));
    let expected = "http_requests_total: label \"endpoint\" reached its limit of 10 values";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("overflow").len(), 1);

    // Known endpoints and unmatched requests are recorded as before.
    drop(service.call(request_to("/tenant3")).await);
    drop(service.call(Request::new(())).await);
    assert_eq!(requests("/tenant3"), Some(2.0));
    assert_eq!(requests("unmatched"), Some(1.0));
    assert_requests_ended(&registry, 102);
}

/// Its endpoint exceeds the limit both when it starts and when the response names another one.
#[tokio::test]
async fn request_with_two_endpoints_beyond_the_limit_is_counted_as_one_overflow() {
    let registry = Registry::new();
    let sets_endpoint = async |_: Request<()>| {
        tokio::task::yield_now().await;
        let mut response = Response::new(String::new());
        response
            .extensions_mut()
            .insert(Endpoint::from_static("/from-response"));
        Ok::<_, ()>(response)
    };
    let layer = HttpMetrics::server()
        .max_endpoints(1)
        .build(&registry)
        .unwrap();
    drop(layer.layer(service_fn(ok)).call(request_to("/first")).await);
    drop(
        layer
            .layer(service_fn(sets_endpoint))
            .call(request_to("/second"))
            .await,
    );
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), Some(1.0));
    assert_eq!(
        registry.sum("http_requests_total", &[("endpoint", "overflow")]),
        Some(1.0)
    );
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn max_endpoints_holds_with_many_threads() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .max_endpoints(50)
        .build(&registry)
        .unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                runtime().block_on(async {
                    let mut service = layer.layer(service_fn(ok));
                    for i in 0..200 {
                        drop(service.call(request_to(&format!("/tenant{i}"))).await);
                    }
                });
            });
        }
    });
    let page = samples(&registry.render());
    let endpoints = page
        .keys()
        .filter(|name| name.starts_with("http_requests_total{") && name.contains("/tenant"));
    assert_eq!(endpoints.count(), 50);
    assert_requests_ended(&registry, 1600);
}

#[tokio::test]
async fn skipped_requests_do_not_count_towards_max_values() {
    let registry = Registry::new();
    let label =
        HttpLabel::from_request("client", |request| request.header("x-client")).max_values(1);
    let layer = HttpMetrics::server().skip(["/health"]).label(label);
    let mut service = layer.build(&registry).unwrap().layer(service_fn(ok));
    let from = |endpoint, client: &str| {
        let mut request = request_to(endpoint);
        let client = client.parse().unwrap();
        request.headers_mut().insert("x-client", client);
        request
    };
    for probe in ["a", "b", "c"] {
        drop(service.call(from("/health", probe)).await.unwrap());
    }
    drop(service.call(from("/orders", "shop")).await.unwrap());
    let from_shop = registry.sum("http_requests_total", &[("client", "shop")]);
    assert_eq!(from_shop, Some(1.0));
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn layers_with_the_same_configuration_share_max_endpoints() {
    let registry = Registry::new();
    for endpoint in ["/a", "/b"] {
        let layer = HttpMetrics::server()
            .max_endpoints(1)
            .build(&registry)
            .unwrap();
        drop(layer.layer(service_fn(ok)).call(request_to(endpoint)).await);
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), Some(1.0));
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn open_connections_beyond_max_endpoints_are_recorded_as_overflow() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .max_endpoints(1)
        .build(&registry)
        .unwrap();
    drop(layer.layer(service_fn(ok)).call(request_to("/first")).await);
    let mut download = layer.layer(service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(LongLived::new("download"));
        Ok::<_, ()>(response.body(String::from("x")).unwrap())
    }));
    let response = download.call(request_to("/second")).await;
    let labels = [("endpoint", "overflow"), ("kind", "download")];
    assert_eq!(registry.sum("http_connections_open", &labels), Some(1.0));
    drop(response);
    assert_requests_ended(&registry, 2);
}
