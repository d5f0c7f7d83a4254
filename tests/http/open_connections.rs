//! The gauge of open connections: which responses are event streams, and when a connection ends.

use std::pin::pin;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::http::{FiniteStream, HttpLabel, HttpMetric, LongLived};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::body::{ScriptedBody, Step};
use test_support::service::measured_response;
use test_support::{aborted_bodies, assert_one_request_completed, assert_requests_ended};

fn event_stream(body: ScriptedBody) -> Response<ScriptedBody> {
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn event_stream_content_type_is_case_insensitive() {
    let registry = Registry::new();
    let response = Response::builder().header("content-type", "Text/Event-Stream; charset=utf-8");
    let response = measured_response(
        &registry,
        "GET",
        response.body(ScriptedBody::new([Step::Hang])).unwrap(),
    )
    .await;
    assert_eq!(
        registry.sum("http_connections_open", &[("kind", "event-stream")]),
        Some(1.0)
    );
    drop(response);
    assert_one_request_completed(&registry);
}

#[tokio::test]
async fn event_stream_with_a_known_size_or_without_a_body_is_not_an_open_connection() {
    let hang = || ScriptedBody::new([Step::Data("a"), Step::Hang]);
    for (method, code, body) in [
        ("GET", 200, ScriptedBody::full("data: all\n\n")),
        ("HEAD", 200, hang()),
        // 204 makes a browser's `EventSource` stop reconnecting.
        ("GET", 204, hang()),
    ] {
        let registry = Registry::new();
        let mut response = event_stream(body);
        *response.status_mut() = code.try_into().unwrap();
        let response = measured_response(&registry, method, response).await;
        assert_eq!(
            registry.sum("http_connections_open", &[]),
            None,
            "{method} {code}"
        );
        let mut body = pin!(response.into_body());
        body.frame().await;
        assert_one_request_completed(&registry);
    }
}

/// A proxy may copy the header of its upstream and stream the body.
#[tokio::test]
async fn event_stream_with_a_content_length_but_no_exact_size_hint_is_an_open_connection() {
    let registry = Registry::new();
    let mut response = event_stream(ScriptedBody::new([Step::Data("a"), Step::Hang]));
    let headers = response.headers_mut();
    headers.insert("content-length", "11".parse().unwrap());
    let response = measured_response(&registry, "GET", response).await;
    assert_eq!(
        registry.sum("http_connections_open", &[("kind", "event-stream")]),
        Some(1.0)
    );
    drop(response);
    assert_one_request_completed(&registry);
}

#[tokio::test]
async fn failed_event_stream_ends_its_open_connection_and_is_an_aborted_body() {
    let registry = Registry::new();
    let response = measured_response(
        &registry,
        "GET",
        event_stream(ScriptedBody::new([Step::Error])),
    )
    .await;
    let mut body = pin!(response.into_body());
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(registry.sum("http_connections_open", &[]), Some(0.0));
    assert_eq!(aborted_bodies(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn event_stream_that_answers_another_method_is_a_response_like_any_other() {
    for (end, aborted) in [
        (None, None),
        (Some(Step::Error), Some("error")),
        (Some(Step::Hang), Some("dropped")),
    ] {
        let registry = Registry::new();
        let steps = [Step::Data("a"), Step::Data("b")].into_iter().chain(end);
        let response = event_stream(ScriptedBody::new(steps));
        let response = measured_response(&registry, "POST", response).await;
        let mut body = Box::pin(response.into_body());
        for _ in 0..2 {
            body.frame().await.unwrap().unwrap();
            assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(1.0));
            assert_eq!(registry.sum("http_requests_total", &[]), None);
        }
        if aborted != Some("dropped") {
            let _ = body.frame().await;
        }
        drop(body);
        assert_eq!(registry.sum("http_connections_open", &[]), None);
        assert_requests_ended(&registry, 1);
        for reason in ["error", "dropped"] {
            let expected = f64::from(aborted == Some(reason));
            assert_eq!(aborted_bodies(&registry, reason), expected, "{reason}");
        }
    }
}

#[tokio::test]
async fn finite_stream_that_answers_get_is_a_response_like_any_other() {
    let registry = Registry::new();
    let mut response = event_stream(ScriptedBody::stream(&["a"]));
    response.extensions_mut().insert(FiniteStream);
    let response = measured_response(&registry, "GET", response).await;
    assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(1.0));
    let mut body = pin!(response.into_body());
    while body.frame().await.is_some() {}
    assert_eq!(registry.sum("http_connections_open", &[]), None);
    assert_one_request_completed(&registry);
}

/// The server drops the body of an upgrade at once: a gauge without a guard would be 0 beside an open connection.
#[tokio::test]
async fn upgrade_without_a_guard_has_no_series_of_open_connections() {
    let marked = || Response::builder().extension(LongLived::new("websocket"));
    for (method, code, response) in [
        ("GET", 101, Response::builder()),
        ("CONNECT", 200, Response::builder()),
        ("GET", 101, marked()),
        ("CONNECT", 200, marked()),
    ] {
        let registry = Registry::new();
        let response = response.status(code).body(ScriptedBody::full("")).unwrap();
        let response = measured_response(&registry, method, response).await;
        assert_requests_ended(&registry, 1);
        assert!(!registry.render().contains("http_connections_open{"));
        drop(response);
    }
}

#[tokio::test]
async fn connection_has_the_labels_that_are_on_everything() {
    let registry = Registry::new();
    let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    let layer = HttpMetrics::server()
        .label(tenant.on_everything())
        .measure(HttpMetric::ConnectionDuration)
        .build(&registry)
        .unwrap();
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, ()>(event_stream(ScriptedBody::new([Step::Hang])))
    }));
    let mut open = Vec::new();
    for tenant in ["a", "a", "b"] {
        let request = Request::get("/").header("x-tenant", tenant);
        let request = request.body(()).unwrap();
        open.push(service.clone().oneshot(request).await.unwrap());
    }
    let connections = |name: &str, tenant| registry.sum(name, &[("tenant", tenant)]);
    assert_eq!(connections("http_connections_open", "a"), Some(2.0));
    assert_eq!(connections("http_connections_open", "b"), Some(1.0));
    let lifetimes = "http_connection_duration_seconds_count";
    assert_eq!(connections(lifetimes, "a"), Some(0.0));
    drop(open);
    assert_eq!(connections("http_connections_open", "a"), Some(0.0));
    assert_eq!(connections(lifetimes, "a"), Some(2.0));
    assert_eq!(connections(lifetimes, "b"), Some(1.0));
    assert_requests_ended(&registry, 3);
}
