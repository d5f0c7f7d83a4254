//! Known bugs of other crates, each as a test of the correct behaviour. Those of registries are in
//! `tests/registry/known_bugs_of_other_crates.rs`, and those that need a server in
//! `tests/integration/tests/http/known_bugs_of_other_crates.rs`.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::body::ScriptedBody;
use test_support::page::samples;
use test_support::service::measured_response;
use test_support::{aborted_bodies, assert_requests_ended, requests_with_status};

/// A router with one route, `/x`, and the HTTP layer.
fn app(registry: &Registry) -> Router {
    routes().layer(registry.http_layer())
}

fn routes() -> Router {
    Router::new().route("/x", get(async || "x"))
}

/// Sends a request and reads the response to its end.
async fn send(app: &Router, method: &str, path: &str) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "evil.example")
        .body(Body::empty())
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

/// prometheus-axum-middleware, tower-otel-http-metrics, opentelemetry-instrumentation-tower and tonic_prometheus_layer
/// leave cancelled and panicked requests in progress for ever, tower-otel-http-metrics also failed ones. axum-prometheus
/// and axum-otel-metrics count none of them.
#[tokio::test]
async fn cancelled_failed_and_panicked_requests_are_counted_and_not_left_in_progress() {
    let registry = Registry::new();
    let layer = registry.http_layer();

    let mut hangs = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<String>, ()>>()
    }));
    {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut future = pin!(hangs.call(Request::new(())));
        assert!(future.as_mut().poll(cx).is_pending());
    }
    let fails = layer.layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>("no")
    }));
    assert!(fails.oneshot(Request::new(())).await.is_err());

    let mut panics = layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<String>, ()>> { panic!() },
    ));
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(panics.call(Request::new(())))));
    assert!(panicked.is_err());

    for status in ["cancelled", "error", "panicked"] {
        assert_eq!(requests_with_status(&registry, status), 1.0, "{status}");
    }
    assert_requests_ended(&registry, 3);
}

/// axum-prometheus, prometheus-axum-middleware and tonic_prometheus_layer create series for every path that a scanner
/// tries.
#[tokio::test]
async fn request_paths_are_never_labels() {
    let registry = Registry::new();
    let users = Router::new().route("/users/{id}", get(async || "ada"));
    let app = Router::new()
        .nest_service("/v1", users)
        .layer(registry.http_layer());
    for path in ["/v1/users/4711", "/v1/.env", "/wp-login.php"] {
        send(&app, "GET", path).await;
    }
    let page = registry.render();
    for part_of_path in ["4711", ".env", "wp-login"] {
        assert!(!page.contains(part_of_path), "{page}");
    }
    assert_requests_ended(&registry, 3);
}

/// In Go's client this was CVE-2022-21698. axum-prometheus records the method as "".
#[tokio::test]
async fn unknown_methods_share_the_label_value_other() {
    let registry = Registry::new();
    let app = app(&registry);
    send(&app, "AAAA", "/x").await;
    send(&app, "BBBB", "/x").await;
    assert_eq!(
        registry.sum("http_requests_total", &[("method", "OTHER")]),
        Some(2.0)
    );
    assert_requests_ended(&registry, 2);
}

