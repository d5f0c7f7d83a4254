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
use test_support::{aborted_bodies, assert_requests_ended, requests_with_status};

async fn fetch(app: &Router, method: &str, uri: &str) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "evil.example");
    let response = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    status
}

/// prometheus-axum-middleware, tower-otel-http-metrics, opentelemetry-instrumentation-tower and
/// tonic_prometheus_layer leave a request in progress for ever; axum-prometheus counts none of these.
#[tokio::test]
async fn dropped_failed_and_panicked_requests_are_counted_and_not_left_in_progress() {
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

/// axum-prometheus and tonic_prometheus_layer make a series of every path that a scanner tries.
#[tokio::test]
async fn raw_paths_are_never_labels() {
    let registry = Registry::new();
    let users = Router::new().route("/users/{id}", get(async || "ada"));
    let app = Router::new()
        .nest_service("/v1", users)
        .layer(registry.http_layer());
    for path in ["/v1/users/4711", "/v1/.env", "/wp-login.php"] {
        fetch(&app, "GET", path).await;
    }
    let page = registry.render();
    for raw in ["4711", ".env", "wp-login"] {
        assert!(!page.contains(raw), "{page}");
    }
    assert_requests_ended(&registry, 3);
}

/// Go's client had CVE-2022-21698 for it; axum-prometheus says "".
#[tokio::test]
async fn unknown_methods_are_one_label() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/x", get(async || "x"))
        .layer(registry.http_layer());
    fetch(&app, "AAAA", "/x").await;
    fetch(&app, "BBBB", "/x").await;
    assert_eq!(
        registry.sum("http_requests_total", &[("method", "OTHER")]),
        Some(2.0)
    );
    assert_requests_ended(&registry, 2);
}

/// axum-prometheus observes a body once for each of its chunks.
#[tokio::test]
async fn a_chunked_body_is_one_request() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<()>| {
        Ok::<_, ()>(Response::new(ScriptedBody::stream(&[
            "0123456789",
            "0123456789",
            "0123456789",
        ])))
    });
    let response = registry
        .http_layer()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert!(response.into_body().collect().await.is_ok());
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus counts a body of known length in full, however little of it was sent.
#[tokio::test]
async fn a_body_of_known_length_that_is_dropped_is_aborted() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<()>| {
        let mut body = ScriptedBody::stream(&["01234", "56789"]);
        body.exact_size = Some(10);
        Ok::<_, ()>(Response::new(body))
    });
    let response = registry
        .http_layer()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let mut body = Box::pin(response.into_body());
    body.frame().await;
    drop(body);
    assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus describes its families before there is a recorder, and the HELP is lost.
#[tokio::test]
async fn every_family_has_its_help() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/x", get(async || "x"))
        .layer(registry.http_layer());
    fetch(&app, "GET", "/x").await;
    let page = registry.render();
    let count = |prefix: &str| page.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(count("# HELP "), count("# TYPE "), "{page}");
    assert_requests_ended(&registry, 1);
}

/// axum-prometheus has one prefix for the whole process, and a second layer panics.
#[tokio::test]
async fn prefixes_belong_to_layers() {
    let registry = Registry::new();
    let layer = |prefix| {
        HttpMetrics::server()
            .prefix(prefix)
            .build(&registry)
            .unwrap()
    };
    let app = Router::new()
        .route("/x", get(async || "x"))
        .layer(layer("a"))
        .layer(layer("b"));
    fetch(&app, "GET", "/x").await;
    for family in ["a_http_requests_total", "b_http_requests_total"] {
        assert_eq!(registry.sum(family, &[]), Some(1.0));
    }
}

/// axum-prometheus' latencies are summaries unless buckets are set by a matching name.
#[tokio::test]
async fn durations_are_histograms_without_being_asked() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/x", get(async || "x"))
        .layer(registry.http_layer());
    fetch(&app, "GET", "/x").await;
    assert!(
        registry
            .render()
            .contains("# TYPE http_request_duration_seconds histogram\n")
    );
}

/// In axum-prometheus a skip pattern does not match inside `nest`; prometheus-axum-middleware skips
/// `/metricsfoo` with `/metrics`.
#[tokio::test]
async fn skipping_is_by_whole_template_and_works_inside_nest() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .skip(["/v1/health"])
        .build(&registry)
        .unwrap();
    let inner = Router::new()
        .route("/health", get(async || "ok"))
        .route("/healthfoo", get(async || "measured"))
        .layer(layer);
    let app = Router::new().nest("/v1", inner);
    fetch(&app, "GET", "/v1/health").await;
    fetch(&app, "GET", "/v1/healthfoo").await;
    assert_requests_ended(&registry, 1);
}

/// axum-metrics makes series with other label names for cancelled requests.
#[tokio::test]
async fn all_series_of_a_family_have_the_same_labels() {
    let registry = Registry::new();
    let layer = registry.http_layer();
    let mut hangs = layer.layer(service_fn(|_: Request<()>| {
        pending::<Result<Response<String>, ()>>()
    }));
    drop(hangs.call(Request::new(())));
    let app = Router::new().route("/x", get(async || "x")).layer(layer);
    fetch(&app, "GET", "/x").await;
    fetch(&app, "GET", "/nowhere").await;
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

/// axum-metrics' request body hides its size: handlers see an empty GET as a body of unknown length.
#[tokio::test]
async fn the_request_is_not_touched() {
    let registry = Registry::new();
    let service = service_fn(async |request: Request<ScriptedBody>| {
        let body = request.into_body();
        let hints = (http_body::Body::is_end_stream(&body), body.exact_size);
        Ok::<_, ()>(Response::new(format!("{hints:?}")))
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

/// axum-otel-metrics makes the client's Host header a label.
#[tokio::test]
async fn headers_are_never_labels() {
    let registry = Registry::new();
    let app = Router::new()
        .route("/x", get(async || "x"))
        .layer(registry.http_layer());
    fetch(&app, "GET", "/x").await;
    assert!(!registry.render().contains("evil.example"));
    assert_requests_ended(&registry, 1);
}