/// axum-prometheus observes a response body once for each of its chunks.
#[tokio::test]
async fn response_body_of_many_chunks_is_observed_once() {
    let registry = Registry::new();
    let body = ScriptedBody::stream(&["0123456789", "0123456789", "0123456789"]);
    let response = measured_response(&registry, "GET", Response::new(body)).await;
    assert!(response.into_body().collect().await.is_ok());
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus counts a body of known size as sent in full, even if only a part was sent.
#[tokio::test]
async fn dropped_body_of_known_size_is_aborted() {
    let registry = Registry::new();
    let mut body = ScriptedBody::stream(&["01234", "56789"]);
    body.exact_size = Some(10);
    let response = measured_response(&registry, "GET", Response::new(body)).await;
    let mut body = Box::pin(response.into_body());
    body.frame().await;
    drop(body);
    assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus describes its metrics before a recorder is installed, so their HELP texts are lost.
#[tokio::test]
async fn every_metric_has_a_help_text() {
    let registry = Registry::new();
    let app = app(&registry);
    send(&app, "GET", "/x").await;
    let page = registry.render();
    let count = |prefix: &str| page.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(count("# HELP "), count("# TYPE "), "{page}");
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus has one prefix for the whole process, and a second layer panics.
#[tokio::test]
async fn two_layers_can_have_different_prefixes() {
    let registry = Registry::new();
    let layer = |prefix| {
        HttpMetrics::server()
            .prefix(prefix)
            .build(&registry)
            .unwrap()
    };
    let app = routes().layer(layer("a")).layer(layer("b"));
    send(&app, "GET", "/x").await;
    for family in ["a_http_requests_total", "b_http_requests_total"] {
        assert_eq!(registry.sum(family, &[]), Some(1.0));
    }
}

/// In axum-prometheus, durations are summaries unless buckets are configured with a matching metric name.
#[tokio::test]
async fn durations_are_histograms_by_default() {
    let registry = Registry::new();
    let app = app(&registry);
    send(&app, "GET", "/x").await;
    assert!(
        registry
            .render()
            .contains("# TYPE http_request_duration_seconds histogram\n")
    );
}

/// In axum-prometheus a skip pattern does not match inside `nest`; prometheus-axum-middleware skips
/// `/metricsfoo` with `/metrics`.
#[tokio::test]
async fn skip_matches_the_whole_route_template_also_inside_nest() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .skip(["/v1/health"])
        .build(&registry)
        .unwrap();
    let inner = Router::new()
        .route("/health", get(async || "ok"))
        .route("/healthfoo", get(async || "not skipped"))
        .layer(layer);
    let app = Router::new().nest("/v1", inner);
    send(&app, "GET", "/v1/health").await;
    send(&app, "GET", "/v1/healthfoo").await;
    assert_requests_ended(&registry, 1);
}

/// axum-metrics creates series with different label names for cancelled requests.
#[tokio::test]
async fn all_series_of_a_family_have_the_same_labels() {
    let registry = Registry::new();
    let layer = registry.http_layer();
    let mut hangs = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<String>, ()>>()
    }));
    drop(hangs.call(Request::new(())));
    let app = routes().layer(layer);
    send(&app, "GET", "/x").await;
    send(&app, "GET", "/nowhere").await;
    let names = |series: &String| -> Vec<String> {
        let labels = series.split('{').nth(1).unwrap().split("\",");
        labels
            .map(|label| label.split('=').next().unwrap().to_owned())
            .collect()
    };
    let page = samples(&registry.render());
    let requests = page
        .keys()
        .filter(|series| series.starts_with("http_requests_total"));
    for series in requests {
        assert_eq!(names(series), ["endpoint", "method", "status"]);
    }
    assert_requests_ended(&registry, 3);
}

/// The request body of axum-metrics hides its size: handlers see an empty GET request as a body of unknown size.
#[tokio::test]
async fn request_body_keeps_its_size_and_end_of_stream() {
    let registry = Registry::new();
    let service = service_fn(async |request: Request<ScriptedBody>| {
        let body = request.into_body();
        let end_and_size = (http_body::Body::is_end_stream(&body), body.exact_size);
        Ok::<_, ()>(Response::new(format!("{end_and_size:?}")))
    });
    let request = Request::new(ScriptedBody::full(""));
    let response = registry
        .http_layer()
        .layer(service)
        .oneshot(request)
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "(true, Some(0))");
    assert_requests_ended(&registry, 1);
}

/// axum-otel-metrics records the `Host` header of the client as a label.
#[tokio::test]
async fn host_header_is_not_a_label() {
    let registry = Registry::new();
    let app = app(&registry);
    send(&app, "GET", "/x").await;
    assert!(!registry.render().contains("evil.example"));
    assert_requests_ended(&registry, 1);
}
